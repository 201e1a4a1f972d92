"""Asks a NAS to end one session: Disconnect-Request (RFC 5176 s2.1).

An ACK is the NAS' word that the session is gone, and a NAK with *Session-Context-Not-Found* that it knows of none. Any
other NAK is a refusal. After silence, what became of the session is unknown until accounting tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from radius.coa.dynamic_authorization import DISCONNECT_REQUEST, NasDoor, Retransmission, SessionIdentity, Shares, ask

NasSaid = Literal["disconnected", "unknown_to_nas", "refused", "unanswered", "nas_unknown"]
"""``nas_unknown``: it could not be asked, since no NAS of that address is known here."""


@dataclass(frozen=True)
class DisconnectAnswer:
    """What came of one request. ``error_cause`` is the NAS' number for it (RFC 5176 s3.5)."""

    said: NasSaid
    reason: str
    error_cause: int | None = None


async def ask_to_disconnect(
    door: NasDoor,
    session: SessionIdentity,
    *,
    now: datetime,
    retransmission: Retransmission,
    shares_its_id: Shares | None = None,
) -> DisconnectAnswer:
    """One request, sent until it is answered. Safe to repeat: a session that is gone is unknown to the NAS."""
    reply = await ask(
        door, DISCONNECT_REQUEST, session, now=now, retransmission=retransmission, shares_its_id=shares_its_id
    )
    if reply.heard == "silence":
        return DisconnectAnswer("unanswered", reply.words)
    if reply.heard == "ack":
        return DisconnectAnswer("disconnected", f"NAS {door.name} has ended it", reply.error_cause)
    if reply.knows_no_session:
        return DisconnectAnswer("unknown_to_nas", f"NAS {door.name} knows of no such session", reply.error_cause)
    return DisconnectAnswer("refused", f"NAS {door.name} refused to end it: {reply.words}", reply.error_cause)
