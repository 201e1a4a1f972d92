"""What the log of logins says, for a reader: each row as it is shown, and the words for a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from typing_extensions import TypedDict

from radius.escapes import shown

REASONS: Mapping[str, str] = {
    "wrong_password": "wrong password",
    "no_such_user": "no such user",
    "password_as_name": "a password was sent as the name, which was not kept: the CPE has its two fields mixed up",
    "suspended": "suspended",
    "not_in_service": "not yet in service",
    "expired": "its test is over",
    "already_online": "already online",
    "no_rate": "no rate is known for it at this NAS",
    "row_unreadable": "a row of this user does not parse",
    "other_line": "it came from another line than the one it is bound to",
    "uncheckable": "its password is kept in a way that this method cannot be checked against",
    "eap_failed": "its EAP came to nothing before a password was asked for",
    "no_password": "no password was sent, or none is known",
    "refused_by_row": "a row of this user refuses it (Auth-Type := Reject)",
    "other": "refused for a reason that is in FreeRADIUS' own log alone",
}
"""Why a login is refused, by the word that FreeRADIUS writes for it."""

WITHHELD = ":withheld:"
"""Stands in the place of a name that was a password."""


class LoginView(TypedDict):
    """One answer to a login. ``nas_address`` is where the packet came from, ``nas_said_address`` by which address its
    session is kept: what the NAS says of itself, or where the packet came from if it is known to call itself otherwise;
    ``nas_identifier`` is its name in its own words. ``reason`` is a word of ``REASONS`` and ``words`` the same for a
    reader, both None of an accept. ``about`` is the NAS (its name or address) where a refused one is online already,
    ``circuit`` the Agent-Circuit-Id of the access node (RFC 4679 s3.3.1)."""

    login_id: int
    username: str
    accepted: bool
    reason: str | None
    words: str | None
    about: str | None
    method: str
    nas_address: str
    nas_said_address: str | None
    nas_identifier: str | None
    calling_station: str | None
    nas_port: str | None
    circuit: str | None
    happened_at: datetime


class LoginsAlike(TypedDict):
    """A login, or refusals of the same kind that came one after another with nothing in between: ``times`` of them, the
    ``newest`` whole, of the oldest its number and when it was."""

    newest: LoginView
    times: int
    first_id: int
    first_at: datetime


class UnknownUser(TypedDict):
    """A name that nobody has, at a NAS where it was tried."""

    username: str
    nas_address: str
    words: str
    method: str
    calling_station: str | None
    nas_port: str | None
    circuit: str | None
    first_at: datetime
    last_at: datetime
    times: int


class UnknownNas(TypedDict):
    """An address that asked and is no NAS. ``times``: in how many seconds, at least."""

    address: str
    first_at: datetime
    last_at: datetime
    times: int


def login_view(row: Row[Any]) -> LoginView:
    """A row of ``radius_login``."""
    return LoginView(
        login_id=row.id,
        username=shown(row.username),
        accepted=row.accepted,
        reason=row.reason,
        words=None if row.reason is None else in_words(row.reason),
        about=row.about,
        method=row.method,
        nas_address=row.nas_address,
        nas_said_address=row.nas_said_address,
        nas_identifier=_shown(row.nas_identifier),
        calling_station=_shown(row.calling_station),
        nas_port=_shown(row.nas_port),
        circuit=_shown(row.circuit),
        happened_at=row.happened_at,
    )


def unknown_user(row: Row[Any]) -> UnknownUser:
    """A row of ``radius_unknown_user``."""
    return UnknownUser(
        username=row.username if row.username == WITHHELD else shown(row.username),
        nas_address=row.nas_address,
        words=in_words(row.reason),
        method=row.method,
        calling_station=_shown(row.calling_station),
        nas_port=_shown(row.nas_port),
        circuit=_shown(row.circuit),
        first_at=row.first_at,
        last_at=row.last_at,
        times=row.times,
    )


def _shown(text: str | None) -> str | None:
    return None if text is None else shown(text)


def in_words(reason: str) -> str:
    """The reason for a reader; a word that a later raddb writes stands for itself."""
    return REASONS.get(reason, reason)
