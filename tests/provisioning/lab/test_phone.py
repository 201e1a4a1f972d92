"""How a phone gets at the laboratory: at this machine's address, by a CA that stays when the laboratory is emptied."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from provisioning.api.errors import AddressUnusable
from provisioning.lab import authority, demo, phone
from provisioning.lab.errors import DemoFailed
from provisioning.lab.phone import open_phone_door, ways_of_a_phone

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def free_port() -> int:
    with socket.create_server(("0.0.0.0", 0)) as one:
        port: int = one.getsockname()[1]
    return port


@pytest.fixture(autouse=True)
def at_a_lan(monkeypatch: pytest.MonkeyPatch) -> int:
    """The machine has this one address in a network; the port at which a laboratory answers there."""
    for module in (authority, phone):
        monkeypatch.setattr(module, "lan_addresses", lambda: ["192.168.7.9"])
    port = free_port()
    monkeypatch.setattr(phone, "PORT", port)
    return port


def test_a_phone_goes_to_the_machines_address_in_its_network(tmp_path: Path, at_a_lan: int) -> None:
    door = open_phone_door(tmp_path, public_url=None, now=NOW)
    assert (door.url, door.port) == (f"https://192.168.7.9:{at_a_lan}", at_a_lan)
    certificate = x509.load_pem_x509_certificate(door.certificate.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(each) for each in names.get_values_for_type(x509.IPAddress)} == {"192.168.7.9", "127.0.0.1", "::1"}
    [opens, trusted, *_] = ways_of_a_phone(door)
    assert f"opens https://192.168.7.9:{at_a_lan}/field, once" in opens
    assert str(tmp_path / "tls" / "firstlight-lab-ca.crt") in trusted and "trust it anew" in trusted


def test_it_goes_to_the_public_address_if_that_is_one_of_tls(tmp_path: Path, at_a_lan: int) -> None:
    door = open_phone_door(tmp_path, public_url=f"https://Bench.lan:{at_a_lan}", now=NOW)
    assert (door.url, door.certificate.names[0]) == (f"https://bench.lan:{at_a_lan}", "bench.lan")
    plain = open_phone_door(tmp_path, public_url="http://bench.lan", now=NOW)
    assert plain.url == f"https://192.168.7.9:{at_a_lan}"


def test_the_ca_outlives_the_laboratory_and_nothing_else_does(tmp_path: Path) -> None:
    first = open_phone_door(tmp_path, public_url=None, now=NOW)
    (tmp_path / "firstlight.db").write_text("old")
    (tmp_path / "mail").mkdir()
    demo._empty_folder(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["tls"]
    again = open_phone_door(tmp_path, public_url=None, now=NOW)
    assert (first.certificate.authority_is_new, again.certificate.authority_is_new) == (True, False)
    assert "the same as before" in ways_of_a_phone(again)[1]


def test_a_machine_without_a_network_and_a_port_that_is_taken_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_lan: int
) -> None:
    with socket.create_server(("0.0.0.0", at_a_lan)), pytest.raises(AddressUnusable, match="in use"):
        open_phone_door(tmp_path, public_url=None, now=NOW)
    monkeypatch.setattr(phone, "lan_addresses", lambda: [])
    with pytest.raises(DemoFailed, match="name one that it can: FIRSTLIGHT_PUBLIC_URL=https://ADDRESS:"):
        open_phone_door(tmp_path, public_url=None, now=NOW)


def test_an_address_where_nothing_listens_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(DemoFailed, match=r"^nothing listens at \[fd00::5\]: the laboratory answers by IPv4 alone"):
        open_phone_door(tmp_path, public_url="https://[fd00::5]:8443", now=NOW)
    assert list(tmp_path.iterdir()) == []
