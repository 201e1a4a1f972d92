"""Is a NAS there, and do both sides have the same secret? Asked in both directions, said in words; and what FreeRADIUS
has written down of it.

FreeRADIUS is asked as that NAS, where its address is this machine's own. The NAS is asked to change a session that
nobody has (RFC 5176): whoever refuses that has understood it. Silence says less: a port, a secret or a route is wrong.
"""

from __future__ import annotations

import asyncio
import secrets as randomness
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from typing_extensions import TypedDict

from radius.coa.dynamic_authorization import (
    COA_REQUEST,
    NasDoor,
    NasReply,
    Retransmission,
    SessionIdentity,
    ask,
)
from radius.logins.findings import SecretMisfit, clock
from radius.logins.logins import LoginLog
from radius.logins.server_log import secret_misfits
from radius.nas.canary import ACCESS_REJECT, AuthDoor, CanaryReply, NotFromHere, ask_as
from radius.projection_errors import RadiusDatabaseUnavailable, RadiusDatabaseUnfit

Heard = Literal["answered", "silent", "not_possible"]


class Probe(TypedDict):
    """What one question to or as a NAS has shown."""

    asked: Literal["login", "coa", "log"]
    heard: Heard
    words: str


async def probe_login(door: AuthDoor) -> Probe:
    """Asks FreeRADIUS as that NAS. Takes a few seconds where nobody answers."""
    where = f"FreeRADIUS at {door.host} port {door.port}"
    try:
        reply = await ask_as(door)
    except NotFromHere:
        words = (
            f"{door.nas_address} is no address of this machine, so a login as {door.nas_name} can't be tried from here."
        )
        return Probe(asked="login", heard="not_possible", words=words)
    except OSError as error:
        words = f"There is no way to {where}: {error.strerror or 'no reason given'}."
        return Probe(asked="login", heard="silent", words=words)
    if reply is None:
        words = (
            f"{where} did not answer a login from {door.nas_address}: it is down or its database is, it does not know"
            f" {door.nas_name} yet, or it has another secret. Its radius.log says which."
        )
        return Probe(asked="login", heard="silent", words=words)
    unsigned = "" if reply.authenticated_first else ", but its reply does not begin with a Message-Authenticator"
    words = f"{where} knows {door.nas_name} and its secret: it {_refused(reply)}{unsigned}."
    return Probe(asked="login", heard="answered", words=words)


def _refused(reply: CanaryReply) -> str:
    if reply.code != ACCESS_REJECT:
        return f"answered {reply.code} to a login of nobody, which it should refuse"
    if reply.looked_up:
        return "looked nobody up and refused that login, as it should"
    return "refused a login of nobody, but does not say that it looked for it: whether it lets anybody in is not known"


async def probe_log(logins: LoginLog, name: str, address: str, log_file: Path | None) -> Probe:
    """What FreeRADIUS has written down of that NAS: the only way to know of one that is elsewhere whether its requests
    arrive, and with the right secret."""
    try:
        return await _written(logins, name, address, log_file)
    except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
        words = f"What FreeRADIUS wrote down of {name} can't be read: {error}"
        return Probe(asked="log", heard="not_possible", words=words)


async def _written(logins: LoginLog, name: str, address: str, log_file: Path | None) -> Probe:
    heard = await logins.heard([address])
    at = heard.at.get(address)
    strange = next((each for each in await logins.unknown_nases() if each["address"] == address), None)
    misfit, unread = await _misfit(log_file, address)
    if misfit is not None and (at is None or misfit.last_at >= at):
        what = "without a Message-Authenticator" if misfit.unsigned else "made with another secret"
        words = f"FreeRADIUS drops packets of {name} that are {what}, last {clock(misfit.last_at)}."
        return Probe(asked="log", heard="silent", words=words)
    if at is not None:
        return Probe(asked="log", heard="answered", words=f"FreeRADIUS has answered a login of {name} {clock(at)}.")
    if strange is not None:
        words = f"{address} has asked, last {clock(strange['last_at'])}, and was no NAS to FreeRADIUS then."
        return Probe(asked="log", heard="not_possible", words=words)
    among = "" if heard.looked_back is None else f" among the last {heard.looked_back}"
    words = f"FreeRADIUS' log of logins has none from {name}{among}{unread}."
    return Probe(asked="log", heard="not_possible", words=words)


async def _misfit(log_file: Path | None, address: str) -> tuple[SecretMisfit | None, str]:
    if log_file is None:
        return None, ", and whether packets are dropped is not known: FIRSTLIGHT_RADIUS_LOG_FILE is not set"
    try:
        return (await asyncio.to_thread(secret_misfits, log_file)).get(address), ""
    except OSError as error:
        return None, f", and whether packets are dropped is not known: {log_file} can't be read ({error.strerror})"


async def probe_coa(door: NasDoor, *, now: datetime, retransmission: Retransmission) -> Probe:
    """Asks the NAS to change a session of nobody, which changes nothing."""
    nobody = SessionIdentity(
        username="firstlight-probe",
        session_id=randomness.token_hex(16),
        nas_address=door.address,
        framed_ip_address=None,
    )
    reply = await ask(door, COA_REQUEST, nobody, now=now, retransmission=retransmission)
    heard: Heard = "silent" if reply.heard == "silence" else "answered"
    if heard == "silent" and door.event_timestamp and not reply.unbelieved:
        undated, once = replace(door, event_timestamp=False), replace(retransmission, sends=1)
        if (await ask(undated, COA_REQUEST, nobody, now=now, retransmission=once)).heard != "silence":
            return Probe(asked="coa", heard=heard, words=_old(door, now))
    return Probe(asked="coa", heard=heard, words=_said(door, reply))


def _old(door: NasDoor, now: datetime) -> str:
    return (
        f"{door.name} at {door.address} port {door.port} has the right secret, and answers requests only without an"
        f" Event-Timestamp: to its clock they are too old or not yet due (RFC 5176 s6.3; ours says {now:%H:%M:%S} UTC),"
        f" or it refuses the attribute. Set its clock, by NTP; else `firstlight nas change {door.name}"
        " --no-coa-event-timestamp --reason ...`."
    )


def _said(door: NasDoor, reply: NasReply) -> str:
    where = f"{door.name} at {door.address} port {door.port}"
    if reply.unbelieved:
        return f"{reply.words}."
    if reply.heard == "silence":
        return f"{reply.words}. Its port, its secret or the way to it is wrong: which of them can't be told from here."
    if reply.heard == "ack":
        return (
            f"{where} has the right secret, but it ACKs a change of a session that it does not have: don't trust that."
        )
    if reply.knows_no_session:
        return f"{where} has the right secret and takes requests: it knows of no such session, which is right."
    if reply.is_for_another:
        return (
            f"{where} has the right secret and takes requests, but not this one, which is for"
            f" {door.calls_itself or door.address} (Error-Cause 403): it calls itself otherwise. Say how:"
            f" `firstlight nas change {door.name} --calls-itself ADDRESS --reason ...`, and in the estate's file, if it"
            " stands there."
        )
    return f"{where} has the right secret and takes requests; it refused this one: {reply.words}."
