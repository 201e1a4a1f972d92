"""The laboratory's own certificate authority (CA), and the server's certificate by it.

A phone gives a page its camera and offline work over TLS alone, so it is told to trust this CA. Its certificate limits
it to this machine's names and to addresses in private networks (name constraints, critical: RFC 5280 s4.2.1.10), and it
signs nothing else here. A device that heeds the limits takes nothing else from whoever gets hold of its key, either;
but path validation needn't look at what a trust anchor's own certificate says (RFC 5280 s6.1, s6.2; RFC 5937 tells how
it may), and not every device does. So the key is the owner's alone, and the CA is taken off a phone afterwards.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioning.errors import Fault, FileUnusable, InvalidRequest

AUTHORITY, AUTHORITY_KEY = "firstlight-lab-ca.crt", "firstlight-lab-ca-key.pem"  # phones go by the name's end
CERTIFICATE, CERTIFICATE_KEY = "server.pem", "server-key.pem"
AUTHORITY_LASTS, CERTIFICATE_LASTS = timedelta(days=730), timedelta(days=90)
CLOCKS_DIFFER = timedelta(hours=1)
LOCAL_DOMAINS = ("localhost", "local", "lan", "internal", "home.arpa")
OF_THIS_MACHINE, OF_LANS = ("127.0.0.0/8", "::1/128"), ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
LOCAL_NETWORKS = tuple(ipaddress.ip_network(each) for each in OF_THIS_MACHINE + OF_LANS)
NOBODYS_ADDRESS = ("192.0.2.1", 9)  # RFC 5737; nothing is sent there

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class LabCertificate:
    """The files, and for which names and addresses the server's certificate is good."""

    authority: Path
    certificate: Path
    key: Path
    names: tuple[str, ...]
    authority_until: datetime
    authority_is_new: bool
    """Whoever trusted an earlier one has to trust this one anew."""


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    is_new: bool


def certify(folder: Path, names: Sequence[str], *, besides: Sequence[str] = (), now: datetime) -> LabCertificate:
    """A new server's certificate for these names and addresses, by the CA that is kept in this folder; the CA is made
    where there is none yet, or where its time is nearly over. Keys are readable by their owner alone.

    ``besides``: names that nobody asked for; those that a CA of before (another host name's) can't vouch for are left
    out.

    Raises: InvalidRequest naming every name that this CA can't vouch for; FileUnusable where what is kept is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = _kept(folder, now)
    if faults := [fault for name in names if (fault := _fault_of(name, kept)) is not None]:
        raise InvalidRequest("The certificate", faults)
    names = list(dict.fromkeys([*names, *(name for name in besides if _fault_of(name, kept) is None)]))
    authority = kept or _make_authority(folder, names, now)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _begin("Firstlight laboratory", key, now, CERTIFICATE_LASTS)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    _keep(folder / CERTIFICATE, _pem(certificate), mode=0o644)
    _keep(folder / CERTIFICATE_KEY, _key_pem(key), mode=0o600)
    return LabCertificate(
        authority=folder / AUTHORITY,
        certificate=folder / CERTIFICATE,
        key=folder / CERTIFICATE_KEY,
        names=tuple(names),
        authority_until=authority.certificate.not_valid_after_utc,
        authority_is_new=authority.is_new,
    )


def names_here() -> list[str]:
    """Under what this machine is reached from itself, and from its own network."""
    host = socket.gethostname().lower()
    hosts = ["localhost", host, f"{host.partition('.')[0]}.local"]
    return list(dict.fromkeys([*hosts, "127.0.0.1", "::1", *lan_addresses()]))


def lan_addresses() -> list[str]:
    """This machine's addresses in private networks, the one first by which it would leave; none where it has none."""
    found: list[str] = []
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:  # OSError: no way out at all
        asking.connect(NOBODYS_ADDRESS)
        found.append(asking.getsockname()[0])
    with suppress(OSError):  # its own name needn't be known
        found += [str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    return [each for each in dict.fromkeys(found) if _is_of_a_lan(ipaddress.ip_address(each))]


def _is_of_a_lan(address: Address) -> bool:
    return not address.is_loopback and _is_local(address)


def _is_local(address: Address) -> bool:
    return any(address in network for network in LOCAL_NETWORKS if network.version == address.version)


def _address(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _general(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _fault_of(name: str, kept: _Authority | None) -> Fault | None:
    """What keeps the CA from vouching for this name; a CA that is still to be made vouches for any name of a host."""
    address = _address(name)
    if address is not None:
        return None if _is_local(address) else Fault(name, "is no address of this machine or of a private network")
    if not name.isascii() or not name or any(letter.isspace() or letter in "*/:@" for letter in name):
        return Fault(name or "an empty name", "is no host name")
    if kept is None or any(name == domain or name.endswith(f".{domain}") for domain in _domains(kept.certificate)):
        return None
    return Fault(name, f"is nothing that the CA in {AUTHORITY} may vouch for; without that file a new CA is made")


def _domains(authority: x509.Certificate) -> list[str]:
    limits = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    return [each.value for each in limits.permitted_subtrees or [] if isinstance(each, x509.DNSName)]


def _kept(folder: Path, now: datetime) -> _Authority | None:
    """The CA of this folder, if there is one that outlives what it would sign."""
    paths = folder / AUTHORITY, folder / AUTHORITY_KEY
    if not all(path.exists() for path in paths):
        return None
    try:
        certificate = x509.load_pem_x509_certificate(paths[0].read_bytes())
        key = serialization.load_pem_private_key(paths[1].read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise FileUnusable(str(folder), f"{AUTHORITY} or its key is damaged; without them a new CA is made") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise FileUnusable(str(folder), f"{AUTHORITY} has another key; without both a new CA is made")
    return _Authority(certificate, key, False) if certificate.not_valid_after_utc > now + CERTIFICATE_LASTS else None


def _make_authority(folder: Path, names: Sequence[str], now: datetime) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    hosts = dict.fromkeys([*LOCAL_DOMAINS, *(name for name in names if _address(name) is None)])
    limits = [*map(x509.DNSName, hosts), *map(x509.IPAddress, LOCAL_NETWORKS)]
    called = f"Firstlight laboratory CA of {socket.gethostname()}"[:64]  # X.520: a common name's longest
    begun = _begin(called, key, now, AUTHORITY_LASTS)
    certificate = (
        begun.issuer_name(_called(called))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=limits, excluded_subtrees=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    _keep(folder / AUTHORITY_KEY, _key_pem(key), mode=0o600)
    _keep(folder / AUTHORITY, _pem(certificate), mode=0o644)
    return _Authority(certificate, key, True)


def _begin(called: str, key: ec.EllipticCurvePrivateKey, now: datetime, lasts: timedelta) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_called(called))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _keep(path: Path, content: bytes, *, mode: int) -> None:
    """In the place of what was there, and never readable by more than shall read it, not for a moment."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
