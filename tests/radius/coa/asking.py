"""The product's own senders, pointed at the FreeRADIUS of ``coa_receiver``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from radius import Retransmission
from radius.coa.coa import CoaAnswer, ask_to_change
from radius.coa.disconnect import DisconnectAnswer, ask_to_disconnect
from radius.coa.dynamic_authorization import NasDoor, SessionIdentity
from radius.coa.wire import Words
from tests.support.coa_receiver import SECRET, CoaReceiver, Received

PATIENTLY = Retransmission(sends=4, first_wait_seconds=3.0)
QUICKLY = Retransmission(sends=3, first_wait_seconds=0.05)
SAID = {
    "User-Name": "müller@isp.example",
    "NAS-IP-Address": "192.0.2.7",
    "Acct-Session-Id": "80a0#1",
    "Framed-IP-Address": "100.64.7.9",
}
RATE: Words = (("Mikrotik-Rate-Limit", "20000k/100000k"),)


def door(receiver: CoaReceiver, **more: Any) -> NasDoor:
    return NasDoor(**{"name": "bng", "address": receiver.address, "port": receiver.port, "secret": SECRET, **more})


def session(session_id: str) -> SessionIdentity:
    return SessionIdentity(SAID["User-Name"], session_id, SAID["NAS-IP-Address"], SAID["Framed-IP-Address"])


async def disconnect(at: NasDoor, session_id: str, how_often: Retransmission = PATIENTLY) -> DisconnectAnswer:
    return await ask_to_disconnect(at, session(session_id), now=datetime.now(UTC), retransmission=how_often)


async def change(at: NasDoor, session_id: str, words: Words = RATE, how_often: Retransmission = PATIENTLY) -> CoaAnswer:
    return await ask_to_change(at, session(session_id), words, now=datetime.now(UTC), retransmission=how_often)


def keys_of(session_id: str, keys: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(key, {**SAID, "Acct-Session-Id": session_id}[key]) for key in keys]


def assert_fresh(request: Received, kind: str) -> None:
    assert (request.kind, request.signed) == (kind, True)
    assert request.at is not None
    assert abs((request.at - datetime.now(UTC)).total_seconds()) < 60
