"""TLS and login: given to a trusted server only, and never in clear."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provisioning.commercial.mails.smtp import HandOver, Letter, SmtpSettings, hand_over
from provisioning.commercial.testing import MailSink

LOGIN = ("firstlight", "correct horse")
LETTER = Letter("<1@isp.example>", "ada@example.com", "Hello", "text", "<p>html</p>", datetime(2026, 3, 2, tzinfo=UTC))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for the loopback address, and a server's context that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail sink of the tests")])
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
    folder = tmp_path_factory.mktemp("tls")
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    return certificate_file, context


@pytest.fixture
async def guarded(tmp_path: Path, certificate: tuple[Path, ssl.SSLContext]) -> AsyncIterator[MailSink]:
    async with MailSink(tmp_path / "guarded", tls=certificate[1], login=LOGIN) as running:
        yield running


async def offer(sink: MailSink, certificate: Path | None, **options: object) -> HandOver:
    ca_file = str(certificate) if certificate else None
    return await hand_over(LETTER, sink.settings("noreply@isp.example", ca_file=ca_file, **options))


async def test_a_login_under_starttls_is_accepted(guarded: MailSink, certificate: tuple[Path, ssl.SSLContext]) -> None:
    ended = await offer(guarded, certificate[0], tls="starttls", username=LOGIN[0], password=LOGIN[1])
    assert (ended.outcome, ended.reply_code) == ("sent", 250)
    assert guarded.copies() == {"<1@isp.example>": 1}


async def test_a_wrong_password_asks_for_other_settings_and_does_not_repeat_it(
    guarded: MailSink, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    ended = await offer(guarded, certificate[0], tls="starttls", username=LOGIN[0], password="battery staple")
    assert (ended.outcome, ended.reply_code) == ("untrusted", 535)
    assert "battery staple" not in ended.reply


async def test_a_certificate_nobody_vouches_for_gets_no_password(guarded: MailSink) -> None:
    ended = await offer(guarded, None, tls="starttls", username=LOGIN[0], password=LOGIN[1])
    assert ended.outcome == "untrusted"
    assert "certificate verify failed" in ended.reply
    assert guarded.mails() == []


async def test_a_server_that_wants_tls_or_login_first_asks_for_other_settings(guarded: MailSink) -> None:
    ended = await offer(guarded, None)
    assert (ended.outcome, ended.reply_code) == ("untrusted", 530)


async def test_starttls_never_falls_back_to_clear_text(
    sink: MailSink, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    ended = await offer(sink, certificate[0], tls="starttls")
    assert ended.outcome == "untrusted"
    assert "STARTTLS" in ended.reply
    assert sink.mails() == []


async def test_a_login_at_a_server_that_knows_none_asks_for_other_settings(sink: MailSink) -> None:
    ended = await offer(sink, None, username=LOGIN[0], password=LOGIN[1])
    assert ended.outcome == "untrusted"


async def test_tls_from_the_first_byte(tmp_path: Path, certificate: tuple[Path, ssl.SSLContext]) -> None:
    async with MailSink(tmp_path / "smtps", tls=certificate[1], implicit_tls=True) as sink:
        assert (await offer(sink, certificate[0], tls="tls")).outcome == "sent"
        assert (await offer(sink, None, tls="tls")).outcome == "untrusted"
        assert len(sink.mails()) == 1


async def test_a_missing_ca_file_asks_for_other_settings(sink: MailSink, tmp_path: Path) -> None:
    assert (await offer(sink, tmp_path / "nowhere.pem", tls="tls")).outcome == "untrusted"


def test_the_password_is_not_in_the_settings_repr() -> None:
    assert "horse" not in repr(SmtpSettings(host="h", port=25, sender="a@b.example", password=LOGIN[1]))
