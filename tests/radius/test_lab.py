"""The lab itself: it believes no reply without proof, takes silence for silence, and says why a server did not come
up."""

from __future__ import annotations

import asyncio
import shutil
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy.engine import make_url

from radius.attributes import ATTRIBUTES
from radius.nas.packets import dictionary
from radius.testing import FreeRadiusFailed, FreeRadiusMissing, FreeRadiusServer, LabNas, LabSession, NoAnswer
from radius.testing import freeradius_server as server_module
from radius.testing.freeradius_server import libpq_string
from radius.testing.wire import new_request
from tests.support.freeradius import RADDB, RadiusBackend, prepare_radius_database

SECRET = "a-lab-secret-of-24-chars"
Answer = Callable[[bytes], list[bytes]]


class _Impostor(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for packet in self._answer(data):
            self._transport.sendto(packet, addr)


async def _login_at(answer: Answer, *, timeout_seconds: float = 6.0) -> str:
    """What a NAS takes from a server that answers like this. Short is its patience only with one that never answers."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Impostor(answer), local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    nas = LabNas(name="bng", secret=SECRET, auth_port=port, acct_port=port, timeout_seconds=timeout_seconds)
    try:
        return (await nas.login("anna", "sesame")).code
    finally:
        transport.close()


def _reply(request: bytes, *, code: int = 2, secret: str = SECRET, signed: bool = True) -> bytes:
    asked = new_request(1, secret)
    asked.id, asked.authenticator = request[1], request[4:20]
    reply = asked.CreateReply(message_authenticator=signed)
    reply.code = code
    packet: bytes = reply.ReplyPacket()
    return packet


async def test_a_genuine_accept_is_taken() -> None:
    assert await _login_at(lambda request: [_reply(request)]) == "Access-Accept"


@pytest.mark.parametrize(
    "forge",
    [
        lambda request: _reply(request, secret="guessed-by-somebody-else"),
        lambda request: _reply(request, signed=False),
        lambda request: _reply(bytes([request[0], (request[1] + 1) % 256]) + request[2:]),
        lambda request: b"",
        lambda request: b"\x02",
        lambda request: bytes([2, request[1]]) + struct.pack("!H", 4096) + request[4:20],
        # a vendor attribute whose inner length is 0: older clients never came back from it
        lambda request: (
            bytes([2, request[1]]) + struct.pack("!H", 28) + request[4:20] + b"\x1a\x08\x00\x00\x37\x2a\x08\x00"
        ),
        lambda request: bytes([2, request[1]]) + struct.pack("!H", 24) + request[4:20] + b"\x50\x04\x00\x00",
    ],
)
async def test_a_forged_or_broken_reply_is_dropped_and_the_genuine_one_behind_it_is_taken(
    forge: Callable[[bytes], bytes],
) -> None:
    assert await _login_at(lambda request: [forge(request), _reply(request, code=3)]) == "Access-Reject"
    with pytest.raises(NoAnswer):
        await _login_at(lambda request: [forge(request)], timeout_seconds=0.3)


async def test_a_request_is_sent_again_unchanged_while_nobody_answers() -> None:
    seen: list[bytes] = []

    def answer_the_third(request: bytes) -> list[bytes]:
        seen.append(request)
        return [_reply(request)] if len(seen) == 3 else []

    assert await _login_at(answer_the_third, timeout_seconds=1.5) == "Access-Accept"
    assert len(set(seen)) == 1


async def test_silence_is_no_reject_and_may_pass() -> None:
    with pytest.raises(NoAnswer) as silence:
        await _login_at(lambda request: [], timeout_seconds=0.3)
    assert silence.value.transient
    assert silence.value.code == "radius.no_answer"
    nobody = LabNas(name="bng", secret=SECRET, auth_port=9, acct_port=9, timeout_seconds=0.1)
    with pytest.raises(NoAnswer):
        await nobody.accounting_start(LabSession("anna"))


def test_the_lab_speaks_every_wire_attribute_of_the_table_of_facts() -> None:
    known = dictionary()
    assert all((fact.name in known) == (fact.number is not None) for fact in ATTRIBUTES.values())


def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "raddb"
    shutil.copytree(RADDB, broken)
    (broken / "modules.conf").write_text("no_such_module {\n}\n")
    server = FreeRadiusServer(
        raddb=broken, run_dir=tmp_path / "run", database_url=f"sqlite+aiosqlite:///{tmp_path}/radius.db"
    )
    with pytest.raises(FreeRadiusFailed) as failed:
        server.start()
    assert "no_such_module" in failed.value.log_tail
    assert not server.running


def test_a_missing_server_is_an_error_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_PROGRAM_FOLDERS", str(tmp_path))
    server = FreeRadiusServer(raddb=RADDB, run_dir=tmp_path / "run", database_url="sqlite+aiosqlite:///x.db")
    with pytest.raises(FreeRadiusMissing, match="apt-get install freeradius freeradius-postgresql"):
        server.start()


def test_a_configuration_that_others_may_write_is_copied_to_where_they_may_not(tmp_path: Path) -> None:
    checkout = tmp_path / "raddb"
    shutil.copytree(RADDB, checkout)
    for path in (checkout, *checkout.rglob("*")):
        path.chmod(0o777)
    url = f"sqlite+aiosqlite:///{tmp_path}/radius.db"
    prepare_radius_database(url, None)
    with FreeRadiusServer(raddb=checkout, run_dir=tmp_path / "run", database_url=url):
        pass  # it answered, or this line is never reached
    copied = [tmp_path / "run" / "raddb", *(tmp_path / "run" / "raddb").rglob("*")]
    assert not any(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) for path in copied)


def test_the_status_secret_is_in_no_file_and_no_log(freeradius: RadiusBackend) -> None:
    secret = freeradius.server._status_secret
    run_dir = freeradius.server._run_dir
    files = [path for path in run_dir.rglob("*") if path.is_file()]
    assert files
    assert not any(secret.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize(
    ("url", "schema", "words"),
    [
        (
            "postgresql+psycopg://postgres@/t_1?host=/tmp/pg",
            "radius",
            "host=/tmp/pg user=postgres dbname=t_1 options=-csearch_path=radius",
        ),
        (
            "postgresql+psycopg://isp:hunter2@db.example:5433/isp?sslmode=verify-full",
            None,
            "host=db.example port=5433 user=isp dbname=isp sslmode=verify-full",
        ),
        ("postgresql+psycopg://o%27b@h/d%20b", None, "host=h user='o\\'b' dbname='d b'"),
    ],
)
def test_a_database_url_is_told_in_libpqs_words_without_its_password(url: str, schema: str | None, words: str) -> None:
    assert libpq_string(make_url(url), schema) == words
