"""What is wrong with EAP's certificate and key is found where EAP is served, and nothing where it is not."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from radius.doctor import eap
from radius.doctor.eap import SOON, eap_traps
from radius.doctor.raddb import read_raddb
from radius.doctor.traps import Trap
from tests.support.eapol import Certificate, write_certificate
from tests.support.freeradius import RADDB

NAME = "radius.isp.example"
DAYS = 60


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One that is good for two months, with a key that is its owner's alone."""
    made = write_certificate(tmp_path_factory.mktemp("eap"), NAME, days=DAYS)
    made.key.chmod(0o600)
    return made


@pytest.fixture
def own(sound: Certificate, tmp_path: Path) -> Certificate:
    """A copy of it, to be spoilt."""
    mine = Certificate(tmp_path / sound.certificate.name, tmp_path / sound.key.name)
    shutil.copy(sound.certificate, mine.certificate)
    shutil.copy(sound.key, mine.key)
    return mine


def look(shown: Certificate, *, kind: str = "peap", later: timedelta = timedelta(0)) -> tuple[list[Trap], list[str]]:
    """What our own configuration is found to have, and what could not be looked at."""
    environment = {
        "FIRSTLIGHT_FREERADIUS_SQL": "sqlite",
        "FIRSTLIGHT_FREERADIUS_EAP": kind,
        "FIRSTLIGHT_FREERADIUS_EAP_CERTIFICATE": str(shown.certificate),
        "FIRSTLIGHT_FREERADIUS_EAP_KEY": str(shown.key),
    }
    unseen: list[str] = []
    traps = eap_traps(read_raddb(RADDB, environment=environment), unseen, now=datetime.now(UTC) + later)
    return traps, unseen


def names(found: tuple[list[Trap], list[str]]) -> list[str]:
    assert found[1] == []
    return [trap["trap"] for trap in found[0]]


def test_a_sound_certificate_is_none_and_nothing_is_looked_at_where_no_eap_is_served(own: Certificate) -> None:
    assert look(own) == ([], [])
    own.key.chmod(0o644)
    own.certificate.unlink()
    assert look(own, kind="") == ([], [])


def test_a_certificate_that_runs_out_or_has_run_out_or_is_not_valid_yet_is_named_with_its_days(
    own: Certificate,
) -> None:
    assert look(own, later=timedelta(days=DAYS) - SOON - timedelta(hours=1)) == ([], [])
    [soon], _ = look(own, later=timedelta(days=DAYS - 2, hours=-1))
    assert soon["trap"] == "eap_certificate_runs_out"
    assert soon["what"].startswith(f"EAP's certificate {own.certificate} of {NAME} runs out at ")
    assert soon["what"].endswith(" UTC, in 2 days")
    assert soon["fix"].startswith(f"have it renewed, with the chain behind it, into {own.certificate}, and systemctl")
    [over], _ = look(own, later=timedelta(days=DAYS, hours=1))
    assert over["trap"] == "eap_certificate_run_out"
    assert f"{own.certificate} of {NAME} ran out at " in over["what"]
    [early], _ = look(own, later=timedelta(days=-2))
    assert (early["trap"], "is not valid before" in early["what"]) == ("eap_certificate_too_early", True)


def test_the_chain_behind_it_is_looked_at_as_well(own: Certificate, tmp_path: Path) -> None:
    above = write_certificate(tmp_path, "Authority of the tests", days=3)
    own.certificate.write_bytes(own.certificate.read_bytes() + above.certificate.read_bytes())
    [trap], _ = look(own)
    assert trap["trap"] == "eap_certificate_runs_out"
    assert f"{own.certificate} of Authority of the tests runs out" in trap["what"]


def test_a_certificate_for_tests_is_found_under_its_name_or_another_one(
    own: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eap, "SNAKEOIL", tmp_path / "away" / "ssl-cert-snakeoil.pem")
    linked = tmp_path / "ssl-cert-snakeoil.pem"
    own.certificate.rename(linked)
    own.certificate.symlink_to(linked)
    assert names(look(own)) == ["eap_test_certificate"]
    own.certificate.unlink()
    linked.rename(own.certificate)
    assert look(own) == ([], [])
    eap.SNAKEOIL.parent.mkdir()
    shutil.copy(own.certificate, eap.SNAKEOIL)
    [copied], _ = look(own)
    assert (copied["trap"], str(own.certificate) in copied["what"]) == ("eap_test_certificate", True)
    assert "FIRSTLIGHT_FREERADIUS_EAP_CERTIFICATE and _KEY" in copied["fix"]
    example = write_certificate(tmp_path, "server", days=DAYS, organisation="Example Inc.")
    example.key.chmod(0o600)
    assert names(look(example)) == ["eap_test_certificate"]


@pytest.mark.parametrize(("mode", "how"), [(0o644, "read"), (0o602, "written")])
def test_a_key_that_everybody_reads_or_writes_is_found_and_never_printed(own: Certificate, mode: int, how: str) -> None:
    own.key.chmod(mode)
    [trap], _ = look(own)
    assert trap["trap"] == "eap_key_open"
    assert trap["what"] == f"EAP's key {own.key} can be {how} by everybody (mode {mode:o})"
    assert trap["fix"].startswith(f"chmod o= {own.key};")
    own.key.chmod(0o640)  # a group of those that may is how Debian does it
    assert look(own) == ([], [])


def test_files_that_are_missing_or_no_certificate_are_named_each(own: Certificate) -> None:
    own.certificate.write_text("no certificate")
    own.key.unlink()
    traps, unseen = look(own)
    assert [(trap["trap"], trap["what"]) for trap in traps] == [
        ("eap_certificate_unfit", f"{own.certificate}, which EAP needs, holds no certificate as PEM"),
        ("eap_certificate_unfit", f"{own.key}, which EAP needs, is missing"),
    ]
    assert unseen == []
    own.certificate.unlink()
    assert names(look(own)) == ["eap_certificate_unfit"] * 2


def test_a_key_that_is_another_one_or_none_keeps_the_server_from_its_next_start(
    own: Certificate, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = write_certificate(tmp_path / "other", NAME, days=DAYS)
    sound = own.key.read_bytes()
    for content, reason in (
        (other.key.read_bytes(), f"is another key than that of {own.certificate}"),
        (b"no key", "holds no private key as PEM"),
        (re.sub(rb"\n[A-Za-z0-9+/=]+\n", b"\nAAAA\n", sound, count=1), "holds a private key that can't be read"),
    ):
        own.key.write_bytes(content)
        [trap], unseen = look(own)
        assert (trap["trap"], trap["what"]) == ("eap_certificate_unfit", f"{own.key}, which EAP needs, {reason}")
        assert unseen == []
    own.key.write_bytes(own.certificate.read_bytes() + sound)  # as FreeRADIUS' own server.pem has both
    assert look(own) == ([], [])
    own.key.write_bytes(with_passphrase(sound))
    assert look(own) == ([], [f"whether EAP's key {own.key} is that of {own.certificate}: it has a passphrase"])


def with_passphrase(key: bytes) -> bytes:
    return load_pem_private_key(key, password=None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a passphrase")
    )


def test_what_cannot_be_looked_at_is_said(own: Certificate, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    traps, unseen = look(Certificate(loop, loop))
    assert traps == []
    assert unseen == [
        f"EAP's certificate: {loop} can't be read (Too many levels of symbolic links)",
        f"who may read EAP's key: {loop} can't be looked at (Too many levels of symbolic links)",
    ]
    unset = {"FIRSTLIGHT_FREERADIUS_SQL": "sqlite", "FIRSTLIGHT_FREERADIUS_EAP": "peap"}
    unknown: list[str] = []
    assert eap_traps(read_raddb(RADDB, environment=unset), unknown, now=datetime.now(UTC)) == []
    [said] = unknown
    assert "$ENV{FIRSTLIGHT_FREERADIUS_EAP_CERTIFICATE}" in said


def test_a_stock_server_that_serves_eap_with_its_test_certificate_is_found(own: Certificate, tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    both = tmp_path / "certs" / "ssl-cert-snakeoil.pem"
    both.write_bytes(own.certificate.read_bytes() + own.key.read_bytes())
    both.chmod(0o644)
    (tmp_path / "radiusd.conf").write_text(
        f"raddbdir = {tmp_path}\n"
        "confdir = ${raddbdir}\n"
        "certdir = ${confdir}/certs\n"
        "modules { eap { tls-config common { certificate_file = ${certdir}/ssl-cert-snakeoil.pem } } }\n"
        "$INCLUDE default\n"
    )
    found = {}
    for called in ("eap { ok = return }", "-eap", "pap"):
        (tmp_path / "default").write_text(f"server default {{ listen {{ type = auth }} authorize {{ {called} }} }}")
        raddb = read_raddb(tmp_path, environment={})
        found[called] = [trap["trap"] for trap in eap_traps(raddb, [], now=datetime.now(UTC))]
    both_traps = ["eap_test_certificate", "eap_key_open"]
    assert found == {"eap { ok = return }": both_traps, "-eap": both_traps, "pap": []}
