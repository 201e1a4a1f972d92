"""What the groups of another FreeRADIUS give their members, beside what our plan in the place of each gives them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.projection.freeradius_tables import radgroupcheck, radgroupreply

SHOWN = 60
"""Characters of a value that are told."""
_NOT_SHOWN = ("password", "secret", "key")
_OF_THE_GROUP = "group:"
"""Before the name of an attribute that is left out of groups alone."""
_OF_THE_TABLES = frozenset({"fall-through"})
"""What says how FreeRADIUS reads its rows, and nothing of a plan."""
_RATE = re.compile(r"(\d+)([kMG]?)")
_UNITS = {"": 1, "k": 1000, "M": 1000_000, "G": 1000_000_000}


class Member(NamedTuple):
    """Somebody in a group, and the plan that takes its place for that one."""

    username: str
    group: str
    plan: str


class GroupItem(NamedTuple):
    """An attribute that a group has, checked or replied."""

    group: str
    attribute: str
    value: str

    @property
    def told(self) -> str:
        """In words; of what may be a secret only its name."""
        if any(word in self.attribute.lower() for word in _NOT_SHOWN):
            return self.attribute
        return f"{self.attribute} {self.value[:SHOWN]}"


async def group_items(db: AsyncSession) -> list[GroupItem]:
    """All that groups have, in the order of their rows."""
    found: list[GroupItem] = []
    for table in (radgroupcheck, radgroupreply):
        columns = table.c
        asked = select(columns.groupname, columns.attribute, columns.value).order_by(columns.id)
        for group, attribute, value in await db.execute(asked.where(columns.groupname.is_not(None))):
            found.append(GroupItem(group, attribute or "", "" if value is None else str(value)))
    return found


def group_faults(
    members: Iterable[Member],
    items: Sequence[GroupItem],
    plans: Mapping[str, Collection[tuple[str, str]]],
    leaves: Callable[[str], bool],
) -> dict[str, list[str]]:
    """By username what a group has and its plan does not say, once for each group and plan, of their first member.
    ``plans`` as in ``Adoption``; ``leaves``: whether an attribute is left out."""
    has: defaultdict[str, list[GroupItem]] = defaultdict(list)
    for item in items:
        if item.attribute.lower() not in _OF_THE_TABLES and not _left_out(item.attribute, leaves):
            has[item.group].append(item)
    first: dict[tuple[str, str], str] = {}
    for username, group, plan in members:
        first.setdefault((group, plan), username)
    faults: defaultdict[str, list[str]] = defaultdict(list)
    for (group, plan), username in first.items():
        says = {_alike(*each) for each in plans.get(plan, ())}
        other = [each.told for each in has[group] if _alike(each.attribute, each.value) not in says]
        if other:
            faults[username].append(
                f"group {group[:SHOWN]} has {', '.join(other)}, which plan {plan[:SHOWN]} does not say: change the"
                f" plan, or leave the attribute out (--leave-out {_OF_THE_GROUP}ATTRIBUTE)"
            )
    return dict(faults)


def _left_out(attribute: str, leaves: Callable[[str], bool]) -> bool:
    return leaves(attribute) or leaves(f"{_OF_THE_GROUP}{attribute}")


def _alike(attribute: str, value: str) -> tuple[str, str]:
    """In one spelling: RouterOS takes 5M and 5000k for one rate, and a plan is told it in kbit/s."""
    name, text = attribute.lower(), value.strip()
    if name == "mikrotik-rate-limit":
        text = _RATE.sub(lambda found: str(int(found[1]) * _UNITS[found[2]]), text)
    return name, text
