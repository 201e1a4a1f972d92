"""eapol_test of wpa_supplicant: an 802.1X device that isn't ours, asked for one login; and certificates for it."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROGRAM_FOLDERS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
ANSWERS = {"2": "Access-Accept", "3": "Access-Reject", "11": "Access-Challenge"}

_MESSAGE = re.compile(r"^RADIUS message: code=(\d+)", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^ +Attribute \d+ \(([^)]+)\) length=\d+\n +Value: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Certificate:
    """PEM files. It is its own authority."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class EapReply:
    """The server's last answer, its attributes in their order and as printed; and whether that is a success."""

    succeeded: bool
    code: str
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def first(self, attribute: str) -> str | None:
        return next((value for name, value in self.attributes if name == attribute), None)


def write_certificate(
    folder: Path,
    name: str,
    *,
    days: int = 2,
    organisation: str = "isp.example",
) -> Certificate:
    """One for a RADIUS server of this name, valid from yesterday on for so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    said = {NameOID.ORGANIZATION_NAME: organisation, NameOID.COMMON_NAME: name}
    named = x509.Name([x509.NameAttribute(part, value) for part, value in said.items()])
    today = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    made.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


@dataclass(frozen=True)
class EapDevice:
    """A device behind a NAS of that address. ``trusts`` is the authority whose servers it believes."""

    folder: Path
    source_address: str
    secret: str
    port: int
    trusts: Path

    async def login(
        self,
        identity: str,
        password: str,
        *,
        outside: str | None = None,
        method: str = "PEAP",
        calling_station: str = "02:00:00:00:00:01",
    ) -> EapReply:
        """``outside`` is the name that it tells to whoever listens, its own unless given.

        Raises: FileNotFoundError.
        """
        wish = self.folder / "eapol.conf"
        wish.write_text(_network(identity, password, outside or identity, method, self.trusts))
        where = ["-a", "127.0.0.1", "-p", str(self.port), "-s", self.secret, "-A", self.source_address]
        asked = await asyncio.create_subprocess_exec(
            *(the_eapol_test(), "-c", str(wish), *where, "-M", calling_station, "-t", "10"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder,
        )
        output, _ = await asked.communicate()
        return _read(output.decode(errors="replace"), succeeded=asked.returncode == 0)


def _network(identity: str, password: str, outside: str, method: str, trusts: Path) -> str:
    said = {
        "key_mgmt": "IEEE8021X",
        "eap": method,
        "identity": f'"{identity}"',
        "anonymous_identity": f'"{outside}"',
        "password": f'"{password}"',
        "ca_cert": f'"{trusts}"',
        "phase2": '"auth=MSCHAPV2"',
        "eapol_flags": "0",
    }
    return "network={\n" + "".join(f"    {name}={value}\n" for name, value in said.items()) + "}\n"


def _read(output: str, *, succeeded: bool) -> EapReply:
    received = output.split("Received RADIUS message")
    if len(received) == 1:
        return EapReply(succeeded, "no answer")
    last = received[-1]
    found = _MESSAGE.search(last)
    assert found is not None, last
    return EapReply(succeeded, ANSWERS[found[1]], _ATTRIBUTE.findall(last))


def the_eapol_test() -> str:
    """Raises: FileNotFoundError."""
    found = shutil.which("eapol_test", path=PROGRAM_FOLDERS)
    if found is None:
        raise FileNotFoundError("eapol_test is not installed: `make test` sees to it, or `apt-get install eapoltest`")
    return found
