"""A browser's own store of trusted authorities, as its user fills it: Debian's Chromium reads NSS' database."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

VALID_CA, TRUSTED_CA = 0x08, 0x10  # NSS certdb.h: CERTDB_VALID_CA, CERTDB_TRUSTED_CA


class _Trust(ctypes.Structure):
    """NSS certt.h: CERTCertTrust."""

    _fields_ = (("ssl", ctypes.c_uint), ("email", ctypes.c_uint), ("signing", ctypes.c_uint))


class _Item(ctypes.Structure):
    """NSS seccomon.h: SECItem."""

    _fields_ = (("type", ctypes.c_int), ("data", ctypes.c_char_p), ("length", ctypes.c_uint))


def trust(home: Path, authority: Path) -> None:
    """What ``certutil -A -t C,,`` does, by the library that comes with Chromium: this home's browsers trust the CA."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    # in a process of its own: the library can be opened once in each
    subprocess.run([sys.executable, "-m", "tests.support.trust", str(store), str(authority)], check=True)


def _write(store: str, authority: Path) -> None:
    nss = ctypes.CDLL("libnss3.so")
    nss.PK11_GetInternalKeySlot.restype = ctypes.c_void_p
    nss.CERT_GetDefaultCertDB.restype = ctypes.c_void_p
    nss.CERT_NewTempCertificate.restype = ctypes.c_void_p
    der = x509.load_pem_x509_certificate(authority.read_bytes()).public_bytes(Encoding.DER)
    _succeeds(nss.NSS_InitReadWrite(f"sql:{store}".encode()), "open")
    slot = ctypes.c_void_p(nss.PK11_GetInternalKeySlot())
    if nss.PK11_NeedUserInit(slot):
        _succeeds(nss.PK11_InitPin(slot, None, b""), "begin")
    known = ctypes.c_void_p(nss.CERT_GetDefaultCertDB())
    item = ctypes.byref(_Item(0, der, len(der)))
    certificate = ctypes.c_void_p(nss.CERT_NewTempCertificate(known, item, None, 0, 1))
    _succeeds(nss.PK11_ImportCert(slot, certificate, ctypes.c_ulong(0), b"laboratory", 0), "import")
    trusted = ctypes.byref(_Trust(VALID_CA | TRUSTED_CA, 0, 0))
    _succeeds(nss.CERT_ChangeCertTrust(known, certificate, trusted), "trust")
    nss.CERT_DestroyCertificate(certificate)
    nss.PK11_FreeSlot(slot)
    _succeeds(nss.NSS_Shutdown(), "close")


def _succeeds(status: int, act: str) -> None:
    if status != 0:
        raise OSError(f"NSS could not {act}")


if __name__ == "__main__":
    _write(sys.argv[1], Path(sys.argv[2]))
