"""A line of a list beside who is here: what of it is another's or otherwise, and what is written of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, cast

from sqlalchemy import Row, Select, Table, select

from radius.importing.files import SubscriberLine
from radius.projection.projection import FramedAddresses
from radius.subscribers.line_identity import LineIdentity, line_columns, line_of
from radius.subscribers.password_hashes import opened
from radius.subscribers.requests import SubscriberRequest
from radius.tables import Subscriber, password_hash_ref_of, password_ref_of

_SUBSCRIBER = cast(Table, Subscriber.__table__).c
LOGS_IN_BY = ("station", "circuit")
"""What of a line may log in by itself."""
EXISTING: Select[Any] = select(
    _SUBSCRIBER.tenant_id,
    _SUBSCRIBER.id,
    _SUBSCRIBER.customer_id,
    _SUBSCRIBER.service_id,
    _SUBSCRIBER.username,
    _SUBSCRIBER.plan_id,
    _SUBSCRIBER.state,
    _SUBSCRIBER.garden_plan_id,
    _SUBSCRIBER.framed_ipv4,
    _SUBSCRIBER.framed_pool,
    _SUBSCRIBER.ipv6_wan_prefix,
    _SUBSCRIBER.delegated_prefix,
    _SUBSCRIBER.framed_routes,
    _SUBSCRIBER.framed_ipv6_routes,
    _SUBSCRIBER.external_id,
    *(_SUBSCRIBER[f"bound_{field.name}"] for field in fields(LineIdentity)),
    _SUBSCRIBER.login_by_line,
    _SUBSCRIBER.password_hash_kind,
)
"""Who is here, as far as a line may differ."""


def line_twice(lines: Iterable[SubscriberLine]) -> Iterator[tuple[SubscriberLine, SubscriberLine, str]]:
    """Lines that log in as another one does, each with that one and by what."""
    first: dict[tuple[str, str], SubscriberLine] = {}
    for line in lines:
        for how in LOGS_IN_BY:
            value = getattr(line.line, how)
            if line.login_by_line and value and first.setdefault((how, value), line) is not line:
                yield line, first[how, value], f"{how} {value}"


def twice(lines: Iterable[SubscriberLine], name: str) -> Iterator[tuple[SubscriberLine, SubscriberLine]]:
    """Lines that have under that name what another one has, each with that one."""
    first: dict[str, SubscriberLine] = {}
    for line in lines:
        value = getattr(line, name)
        if value and first.setdefault(value, line) is not line:
            yield line, first[value]


def own(addresses: FramedAddresses) -> Iterator[tuple[str, str]]:
    """What can be one line's only, each with the name of its column."""
    for kind in ("ipv4", "ipv6_wan_prefix", "delegated_prefix"):
        value = getattr(addresses, kind)
        if value is not None:
            yield kind, value
    yield from (("routes", route) for route in (*addresses.routes, *addresses.ipv6_routes))


def addresses_here(row: Row[Any]) -> FramedAddresses:
    """What somebody who is here is given."""
    return FramedAddresses(
        ipv4=row.framed_ipv4,
        ipv4_pool=row.framed_pool,
        ipv6_wan_prefix=row.ipv6_wan_prefix,
        delegated_prefix=row.delegated_prefix,
        routes=tuple(row.framed_routes.splitlines()),
        ipv6_routes=tuple(row.framed_ipv6_routes.splitlines()),
    )


def checked_by_ref(here: Row[Any]) -> str:
    """Where the password of somebody who is here is sealed, or the hash that is all we know of it."""
    return password_ref_of(here.id) if here.password_hash_kind is None else password_hash_ref_of(here.id)


def _is_password(line: SubscriberLine, here: Row[Any], known: str | None) -> bool:
    """Whether a line's password, or hash of one, is of the password that somebody has who is here."""
    if line.password is None and line.password_hash is None:
        return True  # any will do
    if known is None:
        return False
    if here.password_hash_kind is not None:
        kept = opened(here.password_hash_kind, known)
        return kept == line.password_hash if line.password is None else kept.is_of(line.password)
    return known == line.password if line.password_hash is None else line.password_hash.is_of(known)


def differing(line: SubscriberLine, here: Row[Any], plan_id: int, passwords: Mapping[str, str]) -> Iterator[str]:
    """The columns of a line that say otherwise than what is here."""
    if line.customer_id != here.customer_id:
        yield "customer_id"
    if plan_id != here.plan_id:
        yield "plan"
    if line.state != here.state or here.garden_plan_id is not None:
        yield "state"
    if not _is_password(line, here, passwords.get(checked_by_ref(here))):
        yield "password"
    if line.service_id != here.service_id:
        yield "service_id"
    if line.external_id is not None and line.external_id != here.external_id:
        yield "external_id"
    if line.line.said and (line_of(here), here.login_by_line) != (line.line, line.login_by_line):
        yield "line"
    given = addresses_here(here)
    yield from (name for name in vars(given) if getattr(given, name) != getattr(line.addresses, name))


def row_of(line: SubscriberLine, plan_id: int) -> dict[str, Any]:
    """What is written of a line."""
    addresses = line.addresses
    request = SubscriberRequest(
        line.customer_id, line.username, line.plan, line.service_id, addresses, line.external_id
    )
    return {
        "customer_id": line.customer_id,
        "service_id": line.service_id,
        "username": line.username,
        "plan_id": plan_id,
        "state": line.state,
        "framed_ipv4": addresses.ipv4,
        "framed_pool": addresses.ipv4_pool,
        "ipv6_wan_prefix": addresses.ipv6_wan_prefix,
        "delegated_prefix": addresses.delegated_prefix,
        "framed_routes": "\n".join(addresses.routes),
        "framed_ipv6_routes": "\n".join(addresses.ipv6_routes),
        "external_id": line.external_id,
        **line_columns(line.line),
        "login_by_line": line.login_by_line,
        "password_hash_kind": None if line.password_hash is None else line.password_hash.kind,
        "origin": "imported",
        "request_fingerprint": request.fingerprint,
    }
