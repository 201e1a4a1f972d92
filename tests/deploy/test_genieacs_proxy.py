"""The door that comes with Firstlight for a GenieACS NBI: a real nginx before the lab's ACS."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from acs import Done, NbiClient, NbiRejected, NotReached, Preset, Queued, Rejected, Why
from acs.testing import LabAcs, LabCpe, WallClock
from tests.deploy.conftest import ROOT

TOKEN = f"Bearer {'0123456789abcdef' * 4}"  # as long as the comment's own
TAG = {"type": "add_tag", "tag": "seen"}
PLACES = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
"""Debian's own among them: /usr/sbin is in no ordinary user's PATH."""


@dataclass(frozen=True)
class Door:
    """nginx before a lab's ACS."""

    lab: LabAcs
    url: str
    folder: Path

    def tls(self, *, with_certificate: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.folder / "genieacs.pem")
        if with_certificate:
            context.load_cert_chain(self.folder / "genieacs.pem", self.folder / "genieacs.key")
        return context

    def client(self, *, authorization: str | None = None, with_certificate: bool = False) -> NbiClient:
        return NbiClient(self.url, authorization=authorization, tls=self.tls(with_certificate=with_certificate))

    async def ask(self, method: str, path: str) -> httpx.Response:
        async with httpx.AsyncClient(verify=self.tls(with_certificate=False), trust_env=False) as http:
            return await http.request(method, self.url + path, headers={"Authorization": TOKEN})


def write_certificate(folder: Path) -> None:
    """One for the loopback address that is its own authority: it serves as server's, authority's and client's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acs of the tests")])
    today = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    for file in ("genieacs.pem", "client-authority.pem"):
        (folder / file).write_bytes(pem)
    (folder / "genieacs.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def write_configuration(folder: Path, *, nbi_port: int, port: int) -> Path:
    """What is shipped, with this test's ports and folder, inside of the least that nginx wants around it."""
    shipped = (ROOT / "deploy" / "genieacs" / "nginx.conf").read_text()
    ours = shipped.replace("127.0.0.1:7557", f"127.0.0.1:{nbi_port}").replace("listen 7558", f"listen 127.0.0.1:{port}")
    ours = ours.replace("/etc/nginx/", f"{folder}/").replace("/var/log/nginx/", f"{folder}/")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "whole.conf"
    whole.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\n{temporary}{ours}\n}}\n"
    )
    (folder / "genieacs-tokens").write_text(f'"{TOKEN}" 1;\n')
    return whole


def the_nginx() -> str:
    """Raises: FileNotFoundError."""
    found = shutil.which("nginx", path=PLACES)
    if found is None:
        raise FileNotFoundError("nginx is not installed: `make test` sees to it, or `apt-get install nginx`")
    return found


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    lab = LabAcs(clock=WallClock())
    await lab.start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write_certificate(tmp_path)
    configuration = write_configuration(tmp_path, nbi_port=int(lab.url.rpartition(":")[2]), port=port)
    nginx = await asyncio.create_subprocess_exec(
        the_nginx(), "-c", str(configuration), "-e", str(tmp_path / "error.log")
    )
    door = Door(lab, f"https://127.0.0.1:{port}", tmp_path)
    try:
        async with door.client(authorization=TOKEN) as nbi:
            assert await nbi.count("devices", {}) == 0  # the client waits for a door that is not open yet
        yield door
    finally:
        nginx.terminate()
        await nginx.wait()
        await lab.stop()


async def test_what_firstlight_asks_passes_with_its_reasons_and_double_encoded_ids(door: Door) -> None:
    cpe = door.lab.attach(LabCpe("HWTC12345678", product_class="HG-8245"))
    await cpe.power_on()
    cpe.quirks.cr_wrong_credentials = True
    async with door.client(with_certificate=True) as nbi:
        assert (await nbi.find("devices", {"_id": cpe.device_id}, ("_id",))).documents == ({"_id": cpe.device_id},)
        queued = await nbi.queue_task(cpe.device_id, {"name": "reboot"}, connection_request=True)
        assert isinstance(queued, Queued)
        assert queued.why is Why.CONNECTION_REQUEST_CREDENTIALS
        assert isinstance(await nbi.call(cpe.device_id), NotReached)
        assert await nbi.add_tag(cpe.device_id, "plan:100M/20M é.x") == Done()
        assert door.lab.documents["devices"][cpe.device_id]["_tags"] == ["plan:100M/20M é.x"]
        assert await nbi.remove_tag(cpe.device_id, "plan:100M/20M é.x") == Done()
        assert await nbi.retry_task(queued.task_id) == Done()
        assert await nbi.delete_fault(f"{cpe.device_id}:task_{queued.task_id}") == Done()
        assert await nbi.delete_task(queued.task_id) == Rejected(404, "Task not found")
        assert await nbi.put_preset(Preset("firstlight_x", (TAG,))) == Done()
        assert await nbi.put_provision("firstlight.x", "// fine") == Done()
        assert await nbi.put_file("fw-1.bin", b"x" * 3_000_000, file_type="1 Firmware Upgrade Image") == Done()
        assert [file.length_bytes for file in await nbi.files()] == [3_000_000]
        assert await nbi.delete_file("fw-1.bin") == Done()
        assert await nbi.delete_device(cpe.device_id) == Done()
        assert nbi.genieacs_version == "1.2.16+lab"
    log = (door.folder / "genieacs.log").read_text()
    assert "GET /devices 200" in log
    assert "query" not in log


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users"),
        ("GET", "/permissions"),
        ("GET", "/config?query=%7B%7D"),
        ("GET", "/locks"),
        ("GET", "/cache"),
        ("GET", "/ping/127.0.0.1"),
        ("GET", "//users"),
        ("GET", "/devices/../users"),
        ("GET", "/devices/%2e%2e/users"),
        ("GET", "/%75sers"),
        ("PUT", "/config/cwmp.auth"),
        ("DELETE", "/users/admin"),
        ("POST", "/presets"),
        ("POST", "/devices/a/tasks?connection_request&timeout=0"),
        ("GET", "/devices/a"),
        ("PATCH", "/devices"),
    ],
)
def test_nothing_else_is_on_the_list(method: str, path: str) -> None:
    text = (ROOT / "deploy" / "genieacs" / "nginx.conf").read_text()
    asked = text[text.index("$genieacs_may_be_asked {") :]
    patterns = re.findall(r'^    "(~\^.*)" 1;$', asked[: asked.index("\n}")], re.MULTILINE)
    assert len(patterns) == 9
    assert not any(re.search(pattern.removeprefix("~"), f"{method} {path}") for pattern in patterns)


async def test_nobody_without_a_token_or_certificate_comes_in_and_nothing_else_passes(door: Door) -> None:
    for authorization in (None, "Bearer wrong", f"{TOKEN}x"):
        async with door.client(authorization=authorization) as nbi:
            with pytest.raises(NbiRejected, match=r"401 Unauthorized\. Check the credentials"):
                await nbi.count("devices", {})
    for method, path in (("GET", "/users"), ("GET", "/ping/127.0.0.1"), ("GET", "/%75sers"), ("POST", "/presets")):
        answered = await door.ask(method, path)
        assert (answered.status_code, answered.text) == (403, "not asked through this door\n")
        assert "GenieACS-Version" not in answered.headers
    assert (await door.ask("GET", "/devices?projection=_id")).status_code == 200
