"""The laboratory's own CA: what it vouches for, what it never could, and how long it is kept."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from provisioning.errors import FileUnusable, InvalidRequest
from provisioning.lab import authority
from provisioning.lab.authority import AUTHORITY, AUTHORITY_KEY, certify, lan_addresses, names_here

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_keys_are_their_owners_alone_and_the_certificate_is_good_for_ninety_days(tmp_path: Path) -> None:
    made = certify(tmp_path / "tls", ["localhost", "10.1.2.3"], now=NOW)
    modes = {each.name: oct(each.stat().st_mode & 0o777) for each in (tmp_path / "tls").iterdir()}
    assert modes == {
        "firstlight-lab-ca.crt": "0o644",
        "firstlight-lab-ca-key.pem": "0o600",
        "server.pem": "0o644",
        "server-key.pem": "0o600",
    }
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    assert certificate.not_valid_after_utc == NOW + timedelta(days=90)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["10.1.2.3"]
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(made.certificate, made.key)


def test_the_ca_is_kept_for_the_next_certificate_until_its_time_is_nearly_over(tmp_path: Path) -> None:
    first = certify(tmp_path, ["localhost"], now=NOW)
    authority_of_first, certificate = first.authority.read_bytes(), first.certificate.read_bytes()
    again = certify(tmp_path, ["localhost"], now=NOW + timedelta(days=600))
    assert (first.authority_is_new, again.authority_is_new) == (True, False)
    assert again.authority.read_bytes() == authority_of_first and again.certificate.read_bytes() != certificate
    late = certify(tmp_path, ["localhost"], now=NOW + timedelta(days=641))
    assert late.authority_is_new and late.authority.read_bytes() != authority_of_first
    assert late.authority_until == NOW + timedelta(days=641 + 730)


def test_names_of_elsewhere_are_refused_all_at_once_and_whoever_has_the_key_gets_no_further(tmp_path: Path) -> None:
    certify(tmp_path, ["localhost"], now=NOW)
    with pytest.raises(InvalidRequest) as refused:
        certify(tmp_path, ["bank.example", "198.51.100.7", "*", "box.lan", "192.168.7.9"], now=NOW)
    assert [(fault.field, fault.reason) for fault in refused.value.faults] == [
        ("bank.example", f"is nothing that the CA in {AUTHORITY} may vouch for; without that file a new CA is made"),
        ("198.51.100.7", "is no address of this machine or of a private network"),
        ("*", "is no host name"),
    ]


def test_of_names_that_nobody_has_given_those_that_the_kept_ca_cannot_vouch_for_are_left_out(tmp_path: Path) -> None:
    here = ["localhost", "bench-3.isp.example", "bench-3.local", "192.168.7.9"]
    first = certify(tmp_path, ["box.lan"], besides=here, now=NOW)
    assert first.names == ("box.lan", *here)
    renamed = ["localhost", "bench-4.isp.example", "bench-4.local", "192.168.7.9"]
    again = certify(tmp_path, ["box.lan"], besides=renamed, now=NOW)
    assert not again.authority_is_new
    assert again.names == ("box.lan", "localhost", "bench-4.local", "192.168.7.9")
    with pytest.raises(InvalidRequest, match=r"bench-4\.isp\.example"):
        certify(tmp_path, ["bench-4.isp.example"], besides=renamed, now=NOW)


@pytest.mark.parametrize(("name", "is_believed"), [("box.lan", True), ("bank.example", False)])
def test_a_verifier_believes_the_ca_within_its_limits_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_believed: bool
) -> None:
    certify(tmp_path, ["localhost"], now=NOW)
    monkeypatch.setattr(authority, "_fault_of", lambda *_: None)  # as somebody would who has taken the key
    made = certify(tmp_path, [name], now=NOW)
    root = x509.load_pem_x509_certificate(made.authority.read_bytes())
    verifier = PolicyBuilder().store(Store([root])).time(NOW).build_server_verifier(x509.DNSName(name))
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    if is_believed:
        assert verifier.verify(certificate, []) == [certificate, root]
    else:
        with pytest.raises(VerificationError):
            verifier.verify(certificate, [])


def test_a_ca_that_is_damaged_is_told_and_never_replaced_behind_ones_back(tmp_path: Path) -> None:
    certify(tmp_path, ["localhost"], now=NOW)
    other = certify(tmp_path / "other", ["localhost"], now=NOW)
    (tmp_path / AUTHORITY_KEY).write_bytes((other.authority.parent / AUTHORITY_KEY).read_bytes())
    with pytest.raises(FileUnusable, match="has another key"):
        certify(tmp_path, ["localhost"], now=NOW)
    (tmp_path / AUTHORITY).write_text("half a file")
    with pytest.raises(FileUnusable, match="is damaged"):
        certify(tmp_path, ["localhost"], now=NOW)


def test_the_names_of_this_machine_are_those_it_is_reached_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Bench-3.isp.example")
    monkeypatch.setattr(authority, "lan_addresses", lambda: ["192.168.7.9"])
    assert names_here() == [
        *("localhost", "bench-3.isp.example", "bench-3.local"),
        *("127.0.0.1", "::1", "192.168.7.9"),
    ]


def test_of_this_machines_addresses_those_in_private_networks_count(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["127.0.1.1", "203.0.113.4", "10.8.0.3", "10.8.0.3"]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in own]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    assert [each for each in lan_addresses() if each == "10.8.0.3"] == ["10.8.0.3"]
    assert not {"127.0.1.1", "203.0.113.4"} & set(lan_addresses())
