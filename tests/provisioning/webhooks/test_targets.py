"""Where webhooks may lead: outside by https, inside only where a setting says so, and never by a trick of names."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provisioning.webhooks import TargetRefused, Targets, TargetUnresolved, WebhookSender
from provisioning.webhooks.targets import Resolve, is_public
from provisioning.worker import outgoing_http
from tests.support.http_receiver import HttpReceiver

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LOOPBACK = (ip_network("127.0.0.0/8"),)


def resolving(*addresses: str) -> Resolve:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1"])
def test_addresses_outside_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.0.8",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fec0::1",
        "fd00::1",
        "ff02::1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "::7f00:1",
        "::ffff:0:7f00:1",
        "5f00::1",
        "3fff::1",
        "2001:0:53aa:64c::1",
    ],
)
def test_addresses_that_lead_inside_are_not(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://hooks.example/firstlight?tenant=north", None),
        ("https://hooks.example:8443/", None),
        ("http://hooks.example/", "is not https"),
        ("https://nora:secret@hooks.example/", "has a login in it"),
        ("ftp://hooks.example/", "is no https address"),
        ("https:///hooks", "is no https address"),
        ("https://hooks.example:0/", "is no https address"),
        ("https://hooks.example:99999/", "is no https address"),
        ("https://hooks.example/\r\nHost: inside", "is no https address"),
        ("https://[::1]/", "::1 is no public address"),
        ("https://[::ffff:10.0.0.1]/", "10.0.0.1 is no public address"),
        ("https://10.0.0.1/", "10.0.0.1 is no public address"),
    ],
)
def test_what_an_address_may_be(url: str, fault: str | None) -> None:
    found = Targets().fault_of(url)
    assert found is None if fault is None else fault in str(found)


async def test_a_name_with_one_address_inside_is_refused_whole() -> None:
    targets = Targets(resolve=resolving("93.184.215.14", "169.254.169.254"))
    with pytest.raises(TargetRefused, match=r"169\.254\.169\.254 is no public address"):
        await targets.target("https://hooks.example/")


async def test_http_goes_to_the_networks_of_the_setting_alone() -> None:
    with pytest.raises(TargetRefused, match="where only https may go"):
        await Targets(LOOPBACK, resolving("93.184.215.14")).target("http://hooks.example/")
    inside = await Targets(LOOPBACK, resolving("127.0.0.1")).target("http://hooks.example/in")
    assert inside.at("127.0.0.1") == "http://127.0.0.1/in"


async def test_a_name_without_an_address_is_tried_again() -> None:
    with pytest.raises(TargetUnresolved):
        await Targets(resolve=resolving()).target("https://hooks.example/")


@pytest.mark.parametrize("trick", ["127.1", "0x7f000001", "2130706433"])
async def test_an_address_in_disguise_is_what_it_means(trick: str) -> None:
    with pytest.raises(TargetRefused, match=r"127\.0\.0\.1 is no public address"):
        await Targets().target(f"https://{trick}/")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of hooks.example."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a receiver of the tests")])
    today = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "receiver.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return file


async def test_the_address_is_looked_up_once_and_the_certificate_must_be_the_names(certificate: Path) -> None:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate)
    async with (
        HttpReceiver(served) as receiver,
        httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(certificate)), trust_env=False) as http,
    ):
        # the first of the two takes no connection: nobody listens there
        sender = WebhookSender(http, Targets(LOOPBACK, resolving("127.0.0.2", "127.0.0.1")), now=lambda: NOW)
        taken = await sender.send(f"https://hooks.example:{receiver.port}/in", b"{}", {})
        refused = await sender.send(f"https://other.example:{receiver.port}/in", b"{}", {})
    assert (taken.why_not, taken.status) == (None, 200)
    assert "certificate is not valid for 'other.example'" in str(refused.why_not)
    assert [(each.target, each.headers["host"]) for each in receiver.received] == [
        ("/in", f"hooks.example:{receiver.port}")
    ]


async def test_a_client_keeps_no_cookie(receiver: HttpReceiver) -> None:
    receiver.cookie = "session=north; Path=/"
    async with outgoing_http() as http:
        for _ in range(2):
            await http.post(f"http://127.0.0.1:{receiver.port}/hooks", content=b"{}")
    assert [each.headers.get("cookie") for each in receiver.received] == [None, None]
