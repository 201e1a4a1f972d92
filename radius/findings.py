"""What a diagnosis is made of and made from: the facts about a subscriber, findings, and their common words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from typing_extensions import TypedDict

from radius.drift import Drift
from radius.logins import LoginView, UnknownNas, UnknownUser
from radius.results import SessionChangeView, SubscriberView
from radius.sessions import Session

Weight = Literal["cause", "note", "fine"]
WEIGHTS: tuple[Weight, ...] = ("cause", "note", "fine")
MISSED_INTERIMS = 3


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
    """Packets of a NAS were made with another secret, so FreeRADIUS dropped them; by its own log, which tells of one a
    second."""

    last_at: datetime


@dataclass(frozen=True)
class Facts:
    """What is known. Lists have the newest first. ``misfits`` by address of a NAS; None: FreeRADIUS' log can't be read.

    ``near_names`` are subscribers of a spelling close to the name that was asked for, ``tried_names`` what was tried in
    a spelling close to it and nobody has.
    """

    username: str
    now: datetime
    kept_days: int
    accounting_wait: timedelta
    subscriber: SubscriberView | None = None
    near_names: Sequence[str] = ()
    tried_names: Sequence[UnknownUser] = ()
    logins: Sequence[LoginView] = ()
    open_sessions: Sequence[Session] = ()
    last_session: Session | None = None
    nas_names: Mapping[str, str] = field(default_factory=dict)
    last_heard: Mapping[str, datetime] = field(default_factory=dict)
    unknown_nases: Sequence[UnknownNas] = ()
    misfits: Mapping[str, SecretMisfit] | None = None
    interim_seconds: int = 300
    drift: Drift | None = None
    pending_changes: Sequence[SessionChangeView] = ()

    @property
    def exact_tries(self) -> list[UnknownUser]:
        """When this very name was tried and FreeRADIUS knew nobody of it."""
        return [each for each in self.tried_names if each["username"] == self.username]

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
    heard = session.updated_at or session.started_at
    return heard is not None and heard < facts.now - timedelta(seconds=MISSED_INTERIMS * facts.interim_seconds)


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
    return moment.strftime("%Y-%m-%d %H:%M:%SZ") if moment is not None else "at an unknown time"
