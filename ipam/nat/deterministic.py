"""Deterministic CGNAT (RFC 7422): which outside address and ports follow from an inside address, and back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ipam.addresses import Network, parse_network
from ipam.errors import Fault

Algorithm = Literal["by_address", "by_block"]
FIRST_PORT = 1024
LAST_PORT = 65535
_OF_NOBODY = tuple(map(parse_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")))
"""Of these nobody is reached on the Internet (RFC 1918, RFC 6598), whatever their pool is said to be."""


@dataclass(frozen=True)
class PortMapping:
    """Inside addresses in order, each with one block of ports of an outside address. Addresses are numbers.

    ``by_address``: the blocks of an outside address one after the other, then the next address (VPP's det44). Not the
    default of Junos, which leaves a prefix's first and last inside address out and counts from the second.
    ``by_block``: the first block of every address, then the second of every address (RFC 7422's sequential one).
    """

    first_outside: int
    outside_count: int
    first_inside: int
    inside_count: int
    ports_per_subscriber: int
    algorithm: Algorithm = "by_address"
    first_port: int = FIRST_PORT
    last_port: int = LAST_PORT

    @property
    def blocks_per_address(self) -> int:
        """What remains after the last whole block is nobody's."""
        return (self.last_port - self.first_port + 1) // self.ports_per_subscriber

    @property
    def capacity(self) -> int:
        """How many inside addresses have a block."""
        return self.outside_count * self.blocks_per_address

    def block_of(self, inside: int) -> tuple[int, int, int] | None:
        """(outside address, first port, last port); None: it isn't an inside address."""
        number = inside - self.first_inside
        if not 0 <= number < min(self.inside_count, self.capacity):
            return None
        if self.algorithm == "by_address":
            address, block = divmod(number, self.blocks_per_address)
        else:
            block, address = divmod(number, self.outside_count)
        first = self.first_port + block * self.ports_per_subscriber
        return self.first_outside + address, first, first + self.ports_per_subscriber - 1

    def inside_of(self, outside: int, port: int) -> int | None:
        """The inside address whose block the port lies in; None: nobody's."""
        address, block = outside - self.first_outside, (port - self.first_port) // self.ports_per_subscriber
        if not (0 <= address < self.outside_count and 0 <= block < self.blocks_per_address):
            return None
        if self.algorithm == "by_address":
            number = address * self.blocks_per_address + block
        else:
            number = block * self.outside_count + address
        return self.first_inside + number if number < self.inside_count else None


@dataclass(frozen=True)
class RuleTerms:
    """How a box maps inside onto outside addresses, as an operator says it."""

    outside: Network
    ports_per_subscriber: int
    algorithm: Algorithm = "by_address"
    first_port: int = FIRST_PORT
    last_port: int = LAST_PORT

    def mapping(self, inside: Network) -> PortMapping:
        """Of these inside addresses, in order."""
        return PortMapping(
            self.outside.first,
            self.outside.last - self.outside.first + 1,
            inside.first,
            inside.last - inside.first + 1,
            self.ports_per_subscriber,
            self.algorithm,
            self.first_port,
            self.last_port,
        )


def rule_faults(terms: RuleTerms, *, pool: str, kind: str, role: str | None, inside: Network | None) -> list[Fault]:
    """All that is wrong with a rule for a pool of that kind and role, which stands on ``inside``: of which term, in
    words that name it."""
    faults: list[Fault] = []
    first_port, last_port, ports = terms.first_port, terms.last_port, terms.ports_per_subscriber
    if kind != "ipv4" or inside is None:
        faults.append(Fault("pool", f"pool {pool} hands out no IPv4 addresses"))
    elif role != "cgnat" and not any(inside.first >= each.first and inside.last <= each.last for each in _OF_NOBODY):
        instead = "name the pool whose addresses it maps, or give this one the role cgnat in the estate"
        faults.append(Fault("pool", f"pool {pool} ({inside}, role {role}) is not behind a CGNAT: {instead}"))
    most = last_port - first_port + 1
    if not 1 <= first_port <= last_port <= LAST_PORT:
        where = "last_port" if 1 <= first_port <= LAST_PORT else "first_port"
        faults.append(Fault(where, f"ports {first_port} to {last_port} don't lie in 1..{LAST_PORT}"))
        most = LAST_PORT
    if not 1 <= ports <= most:
        faults.append(Fault("ports_per_subscriber", f"ports_per_subscriber {ports} is not in 1..{most}"))
    if terms.algorithm not in ("by_address", "by_block"):
        faults.append(Fault("algorithm", f"algorithm {terms.algorithm} is neither by_address nor by_block"))
    if terms.outside.family != 4:
        faults.append(Fault("outside", f"outside {terms.outside} is not IPv4"))
    if not faults and inside is not None:
        mapping = terms.mapping(inside)
        if mapping.capacity < mapping.inside_count:
            has = f"{terms.outside} has {mapping.capacity} blocks of {ports} ports"
            faults.append(Fault("outside", f"{has} for {mapping.inside_count} addresses"))
    return faults
