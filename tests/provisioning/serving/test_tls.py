"""TLS of our own: what is served with it, and what of a certificate and its key is refused, all at once."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from typer.testing import CliRunner

from provisioning.api.errors import CertificateRefused
from provisioning.cli import app
from provisioning.lab.authority import LabCertificate, certify
from provisioning.serving import serve, tls_files
from tests.support.api import Api
from tests.support.console import PASSWORD, SAME_ORIGIN, add_user

NOW = datetime.now(UTC)
PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\n(.+?)-----END", re.DOTALL)
CURVE = bytes.fromhex("06082a8648ce3d030107")
"""The object identifier of P-256 (RFC 5480 s2.1.1.1); the one after it is nothing's."""


@pytest.fixture
def made(tmp_path: Path) -> LabCertificate:
    return certify(tmp_path / "tls", ["localhost", "127.0.0.1"], now=NOW)


async def test_it_answers_tls_that_a_client_of_the_ca_can_verify_and_its_cookie_is_secure(
    api: Api, made: LabCertificate, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    api.appliance.settings = api.appliance.settings.model_copy(update={"public_url": None})
    told: list[str] = []
    tls = tls_files(made.certificate, made.key, now=NOW)
    serving = asyncio.create_task(
        serve(api.appliance, host="127.0.0.1", port=0, with_worker=False, tls=tls, tell=told.append)
    )
    while not (started := [line for line in log_lines() if line["event"] == "serving"]):
        assert not serving.done()
        await asyncio.sleep(0.01)
    [base] = [f"https://127.0.0.1:{line['port']}" for line in started]
    assert started[0]["tls"] is True
    assert f"{base}/welcome/" in told[0]
    await add_user(api.appliance, "nora", "noc")
    trusting = ssl.create_default_context(cafile=made.authority)
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    form = {"login_name": "nora", "password": PASSWORD}
    async with httpx.AsyncClient(trust_env=False, base_url=base, verify=trusting) as client:
        answer = await client.post("/sign-in", data=form, headers=SAME_ORIGIN)
        assert (answer.status_code, "Secure" in answer.headers["set-cookie"]) == (303, True)
        assert (await client.get("/home")).status_code == 200  # the client sends such a cookie by TLS alone
    async with httpx.AsyncClient(trust_env=False, base_url=base) as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get("/sign-in")
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, 30)
    secret = made.key.read_text().splitlines()[1]
    assert not any(secret in str(line) for line in log_lines())


def test_without_files_it_is_plain_http() -> None:
    assert tls_files(None, None, now=NOW) is None


def test_everything_that_is_wrong_with_either_file_is_named_at_once(tmp_path: Path, made: LabCertificate) -> None:
    other = certify(tmp_path / "other", ["localhost"], now=NOW - timedelta(days=91))
    other.key.chmod(0o604)
    with pytest.raises(CertificateRefused) as refused:
        tls_files(made.certificate, other.key, now=NOW + timedelta(days=90, hours=1))
    run_out = (NOW + timedelta(days=90)).strftime("%Y-%m-%d %H:%M UTC")
    assert [str(fault) for fault in refused.value.faults] == [
        f"--certificate {made.certificate} has run out at {run_out}",
        f"--key {other.key} is open to everybody: chmod o= {other.key}",
        f"--key {other.key} belongs to another certificate than {made.certificate}",
    ]
    with pytest.raises(CertificateRefused) as early:
        tls_files(made.certificate, made.key, now=NOW - timedelta(days=1))
    begins = (NOW - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M UTC")
    assert str(early.value) == (
        f"TLS can't be answered, so nobody is served: --certificate {made.certificate} is not valid before {begins}."
    )


def test_files_that_are_missing_and_files_of_something_else_are_named(tmp_path: Path, made: LabCertificate) -> None:
    empty, sealed = tmp_path / "empty.pem", tmp_path / "sealed.pem"
    empty.write_text("no PEM")
    empty.chmod(0o600)
    key = ec.generate_private_key(ec.SECP256R1())
    sealed.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2")))
    sealed.chmod(0o600)
    gone = tmp_path / "gone.pem"

    def faults(certificate: Path | None, key: Path | None) -> list[str]:
        with pytest.raises(CertificateRefused) as refused:
            tls_files(certificate, key, now=NOW)
        return [str(fault) for fault in refused.value.faults]

    assert faults(gone, tmp_path) == [
        f"--certificate {gone} can't be read: No such file or directory",
        f"--key {tmp_path} can't be read: Is a directory",
    ]
    assert faults(empty, empty) == [
        f"--certificate {empty} holds no certificate as PEM",
        f"--key {empty} holds no private key as PEM",
    ]
    assert faults(made.certificate, sealed) == [
        f"--key {sealed} is sealed by a passphrase, which nobody could type at a start by itself"
    ]
    assert faults(made.certificate, None) == ["--key is missing: a certificate and its key are named together"]
    assert faults(None, made.key) == ["--certificate is missing: a certificate and its key are named together"]


def test_keys_of_a_kind_that_nobody_knows_are_refused_as_well(tmp_path: Path, made: LabCertificate) -> None:
    paths = tmp_path / "strange.pem", tmp_path / "strange-key.pem"
    for path, source in zip(paths, (made.certificate, made.key), strict=True):
        label, content = PEM.search(source.read_text()).groups()  # type: ignore[union-attr]
        strange = base64.b64decode(content).replace(CURVE, CURVE[:-1] + b"\x08")
        path.write_text(f"-----BEGIN {label}-----\n{base64.encodebytes(strange).decode()}-----END {label}-----\n")
        path.chmod(0o600)
    with pytest.raises(CertificateRefused) as refused:
        tls_files(*paths, now=NOW)
    assert [str(fault) for fault in refused.value.faults] == [
        f"--certificate {paths[0]} has a key of a kind that is not known here",
        f"--key {paths[1]} has a key of a kind that is not known here",
    ]


def test_a_certificate_that_runs_out_within_two_weeks_is_logged(
    made: LabCertificate, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    assert tls_files(made.certificate, made.key, now=NOW + timedelta(days=77)) is not None
    [line] = [line for line in log_lines() if line["event"] == "the certificate runs out soon"]
    assert (line["level"], line["file"]) == ("warning", str(made.certificate))


def test_serve_refuses_them_before_it_opens_anything(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pem")
    ended = CliRunner().invoke(app, ["serve", "--port", "0", "--certificate", gone, "--processes", "2"])
    told = " ".join(ended.stderr.split())
    assert ended.exit_code == 2
    assert f"--certificate: {gone} can't be read: No such file or directory" in told
    assert "--key: is missing: a certificate and its key are named together" in told
