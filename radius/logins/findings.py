"""What a diagnosis is made of and made from: the facts about a subscriber, findings, and their common words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from typing_extensions import TypedDict

from radius.logins.late import LateLogins
from radius.logins.views import LoginView, UnknownNas, UnknownUser
from radius.projection.drift import Drift
from radius.results import SessionChangeView, SubscriberView
from radius.sessions.sessions import Session

Weight = Literal["cause", "note", "fine"]
WEIGHTS: tuple[Weight, ...] = ("cause", "note", "fine")
Part = Literal["logins", "sessions", "rows"]
"""What is read in the radius database, each by itself: the log of logins, accounting, and the rows of its own."""


class Finding(TypedDict):
    """One thing that was found. ``code`` is stable; ``next_act`` is what to do about it, None: nothing."""

    code: str
    weight: Weight
    sentence: str
    evidence: list[str]
    next_act: str | None


class Diagnosis(TypedDict):
    """``verdict`` is the first finding in one sentence."""

    username: str
    verdict: str
    findings: list[Finding]


@dataclass(frozen=True)
class SecretMisfit:
    """Packets of a NAS that FreeRADIUS dropped, by its own log, which tells of one a second: made with another secret,
    or ``unsigned``, without the Message-Authenticator that it asks for."""

    last_at: datetime
    unsigned: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known. Lists have the newest first.

    ``renamed_to`` is what the subscriber is called now who gave up the name that was asked for and that nobody has.
    ``near_names`` are subscribers of a spelling close to the name that was asked for, ``tried_names`` what was tried in
    a spelling close to it, or under a name that it had, and nobody has; ``line_tries`` those of the line that it is
    bound to. ``silent`` are the numbers of open sessions that have missed their interims. ``misfits`` by address of a
    NAS; None: ``log_unread`` says why not. ``looked_back`` is how many logins were looked at for ``last_heard``; None:
    all. ``wrong_at_nas`` is how many users in a row had a wrong password by PAP at the NAS of the last login.
    ``late_logins`` are folders whose logins are not all known. ``rows_since`` is when FreeRADIUS' rows came to be what
    they are. ``unread`` says of a part why it is not known.
    """

    username: str
    now: datetime
    kept_days: int
    accounting_wait: timedelta
    subscriber: SubscriberView | None = None
    former_names: Sequence[str] = ()
    renamed_to: str | None = None
    near_names: Sequence[str] = ()
    tried_names: Sequence[UnknownUser] = ()
    line_tries: Sequence[UnknownUser] = ()
    logins: Sequence[LoginView] = ()
    last_accept: LoginView | None = None
    wrong_at_nas: int = 0
    open_sessions: Sequence[Session] = ()
    silent: frozenset[int] = frozenset()
    last_session: Session | None = None
    nas_names: Mapping[str, str] = field(default_factory=dict)
    last_heard: Mapping[str, datetime] = field(default_factory=dict)
    looked_back: int | None = None
    unknown_nases: Sequence[UnknownNas] = ()
    late_logins: Sequence[LateLogins] = ()
    misfits: Mapping[str, SecretMisfit] | None = None
    log_unread: str = "FIRSTLIGHT_RADIUS_LOG_FILE is not set"
    drift: Drift | None = None
    rows_since: datetime | None = None
    pending_changes: Sequence[SessionChangeView] = ()
    unread: Mapping[Part, str] = field(default_factory=dict)

    @property
    def tries(self) -> list[UnknownUser]:
        """What was tried in another spelling, or under this name, since the last accept."""
        return [each for each in self.tried_names if self._is_since_accept(each)]

    @property
    def newest_tries(self) -> list[UnknownUser]:
        """Those of them that are no older than the last login under its own name."""
        return [each for each in self.tries if self._is_since_login(each)]

    @property
    def exact_tries(self) -> list[UnknownUser]:
        """When this very name was tried and FreeRADIUS knew nobody of it, with the rows that there are."""
        return [each for each in self.tries if each["username"] == self.username and self._is_of_these_rows(each)]

    @property
    def unknown_lines(self) -> list[UnknownUser]:
        """When its line asked by itself and FreeRADIUS knew nobody of it, likewise."""
        newest = [each for each in self.line_tries if self._is_since_accept(each) and self._is_since_login(each)]
        return [each for each in newest if self._is_of_these_rows(each)]

    def _is_since_login(self, tried: UnknownUser) -> bool:
        """Whoever has logged in as itself since, let in or refused, tries that other name no more."""
        own = [each["happened_at"] for each in self.logins if each["username"] == self.username]
        return not own or tried["last_at"] >= own[0].replace(microsecond=0)  # a try is known by its second

    def _is_since_accept(self, tried: UnknownUser) -> bool:
        return self.last_accept is None or tried["last_at"] >= self.last_accept["happened_at"]

    def _is_of_these_rows(self, tried: UnknownUser) -> bool:
        since = None if self.drift is not None else self.rows_since
        return since is None or tried["last_at"] >= since.replace(microsecond=0)  # the log has whole seconds

    @property
    def last_nas(self) -> str | None:
        """The address of the NAS where it was or asked last."""
        seen = [*self.open_sessions, *([self.last_session] if self.last_session else [])]
        asked = [(each["happened_at"], each["nas_address"]) for each in self.logins[:1]]
        was = [(each.started_at, each.nas_address) for each in seen if each.started_at is not None]
        return max([*asked, *was])[1] if asked or was else None

    def nas(self, address: str) -> str:
        return self.nas_names.get(address, address)


def is_silent(facts: Facts, session: Session) -> bool:
    """Whether it has missed so many interims that it may be over."""
    return session.radacct_id in facts.silent


def told_login(facts: Facts, login: LoginView) -> str:
    """One login as evidence."""
    line = " ".join(each for each in (login["calling_station"], login["nas_port"], login["circuit"]) if each)
    what = "accepted" if login["accepted"] else f"refused, {login['words']}"
    return f"{clock(login['happened_at'])} {facts.nas(login['nas_address'])} {login['method']} {line}: {what}"


def told_session(facts: Facts, session: Session) -> str:
    """One session as evidence."""
    heard = f", last heard {clock(session.updated_at)}" if session.updated_at else ""
    address = f", {session.framed_ip_address}" if session.framed_ip_address else ""
    where = facts.nas(session.nas_address)
    return f"session {session.session_id} at {where} since {clock(session.started_at)}{heard}{address}"


def finding(code: str, weight: Weight, sentence: str, evidence: Sequence[str], next_act: str | None) -> Finding:
    return Finding(code=code, weight=weight, sentence=sentence, evidence=list(evidence), next_act=next_act)


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def clock(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment is not None else "at an unknown time"
