"""Compares what we want with what the radius database holds: every column of every row, in both directions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal

from radius.ports import Begin
from radius.projection.projection import digest
from radius.projection.radius_database import Kind, actual_rows, all_ledger_names, names_with_rows, radius_transaction
from radius.projection.wishes import Wishes

_KINDS: tuple[Kind, ...] = ("plan", "nas", "subscriber")
_NAMES_AT_ONCE = 400


@dataclass(frozen=True)
class Drift:
    """One name whose rows are not as they shall be.

    ``reason``: *missing* (no row, though there should be), *different*, *extra* (rows of a terminated or unknown one of
    ours), *foreign* (rows nobody here has written: a login somebody put there by hand). Only *foreign* is beyond what a
    projection repairs. ``awaiting_projection`` is true when the wish simply has not been carried over yet.
    """

    kind: Kind
    name: str
    reason: Literal["missing", "different", "extra", "foreign"]
    wanted_digest: str | None
    actual_digest: str
    awaiting_projection: bool


async def find_drift(begin: Begin, radius_begin: Begin, wishes: Wishes) -> list[Drift]:
    """Every difference. What looks wrong is looked at twice, since the two databases are not read in one instant."""
    drifts: list[Drift] = []
    for kind in _KINDS:
        async with begin() as db:
            names = await wishes.names(db, kind)
        async for suspects in _compared(begin, radius_begin, wishes, kind, names):
            drifts += await _compare(begin, radius_begin, wishes, kind, [suspect.name for suspect in suspects])
        drifts += await _unwished(radius_begin, wishes, kind, set(names))
    return drifts


async def drift_of(begin: Begin, radius_begin: Begin, wishes: Wishes, kind: Kind, name: str) -> Drift | None:
    """What differs under one name; None: nothing. Looked at twice, as ``find_drift`` does."""
    drifts: list[Drift] = []
    for _ in range(2):
        drifts = await _compare(begin, radius_begin, wishes, kind, [name])
        if not drifts:
            return None
    return drifts[0]


async def _compared(
    begin: Begin, radius_begin: Begin, wishes: Wishes, kind: Kind, names: Sequence[str]
) -> AsyncIterator[list[Drift]]:
    for start in range(0, len(names), _NAMES_AT_ONCE):
        suspects = await _compare(begin, radius_begin, wishes, kind, names[start : start + _NAMES_AT_ONCE])
        if suspects:
            yield suspects


async def _compare(begin: Begin, radius_begin: Begin, wishes: Wishes, kind: Kind, names: Sequence[str]) -> list[Drift]:
    async with begin() as db:
        wished = await wishes.by_name(db, kind, names)
    async with radius_transaction(radius_begin) as radius_db:
        actual = await actual_rows(radius_db, kind, list(wished))
    drifts = []
    for name, (wish, awaiting) in wished.items():
        rows = tuple(actual[name].values())
        actual_digest = digest(rows)
        if actual_digest != wish.digest:
            reason: Literal["missing", "different", "extra"] = "different"
            if not rows or not wish.rows:
                reason = "missing" if not rows else "extra"
            drifts.append(Drift(kind, name, reason, wish.digest, actual_digest, awaiting))
    return drifts


async def _unwished(radius_begin: Begin, wishes: Wishes, kind: Kind, wished: set[str]) -> list[Drift]:
    """Names with rows that no wish of ours explains. Another tenant's names are that one's to check."""
    async with radius_transaction(radius_begin) as db:
        owners = await all_ledger_names(db, kind)
        unexplained = sorted(
            name
            for name in await names_with_rows(db, kind)
            if name not in wished and owners.get(name, "") in ("", wishes.tenant_id)
        )
        rows = await actual_rows(db, kind, unexplained)
    return [
        Drift(kind, name, "extra" if name in owners else "foreign", None, digest(rows[name].values()), False)
        for name in unexplained
    ]
