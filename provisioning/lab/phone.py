"""How a phone gets at the laboratory's pages: from this machine's own network, by TLS with the laboratory's own CA."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from provisioning.lab.authority import LabCertificate, certify, lan_addresses, names_here
from provisioning.lab.errors import DemoFailed
from provisioning.serving import listen
from provisioning.settings import PREFIX

EVERYWHERE = "0.0.0.0"  # noqa: S104 - a phone is another machine
PORT = 8443
FOLDER = "tls"
"""In the laboratory's folder, which keeps it when it is emptied: a phone would have to trust another CA each time."""


@dataclass(frozen=True)
class PhoneDoor:
    """Where a phone finds the laboratory, and by which certificate it knows it."""

    url: str
    port: int
    certificate: LabCertificate
    listens_at: str = EVERYWHERE


def open_phone_door(home: Path, *, public_url: str | None, now: datetime) -> PhoneDoor:
    """Makes the certificate. The phone goes to ``public_url`` if that begins with https, else to this machine's address
    in its network, at a port that is free.

    Raises: DemoFailed where there is neither, or it is one of IPv6; AddressUnusable where nobody can listen there; what
    `certify` does.
    """
    given = urlsplit(public_url or "")
    host = given.hostname if given.scheme == "https" else next(iter(lan_addresses()), None)
    if host is None:
        raise DemoFailed(
            "this machine has no address in a private network that a phone could go to;"
            f" name one that it can: {PREFIX}PUBLIC_URL=https://ADDRESS:{PORT}"
        )
    if ":" in host:
        raise DemoFailed(
            f"nothing listens at [{host}]: the laboratory answers by IPv4 alone, so name such an address, or a host"
        )
    wanted = (given.port or 443) if given.scheme == "https" else PORT
    with listen(EVERYWHERE, wanted):
        pass
    certificate = certify(home / FOLDER, [host], besides=names_here(), now=now)
    return PhoneDoor(f"https://{host}:{wanted}", wanted, certificate)


def ways_of_a_phone(door: PhoneDoor) -> list[str]:
    """What a person does to open the technician's page on a phone."""
    known = door.certificate
    again = "trust it anew, also where an earlier one was" if known.authority_is_new else "the same as before"
    return [
        f"a phone in the same network opens {door.url}/field, once it trusts the laboratory's CA:",
        f"  {known.authority.absolute()}  (until {known.authority_until:%Y-%m-%d}; {again})",
        "  bring that file to the phone, by cable or mail; then",
        "  Android: Settings, Security, Encryption & credentials, Install a certificate, CA certificate",
        "  iPhone: open the file, then Settings, General, VPN & Device Management, Install; and",
        "    Settings, General, About, Certificate Trust Settings, switch it on",
        "  the CA is limited to this machine and private networks, which not every phone heeds: take it off afterwards",
    ]
