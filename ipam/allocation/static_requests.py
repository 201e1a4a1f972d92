"""Resources that are asked for by their numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ipam.addresses import FIRST_VID, LAST_VID, format_address, parse_address, parse_network, to_bytes
from ipam.errors import Fault, RequestInvalid
from ipam.kinds import Kind

_KINDS: dict[str, Kind] = {
    "ip_address": "ipv4",
    "ipv6_wan_prefix": "ipv6_wan",
    "delegated_prefix": "ipv6_pd",
    "cvlan": "cvlan",
}
STATIC = tuple(_KINDS)
NAME_OF = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True)
class StaticResources:
    """What a service is to have and nothing else; what isn't named, its pools choose. The names are the answer's.

    ``take_reserved``: also what is reserved, which is no longer kept then. It isn't a part of what makes a request the
    same again.
    """

    ip_address: str | None = None
    ipv6_wan_prefix: str | None = None
    delegated_prefix: str | None = None
    cvlan: int | None = None
    take_reserved: bool = False

    @property
    def _named(self) -> dict[str, str | int]:
        return {name: value for name in STATIC if (value := getattr(self, name)) is not None}

    def checked(self) -> StaticResources | None:
        """The same in the one spelling of each; None: nothing is named.

        Raises:
            RequestInvalid: with all that is wrong.
        """
        faults: list[Fault] = []
        spelt: dict[str, Any] = {}
        for name, value in self._named.items():
            try:
                spelt[name] = _spelt(name, value)
            except ValueError as exc:
                faults.append(Fault(name, str(exc)))
        if self.take_reserved and not self._named:
            faults.append(Fault("take_reserved", f"must come with what is reserved: {', '.join(STATIC)}"))
        if faults:
            (where, what), *others = faults
            raise RequestInvalid(where, what, *others)
        return StaticResources(**spelt, take_reserved=self.take_reserved) if spelt else None

    def by_kind(self) -> dict[Kind, str | int]:
        return {_KINDS[name]: value for name, value in self._named.items()}

    def as_text(self) -> str:
        """For the record: the same wishes make the same text."""
        return json.dumps(self._named, sort_keys=True)


def takes_reserved(static: StaticResources | None) -> bool | None:
    """As a ``Holder`` says it."""
    return static.take_reserved if static else None


def _spelt(name: str, value: str | int) -> str | int:
    if name == "cvlan":
        if not isinstance(value, int) or not FIRST_VID <= value <= LAST_VID:
            raise ValueError(f"{value!r} is no VLAN number {FIRST_VID}..{LAST_VID} (IEEE 802.1Q)")
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    if name == "ip_address":
        family, number = parse_address(value)
        if family != 4:
            raise ValueError(f"{value!r} is not an IPv4 address")
        return format_address(to_bytes(family, number))
    network = parse_network(value)
    if network.family != 6:
        raise ValueError(f"{value!r} is not an IPv6 prefix")
    return str(network)
