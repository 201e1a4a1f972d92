"""In which VRF FreeRADIUS' rows put whom: read of the group that a plan has for that piece of its addressing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.dialects import DIALECTS
from radius.lists import among
from radius.projection.freeradius_tables import radgroupreply, radusergroup

ToldVrf = Mapping[str, frozenset[tuple[str, str]]]
"""By dialect what is said of a VRF, in that vendor's words; empty: nothing is."""
_PIECE = ":vrf"
"""How the name of such a group ends (``plan_group``); who is in a walled garden may be a member of it."""


async def vrfs_told(radius_db: AsyncSession, usernames: Collection[str]) -> dict[str, ToldVrf]:
    """Of each of these names."""
    member = select(radusergroup.c.username, radusergroup.c.groupname)
    members = (await radius_db.execute(member.where(among(radius_db, radusergroup.c.username, usernames)))).all()
    piece_of = {group: f"{group.removesuffix(_PIECE)}{_PIECE}" for _, group in members}
    dialect_of = {f"{piece}:{dialect}": (piece, dialect) for piece in piece_of.values() for dialect in DIALECTS}
    said = select(radgroupreply.c.groupname, radgroupreply.c.attribute, radgroupreply.c.value)
    words: defaultdict[str, defaultdict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
    rows = await radius_db.execute(said.where(among(radius_db, radgroupreply.c.groupname, dialect_of)))
    for group, attribute, value in rows:
        if attribute != "Firstlight-Untold":  # that its NASes can't be told, of whichever VRF
            piece, dialect = dialect_of[group]
            words[piece][dialect].add((attribute, value))
    told: dict[str, dict[str, frozenset[tuple[str, str]]]] = {name: {} for name in usernames}
    for name, group in members:
        for dialect, all_said in words.get(piece_of[group], {}).items():
            told[name][dialect] = told[name].get(dialect, frozenset()) | all_said
    return {**told}


def is_same_vrf(one: ToldVrf, other: ToldVrf) -> bool:
    """Whether two may be in the same one: where no vendor's NAS is told of both, it isn't known that they aren't."""
    if not one or not other:
        return not one and not other
    both = one.keys() & other.keys()
    return not both or are_told_the_same(one, other)


def are_told_the_same(one: ToldVrf, other: ToldVrf) -> bool:
    """Whether some vendor's NAS puts both into one and the same."""
    return any(one[dialect] == other[dialect] for dialect in one.keys() & other.keys())
