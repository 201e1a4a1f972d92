"""Gathers what is known about a subscriber's logins: our wishes, FreeRADIUS' rows and log, accounting. Only reads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from radius.encoder import safe_username
from radius.errors import SubscriberRenamed, SubscriberUnknown, UsernameRefused
from radius.logins.diagnosis import diagnose
from radius.logins.findings import Diagnosis, Facts, Part, SecretMisfit
from radius.logins.logins import LoginLog
from radius.logins.server_log import secret_misfits, unknown_clients
from radius.logins.spelling import close_to, near_names
from radius.logins.views import WITHHELD, UnknownNas, UnknownUser
from radius.ports import Begin, ManySecrets, Now
from radius.projection.drift import Drift, drift_of
from radius.projection.freeradius_tables import radacct, radius_projection
from radius.projection.projection import plan_group
from radius.projection.radius_database import dialect_of, radius_transaction
from radius.projection.wishes import Wishes
from radius.projection_errors import ProjectionError, RadiusDatabaseUnavailable, RadiusDatabaseUnfit
from radius.results import SubscriberView
from radius.service import RadiusService
from radius.sessions.aliveness import silent_at
from radius.sessions.sessions import Session, SessionReader
from radius.subscribers.former_names import nobody_elses
from radius.subscribers.line_identity import LineIdentity
from radius.subscribers.name_holders import HeldName
from radius.subscribers.verbs import SubscriberVerbs

LOGINS_LOOKED_AT = 50
UNKNOWN_LOOKED_AT = 5000
STRANGERS_LOOKED_AT = 10

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MAC = re.compile("[0-9a-f]{12}")

Found = dict[str, Any]


@dataclass(frozen=True)
class DiagnosisTerms:
    """How long logins are kept and an Accounting-Start is waited for, and where FreeRADIUS' own log is."""

    kept_days: int
    accounting_wait: timedelta
    log_file: Path | None = None


class Diagnoses:
    """Says of one subscriber at a time why it can't log in. Both ways into the databases may be reading ones."""

    def __init__(
        self, read: Begin, radius_read: Begin, *, tenant_id: str, now: Now, secrets: ManySecrets, terms: DiagnosisTerms
    ) -> None:
        self._read = read
        self._radius_read = radius_read
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._terms = terms
        self._logins = LoginLog(radius_read, radius_read)
        self._sessions = SessionReader(radius_read)

    async def of(self, username: str) -> Diagnosis:
        """Every finding about that name, whether anybody has it or not. What can't be read in the radius database is a
        finding too."""
        return await asyncio.to_thread(diagnose, await self.facts(username))

    async def facts(self, username: str) -> Facts:
        """What is known about that name."""
        ours = await self._ours(username)
        subscriber: SubscriberView | None = ours.get("subscriber")
        held: Sequence[HeldName] = ours.pop("held_names", ())
        unread: dict[Part, ProjectionError] = {}
        found: Found = {}
        if subscriber is not None:
            found |= await _read(unread, "rows", self._of_rows(subscriber))
            found |= await _read(unread, "sessions", self._of_sessions(held))
        misfits, strangers, why = await self._server_log()
        found |= await _read(unread, "logins", self._of_log(username, held, ours, strangers))
        return Facts(
            username=username,
            now=self._now(),
            kept_days=self._terms.kept_days,
            accounting_wait=self._terms.accounting_wait,
            misfits=misfits,
            log_unread=why,
            unread={part: str(error) for part, error in unread.items()},
            **ours,
            **found,
        )

    async def _ours(self, username: str) -> Found:
        async with self._read() as db:
            service = RadiusService(db, tenant_id=self._tenant_id, now=self._now, secrets=self._secrets)
            names = {nas["address"]: nas["name"] for nas in await service.nas_list()}
            try:
                subscriber = await service.subscriber_named(username=username)
            except SubscriberRenamed as renamed:
                return {"nas_names": names, "renamed_to": renamed.present}
            except SubscriberUnknown:
                return {"nas_names": names, "near_names": await near_names(db, self._tenant_id, username)}
            verbs = SubscriberVerbs(db, tenant_id=self._tenant_id, now=self._now, secrets=self._secrets)
            number = subscriber["subscriber_id"]
            return {
                "nas_names": names,
                "subscriber": subscriber,
                "former_names": await nobody_elses(db, self._tenant_id, number),
                "held_names": await service.held_names(subscriber_id=number),
                "pending_changes": await verbs.changes(subscriber_id=number, pending=True),
            }

    async def _of_log(
        self, username: str, held: Sequence[HeldName], ours: Found, strangers: Sequence[UnknownNas]
    ) -> Found:
        subscriber: SubscriberView | None = ours.get("subscriber")
        exact = {username, *ours.get("former_names", ())}
        unknown = await self._logins.unknown_users(self._tenant_id, limit=UNKNOWN_LOOKED_AT, known_since=True)
        heard = await self._logins.heard(ours["nas_names"])
        common: Found = {
            "tried_names": await asyncio.to_thread(_tries, exact, username, unknown),
            "last_heard": heard.at,
            "looked_back": heard.looked_back,
            "late_logins": await self._logins.late(self._now()),
            "unknown_nases": (await self._logins.unknown_nases(strangers))[:STRANGERS_LOOKED_AT],
        }
        if subscriber is None:
            return common
        found = await self._logins.logins_of(*held, limit=LOGINS_LOOKED_AT)
        # those of files may have come into the log after later ones
        logins = sorted(found, key=lambda login: (login["happened_at"], login["login_id"]), reverse=True)
        wrong = logins[0] if logins and logins[0]["reason"] == "wrong_password" else None
        return common | {
            "logins": logins,
            "last_accept": await self._logins.last_accept(*held),
            "line_tries": [each for each in unknown if _is_of_line(each, LineIdentity(**subscriber["line"]))],
            "wrong_at_nas": 0 if wrong is None else await self._logins.wrong_in_a_row(wrong["nas_address"]),
        }

    async def _of_sessions(self, held: Sequence[HeldName]) -> Found:
        """Its own under all names that it has or had: others may have had them as well."""
        by_name = {each.username: each for each in held if _is_safe(each.username)}
        if not by_name:
            return {}
        found = await self._sessions.open_sessions(*by_name)
        last = [await self._sessions.last_session_of(each) for each in by_name.values()]
        known = [each for each in last if each is not None]
        sessions = [each for each in found if not by_name[each.username].is_anothers(each.label, each.started_at)]
        return {
            "open_sessions": sessions,
            "silent": await self._silent(sessions),
            "last_session": max(known, key=lambda each: each.started_at or _LONG_AGO, default=None),
        }

    async def _silent(self, sessions: Sequence[Session]) -> frozenset[int]:
        numbers = [each.radacct_id for each in sessions]
        if not numbers:
            return frozenset()
        async with radius_transaction(self._radius_read) as db:
            silent = silent_at(radacct, self._now().timestamp(), dialect_of(db))
            found = select(radacct.c.radacctid).where(radacct.c.radacctid.in_(numbers), silent)
            return frozenset(await db.scalars(found))

    async def _of_rows(self, subscriber: SubscriberView) -> Found:
        ledger = radius_projection.c
        mine = (ledger.kind == "subscriber", ledger.name == subscriber["username"])
        async with radius_transaction(self._radius_read) as db:
            since = await db.scalar(select(ledger.projected_at).where(*mine, ledger.tenant_id == self._tenant_id))
        return {"drift": await self._drift(subscriber), "rows_since": since}

    async def _drift(self, subscriber: SubscriberView) -> Drift | None:
        """Of its own rows, else of its plan's."""
        wishes = Wishes(tenant_id=self._tenant_id, secrets=self._secrets)
        own = await drift_of(self._read, self._radius_read, wishes, "subscriber", subscriber["username"])
        plan = plan_group(self._tenant_id, _served_by(subscriber))
        return own or await drift_of(self._read, self._radius_read, wishes, "plan", plan)

    async def _server_log(self) -> tuple[Mapping[str, SecretMisfit] | None, Sequence[UnknownNas], str]:
        """What FreeRADIUS' own log tells of dropped packets and of strangers, or why that is not known."""
        log_file = self._terms.log_file
        if log_file is None:
            return None, (), "FIRSTLIGHT_RADIUS_LOG_FILE is not set"
        try:
            misfits = await asyncio.to_thread(secret_misfits, log_file)
            return misfits, await asyncio.to_thread(unknown_clients, log_file), ""
        except OSError as error:
            return None, (), f"{log_file} can't be read ({error.strerror})"


def _is_safe(username: str) -> bool:
    """Not so is a name of before there was a rule: FreeRADIUS finds no row of it either."""
    try:
        safe_username(username)
    except UsernameRefused:
        return False
    return True


def _served_by(subscriber: SubscriberView) -> str:
    capped = None if subscriber["state"] == "suspended" else subscriber["capped"]
    return subscriber["garden"] or capped or subscriber["plan"]


async def _read(unread: dict[Part, ProjectionError], part: Part, reading: Coroutine[Any, Any, Found]) -> Found:
    """What was read, or nothing and why; one who does not answer is not asked for the next part."""
    silent = next((each for each in unread.values() if isinstance(each, RadiusDatabaseUnavailable)), None)
    if silent is not None:
        reading.close()
        unread[part] = silent
        return {}
    try:
        return await reading
    except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
        unread[part] = error
        return {}


def _tries(exact: set[str], username: str, unknown: list[UnknownUser]) -> list[UnknownUser]:
    """What was tried under these names or one close to the username, and nobody has."""
    names = {each["username"] for each in unknown} - {WITHHELD}
    close = exact | set(close_to(username, names))
    return [each for each in unknown if each["username"] in close]


def _is_of_line(tried: UnknownUser, line: LineIdentity) -> bool:
    """Whether a line asked by itself, as its MAC address or circuit, and it is the one with all that is bound."""
    if not line.said:
        return False
    named = LineIdentity(station=tried["username"]).in_one_spelling.station
    by_itself = _MAC.fullmatch(named or "") or tried["username"] in (tried["circuit"], line.circuit)
    if not by_itself:
        return False
    station = LineIdentity(station=tried["calling_station"] or tried["username"]).in_one_spelling.station
    circuit = tried["circuit"] or tried["username"]
    came = {"station": station, "port": tried["nas_port"], "circuit": circuit}
    told = [came[name] == value for name, value in line.said.items() if name in came]
    return bool(told) and all(told)
