"""Names that somebody may have meant: another case, no realm, a blank, a letter too many."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import islice

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.subscribers.finding import named_like
from radius.tables import Subscriber

MOST = 5
_ALIKE = 0.85
"""More than for the names of ``radius.known``: it is somebody else's name that is told."""
_CANDIDATES = 500


def simplified(name: str) -> str:
    """What is left of a name when case, blanks and realm don't count."""
    return "".join(name.split()).lower().partition("@")[0]


def close_to(name: str, others: Iterable[str]) -> list[str]:
    """Those that are most like the name, without itself: the same but for case, blanks and realm first."""
    wanted, found = simplified(name), [other for other in others if other != name]
    same = [other for other in found if simplified(other) == wanted]
    if not wanted:
        return same[:MOST]
    alike = islice((other for other in found if _is_alike(wanted, simplified(other))), MOST + len(same))
    return list(dict.fromkeys([*same, *alike]))[:MOST]


def _is_alike(wanted: str, other: str) -> bool:
    """What can't be alike is told by its first letter, its length and its letters before the two are compared, which
    takes a hundred times as long."""
    if other[:1] != wanted[:1] or 2 * min(len(wanted), len(other)) < _ALIKE * (len(wanted) + len(other)):
        return False
    both = difflib.SequenceMatcher(None, wanted, other)
    return both.quick_ratio() >= _ALIKE and both.ratio() >= _ALIKE


async def near_names(db: AsyncSession, tenant_id: str, name: str) -> Sequence[str]:
    """Subscribers who are not terminated and whose name is close to this one."""
    local = simplified(name)
    is_postgresql = db.get_bind().dialect.name == "postgresql"
    begins, same = (
        named_like(beginning, is_postgresql=is_postgresql)
        for beginning in (local[: max(3, len(local) - 2)], f"{local}@")
    )
    candidates = (
        select(Subscriber.username)
        .where(Subscriber.tenant_id == tenant_id, Subscriber.state != "terminated")
        .where(or_(Subscriber.username_folded == local, same, begins))
        .order_by(Subscriber.username)
        .limit(_CANDIDATES)
    )
    return close_to(name, await db.scalars(candidates)) if local else []
