"""The certificate and key that the server answers TLS with: looked at before anybody is served, all faults at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from provisioning.api.errors import CertificateRefused
from provisioning.errors import Fault

CERTIFICATE, KEY = "--certificate", "--key"
STRANGE = "has a key of a kind that is not known here"
SOON = timedelta(days=14)
EVERYBODY = 0o007

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TlsFiles:
    """PEM files that were found to go together."""

    certificate: Path
    key: Path


def tls_files(certificate: Path | None, key: Path | None, *, now: datetime) -> TlsFiles | None:
    """The files, if they can be served with at this time; None where none are named. A certificate that runs out within
    two weeks is logged.

    Raises: CertificateRefused naming everything that is wrong with either: missing, not to be read, no PEM, not yet or
    not any more valid, a key of a kind that is not known, sealed by a passphrase, open to everybody, or another
    certificate's.
    """
    if certificate is None and key is None:
        return None
    faults: list[Fault] = []
    first = _certificate(certificate, now, faults)
    secret = _key(key, faults)
    if first is not None and secret is not None and _public(first) != _public(secret):
        faults.append(Fault(KEY, f"{key} belongs to another certificate than {certificate}"))
    if faults or certificate is None or key is None or first is None:
        raise CertificateRefused(faults)
    if first.not_valid_after_utc < now + SOON:
        log.warning("the certificate runs out soon", file=str(certificate), until=first.not_valid_after_utc.isoformat())
    return TlsFiles(certificate, key)


def _certificate(path: Path | None, now: datetime, faults: list[Fault]) -> x509.Certificate | None:
    """The first of the file's chain: the server's own."""
    content = _content(CERTIFICATE, path, faults)
    if content is None:
        return None
    try:
        found = x509.load_pem_x509_certificates(content)[0]
    except (ValueError, x509.InvalidVersion):
        faults.append(Fault(CERTIFICATE, f"{path} holds no certificate as PEM"))
        return None
    if found.not_valid_after_utc <= now:
        faults.append(Fault(CERTIFICATE, f"{path} has run out at {_moment(found.not_valid_after_utc)}"))
    if found.not_valid_before_utc > now:
        faults.append(Fault(CERTIFICATE, f"{path} is not valid before {_moment(found.not_valid_before_utc)}"))
    try:
        found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        faults.append(Fault(CERTIFICATE, f"{path} {STRANGE}"))
        return None
    return found


def _key(path: Path | None, faults: list[Fault]) -> PrivateKeyTypes | None:
    """What goes wrong here never tells what stands in the file."""
    content = _content(KEY, path, faults)
    if path is None or content is None:
        return None
    if path.stat().st_mode & EVERYBODY:
        faults.append(Fault(KEY, f"{path} is open to everybody: chmod o= {path}"))
    try:
        return load_pem_private_key(content, password=None)
    except TypeError:
        faults.append(Fault(KEY, f"{path} is sealed by a passphrase, which nobody could type at a start by itself"))
    except UnsupportedAlgorithm:
        faults.append(Fault(KEY, f"{path} {STRANGE}"))
    except ValueError:
        faults.append(Fault(KEY, f"{path} holds no private key as PEM"))
    return None


def _content(option: str, path: Path | None, faults: list[Fault]) -> bytes | None:
    if path is None:
        faults.append(Fault(option, "is missing: a certificate and its key are named together"))
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        faults.append(Fault(option, f"{path} can't be read: {error.strerror or 'no reason given'}"))
        return None


def _public(of: x509.Certificate | PrivateKeyTypes) -> bytes:
    return of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
