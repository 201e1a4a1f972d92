"""Addresses and prefixes that FreeRADIUS' rows give to several usernames in one VRF.

In which VRF somebody is, their plan may tell the NAS, or the NAS knows it by itself; then whoever allocated it knows,
and ``doubled_findings`` is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.invariants import Finding
from radius.lists import among
from radius.projection.freeradius_tables import radreply
from radius.projection.told_vrfs import ToldVrf, are_told_the_same, is_same_vrf, vrfs_told

_OWN_ADDRESSES = (
    "Framed-IP-Address",
    "Framed-IPv6-Prefix",
    "Delegated-IPv6-Prefix",
    "Framed-Route",
    "Framed-IPv6-Route",
)
_THE_NAS_CHOOSES = ("255.255.255.254", "255.255.255.255")
"""As an existing server may tell many: no address is given by that (RFC 2865 s5.8)."""
KnownVrfs = Mapping[str, Mapping[str, str]]
"""By username the VRF of each prefix that is allocated to it; an address is a prefix of its whole length."""


@dataclass(frozen=True)
class DoubledAddress:
    """A value that stands at several usernames, and in which VRF the rows put each of them."""

    value: str
    told: Mapping[str, ToldVrf]

    @property
    def network(self) -> str:
        """What is given by it, of a route its prefix; what is no prefix at all as it stands there."""
        first = "".join(self.value.split()[:1])
        try:
            return str(ip_network(first, strict=False))
        except ValueError:
            return first


async def doubled_addresses(radius_db: AsyncSession) -> list[DoubledAddress]:
    """All that the rows give to several usernames, in whichever VRF."""
    given = radreply.c
    twice = (
        select(given.attribute, given.value)
        .where(given.attribute.in_(_OWN_ADDRESSES), given.value.not_in(_THE_NAS_CHOOSES))
        .group_by(given.attribute, given.value)
        .having(func.count(given.username.distinct()) > 1)
    )
    found = [(attribute, value) for attribute, value in await radius_db.execute(twice)]
    if not found:
        return []
    to_whom = select(given.attribute, given.value, given.username).where(
        given.attribute.in_(_OWN_ADDRESSES), among(radius_db, given.value, {value for _, value in found})
    )
    names: dict[tuple[str, str], set[str]] = {each: set() for each in found}
    for attribute, value, name in await radius_db.execute(to_whom):
        names.get((attribute, value), set()).add(name)
    vrfs = await vrfs_told(radius_db, set().union(*names.values()))
    return [DoubledAddress(value, {name: vrfs[name] for name in sorted(some)}) for (_, value), some in names.items()]


def doubled_findings(doubled: Collection[DoubledAddress], known: KnownVrfs) -> list[Finding]:
    """Those that are given to two in one VRF: each may have it in another one."""
    counts = [(each.value, _in_one_vrf(each, known)) for each in doubled]
    return [Finding(value, f"radreply gives {value} to {count} usernames.") for value, count in counts if count > 1]


def _in_one_vrf(doubled: DoubledAddress, known: KnownVrfs) -> int:
    """How many of them have another one there."""
    network = doubled.network
    vrfs = [(told, known.get(name, {}).get(network)) for name, told in doubled.told.items()]
    numbered = list(enumerate(vrfs))
    return sum(any(at != place and _is_one(vrf, other) for at, other in numbered) for place, vrf in numbered)


def _is_one(one: tuple[ToldVrf, str | None], other: tuple[ToldVrf, str | None]) -> bool:
    """By what their NASes are told; where those are told nothing that decides it, by what is allocated."""
    (told, known), (told_other, known_other) = one, other
    if are_told_the_same(told, told_other):
        return True
    return is_same_vrf(told, told_other) and (known is None or known_other is None or known == known_other)
