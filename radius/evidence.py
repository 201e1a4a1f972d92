"""Gathers what is known about a subscriber's logins: our wishes, FreeRADIUS' rows and log, accounting. Only reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from radius.diagnosis import diagnose
from radius.drift import Drift, drift_of
from radius.errors import SubscriberUnknown, UsernameRefused
from radius.findings import Diagnosis, Facts, SecretMisfit
from radius.logins import WITHHELD, LoginLog, UnknownUser
from radius.ports import Begin, Now, Secrets
from radius.projection import plan_group
from radius.results import SubscriberView
from radius.server_log import secret_misfits
from radius.service import RadiusService
from radius.sessions import SessionReader
from radius.spelling import close_to, near_names
from radius.verbs import SubscriberVerbs
from radius.wishes import Wishes

LOGINS_LOOKED_AT = 50
UNKNOWN_LOOKED_AT = 5000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DiagnosisTerms:
    """How long logins are kept and an Accounting-Start is waited for, and where FreeRADIUS' own log is."""

    kept_days: int
    accounting_wait: timedelta
    log_file: Path | None = None


class Diagnoses:
    """Says of one subscriber at a time why it can't log in. Both ways into the databases may be reading ones."""

    def __init__(
        self, read: Begin, radius_read: Begin, *, tenant_id: str, now: Now, secrets: Secrets, terms: DiagnosisTerms
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
        """Every finding about that name, whether anybody has it or not.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        return diagnose(await self.facts(username))

    async def facts(self, username: str) -> Facts:
        """What is known about that name. Raises: as ``of``."""
        ours = await self._ours(username)
        unknown = await self._logins.unknown_users(self._tenant_id, limit=UNKNOWN_LOOKED_AT, known_since=True)
        common: dict[str, Any] = {
            "username": username,
            "now": self._now(),
            "kept_days": self._terms.kept_days,
            "accounting_wait": self._terms.accounting_wait,
            "tried_names": _tries(username, unknown),
            "last_heard": await self._logins.last_heard(),
            "unknown_nases": (await self._logins.unknown_nases())[:10],
            "misfits": await self._misfits(),
        }
        subscriber: SubscriberView | None = ours.get("subscriber")
        if subscriber is None:
            return Facts(**common, **ours)
        return Facts(**common, **ours, **await self._of_subscriber(subscriber))

    async def _ours(self, username: str) -> dict[str, Any]:
        async with self._read() as db:
            service = RadiusService(db, tenant_id=self._tenant_id, now=self._now, secrets=self._secrets)
            names = {nas["address"]: nas["name"] for nas in await service.nas_list()}
            try:
                subscriber = await service.subscriber_named(username=username)
            except SubscriberUnknown:
                return {"nas_names": names, "near_names": await near_names(db, self._tenant_id, username)}
            verbs = SubscriberVerbs(db, tenant_id=self._tenant_id, now=self._now, secrets=self._secrets)
            number = subscriber["subscriber_id"]
            plan = await service.plan(name=subscriber["garden"] or subscriber["plan"])
            return {
                "nas_names": names,
                "subscriber": subscriber,
                "pending_changes": await verbs.changes(subscriber_id=number, pending=True),
                "interim_seconds": plan["terms"].interim_interval_seconds,
            }

    async def _of_subscriber(self, subscriber: SubscriberView) -> dict[str, Any]:
        username = subscriber["username"]
        try:
            sessions = await self._sessions.open_sessions(username)
            last = await self._sessions.last_session(username)
        except UsernameRefused:  # a name of before there was a rule: FreeRADIUS finds no row of it either
            sessions, last = [], None
        return {
            "logins": await self._logins.logins_of(username, limit=LOGINS_LOOKED_AT),
            "open_sessions": sessions,
            "last_session": last,
            "drift": await self._drift(subscriber),
        }

    async def _drift(self, subscriber: SubscriberView) -> Drift | None:
        """Of its own rows, else of its plan's."""
        wishes = Wishes(tenant_id=self._tenant_id, secrets=self._secrets)
        own = await drift_of(self._read, self._radius_read, wishes, "subscriber", subscriber["username"])
        plan = plan_group(self._tenant_id, subscriber["garden"] or subscriber["plan"])
        return own or await drift_of(self._read, self._radius_read, wishes, "plan", plan)

    async def _misfits(self) -> Mapping[str, SecretMisfit] | None:
        if self._terms.log_file is None:
            return None
        try:
            return await asyncio.to_thread(secret_misfits, self._terms.log_file)
        except OSError as error:
            log.warning("FreeRADIUS' log can't be read", file=str(self._terms.log_file), reason=error.strerror)
            return None


def _tries(username: str, unknown: list[UnknownUser]) -> list[UnknownUser]:
    """What was tried under this name or a close one and nobody has."""
    names = {each["username"] for each in unknown} - {WITHHELD}
    close = {username, *close_to(username, names)}
    return [each for each in unknown if each["username"] in close]
