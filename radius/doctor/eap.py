"""What is wrong with the certificate that FreeRADIUS shows in EAP, and with its key: looked at by
``radius.doctor.examination`` where EAP is served, only read.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from radius.doctor.raddb import Raddb
from radius.doctor.traps import Trap

SOON = timedelta(days=14)
SNAKEOIL = Path("/etc/ssl/certs/ssl-cert-snakeoil.pem")
"""The certificate that Debian's package ssl-cert makes on each machine, to try things with."""
EXAMPLE = "Example Inc."
"""In whose name FreeRADIUS' own certificates for tests are (raddb/certs/server.cnf)."""

_RESTART = "systemctl restart freeradius"
_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----\s*", re.DOTALL)


def eap_traps(raddb: Raddb, unseen: list[str], *, now: datetime) -> list[Trap]:
    """Every trap of the certificates and keys that a server shows in EAP; none where no EAP is served.

    What could not be looked at comes to ``unseen``.
    """
    traps: list[Trap] = []
    for certificate, key in dict.fromkeys(_shown(raddb)):
        if "$ENV{" in certificate + key:
            unseen.append(f"EAP's certificate {certificate} and key {key}: what they stand for is not set here")
            continue
        traps += [*_of_certificate(Path(certificate), unseen, now), *_of_key(Path(key), Path(certificate), unseen)]
    return traps


def shown_files(raddb: Raddb) -> Iterator[Path]:
    """The files of certificates that a server shows in EAP, as far as it is known here what they stand for."""
    for certificate, _ in _shown(raddb):
        if "$ENV{" not in certificate:
            yield Path(certificate)


def _shown(raddb: Raddb) -> Iterator[tuple[str, str]]:
    """The files of certificate and key of each EAP that a server calls; one file may have both."""
    asked = [each for server in raddb.servers() for each in server.named("authorize")]
    parts = [part for each in asked for part in raddb.followed(each)]
    called = {name.lstrip("-") for part in parts for name in (part.name, *part.calls)}
    for modules in raddb.root.named("modules"):
        for module in modules.named("eap"):
            if (module.instance or module.name) not in called:
                continue
            for section in module.every():
                certificate = section.value("certificate_file")
                if certificate is not None:
                    key = section.value("private_key_file") or certificate
                    yield raddb.resolved(certificate), raddb.resolved(key)


def _of_certificate(path: Path, unseen: list[str], now: datetime) -> Iterator[Trap]:
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except FileNotFoundError:
        yield _unfit(path, "is missing")
        return
    except OSError as error:
        unseen.append(f"EAP's certificate: {path} can't be read ({error.strerror})")
        return
    except (ValueError, x509.InvalidVersion):
        yield _unfit(path, "holds no certificate as PEM")
        return
    if _is_for_tests(path, chain[0]):
        yield Trap(
            trap="eap_test_certificate",
            what=f"EAP shows {path}, a certificate that was made for tests",
            why="No device can know it from anybody else's, so whoever puts up a server of his own gets passwords.",
            fix="have one made for this server's name by an authority that your devices are told to trust, name it and"
            f" its key (FIRSTLIGHT_FREERADIUS_EAP_CERTIFICATE and _KEY), and {_RESTART}",
        )
    for each in chain:
        yield from _of_time(path, each, now)


def _of_time(path: Path, certificate: x509.Certificate, now: datetime) -> Iterator[Trap]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    of, until = f"EAP's certificate {path} of {named(certificate)}", f"{ends:%Y-%m-%d %H:%M} UTC"
    renew = f"have it renewed, with the chain behind it, into {path}, and {_RESTART}, which takes it up"
    if ends <= now:
        yield Trap(
            trap="eap_certificate_run_out",
            what=f"{of} ran out at {until}",
            why="Devices that look at it do not log in any more, and the log tells eap_failed of them.",
            fix=renew,
        )
    elif ends < now + SOON:
        yield Trap(
            trap="eap_certificate_runs_out",
            what=f"{of} runs out at {until}, {_in_days((ends - now).days)}",
            why="From then on devices that look at it do not log in.",
            fix=renew,
        )
    if begins > now:
        yield Trap(
            trap="eap_certificate_too_early",
            what=f"{of} is not valid before {begins:%Y-%m-%d %H:%M} UTC",
            why="Until then devices that look at it do not log in.",
            fix=f"timedatectl, whether the clock is right; else put the former certificate back, and {_RESTART}",
        )


def _in_days(days: int) -> str:
    return f"in {days} days" if days > 1 else "in a day" if days else "within a day"


def _of_key(path: Path, certificate: Path, unseen: list[str]) -> Iterator[Trap]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        yield _unfit(path, "is missing")
        return
    except OSError as error:
        unseen.append(f"who may read EAP's key: {path} can't be looked at ({error.strerror})")
        return
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        yield Trap(
            trap="eap_key_open",
            what=f"EAP's key {path} can be {'read' if mode & stat.S_IROTH else 'written'} by everybody (mode {mode:o})",
            why="Whoever has it is this server to every device, and gets what they log in with.",
            fix=f"chmod o= {path}; if others were on this machine, have another key and certificate made",
        )
    yield from _of_pair(path, certificate, unseen)


def _of_pair(path: Path, certificate: Path, unseen: list[str]) -> Iterator[Trap]:
    """Whether it is the certificate's key; of a certificate that is unfit that was said before."""
    try:
        written = _PRIVATE_KEY.search(path.read_bytes())
        if written is None:
            yield _unfit(path, "holds no private key as PEM")
            return
        key = load_pem_private_key(written[0], password=None)
    except OSError as error:
        unseen.append(f"EAP's key: {path} can't be read ({error.strerror})")
        return
    except TypeError:
        unseen.append(f"whether EAP's key {path} is that of {certificate}: it has a passphrase")
        return
    except (ValueError, UnsupportedAlgorithm):
        yield _unfit(path, "holds a private key that can't be read")
        return
    try:
        [shown, *_] = x509.load_pem_x509_certificates(certificate.read_bytes())
    except (OSError, ValueError, x509.InvalidVersion):
        return
    if key.public_key() != shown.public_key():
        yield _unfit(path, f"is another key than that of {certificate}")


def _unfit(path: Path, reason: str) -> Trap:
    return Trap(
        trap="eap_certificate_unfit",
        what=f"{path}, which EAP needs, {reason}",
        why="FreeRADIUS does not start with it: after its next restart nobody logs in, with EAP or without.",
        fix=f"put certificate and key there as PEM, then {_RESTART}",
    )


def _is_for_tests(path: Path, certificate: x509.Certificate) -> bool:
    """Debian's, under whatever name, or FreeRADIUS' own."""
    told = certificate.public_bytes(Encoding.PEM).strip()
    is_debians = path.resolve().name == SNAKEOIL.name or (SNAKEOIL.is_file() and told in SNAKEOIL.read_bytes())
    return is_debians or EXAMPLE in _said(certificate, NameOID.ORGANIZATION_NAME)


def named(certificate: x509.Certificate) -> str:
    """Whose it is."""
    return next(iter(_said(certificate, NameOID.COMMON_NAME)), certificate.subject.rfc4514_string())


def _said(certificate: x509.Certificate, part: x509.ObjectIdentifier) -> Sequence[str]:
    return [str(each.value) for each in certificate.subject.get_attributes_for_oid(part)]
