"""Where a webhook may lead: to public addresses over https, and to private ones only in networks that a setting names.

A name is looked up once for each sending, every address it has must be allowed, and the connection goes to one of
these very addresses: a name that means something else a moment later changes nothing. Python's own ``is_global`` lets
some ranges through that lead inside (6to4, NAT64, Teredo and others); they are refused by name.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from provisioning.webhooks.errors import TargetRefused, TargetUnresolved

LONGEST_URL = 500
RESOLVE_SECONDS = 5.0
MOST_ADDRESSES = 3

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[list[str]]]

INSIDE = tuple(
    ip_network(each)
    for each in (
        "192.0.0.0/24",  # RFC 6890
        "192.88.99.0/24",  # RFC 7526, 6to4 relays
        "2001::/32",  # RFC 4380, Teredo: an IPv4 address inside
        "2002::/16",  # RFC 3056, 6to4: an IPv4 address inside
        "64:ff9b::/96",  # RFC 6052, NAT64: an IPv4 address inside
        "64:ff9b:1::/48",  # RFC 8215
        "fec0::/10",  # RFC 3879
        "::/96",  # RFC 4291 section 2.5.5.1: an IPv4 address inside
        "::ffff:0:0:0/96",  # RFC 2765, translated: an IPv4 address inside
        "5f00::/16",  # RFC 9602, segment routing
        "3fff::/20",  # RFC 9637, documentation
    )
)

_PLAIN_URL = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z_a-z~\[\]]+")


@dataclass(frozen=True)
class Target:
    """Where to connect to, and whom to expect there."""

    url: SplitResult
    addresses: tuple[str, ...]

    @property
    def host(self) -> str:
        return self.url.hostname or ""

    @property
    def authority(self) -> str:
        """For the ``Host`` header."""
        return self.url.netloc

    def at(self, address: str) -> str:
        """The URL with this address in the host's place."""
        host = f"[{address}]" if ":" in address else address
        netloc = host if self.url.port is None else f"{host}:{self.url.port}"
        return self.url._replace(netloc=netloc, fragment="").geturl()


async def look_up(host: str, port: int) -> list[str]:
    """Every address of a name, as this machine resolves it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True)
class Targets:
    """Which addresses may be told something. ``private_networks``: allowed beside the public ones, also without TLS."""

    private_networks: tuple[Network, ...] = ()
    resolve: Resolve = look_up

    def fault_of(self, url: str) -> str | None:
        """Why this can't be a webhook's address as it is written; what its name means is asked when it is used."""
        parts = _split(url)
        if parts is None or len(url) > LONGEST_URL:
            return "is no https address of a system that takes webhooks"
        if parts.username is not None or parts.password is not None:
            return "has a login in it; the signature is what tells that a message is ours"
        if parts.scheme == "http" and not self.private_networks:
            return "is not https, and FIRSTLIGHT_WEBHOOK_PRIVATE_NETWORKS names no network where http may do"
        literal = _literal(parts.hostname or "")
        return None if literal is None else self._fault_of_address(literal, parts.scheme)

    async def target(self, url: str) -> Target:
        """Where a message to this address goes now.

        Raises: TargetRefused; TargetUnresolved (transient).
        """
        parts = _split(url)
        if parts is None:
            raise TargetRefused("this webhook", "its address is none")
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                addresses = await self.resolve(host, port)
        except TimeoutError as exc:
            raise TargetUnresolved(host, f"no answer within {RESOLVE_SECONDS:g} s") from exc
        except (OSError, UnicodeError) as exc:
            raise TargetUnresolved(host, str(exc) or type(exc).__name__) from exc
        if not addresses:
            raise TargetUnresolved(host, "no address")
        for address in addresses:
            if (reason := self._fault_of_address(ip_address(address), parts.scheme)) is not None:
                raise TargetRefused(host, reason)
        return Target(parts, tuple(addresses[:MOST_ADDRESSES]))

    def _fault_of_address(self, address: Address, scheme: str) -> str | None:
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if _within(address, self.private_networks):
            return None
        if not is_public(address):
            return f"{address} is no public address; FIRSTLIGHT_WEBHOOK_PRIVATE_NETWORKS can allow its network"
        return None if scheme == "https" else f"{address} is a public address, where only https may go"


def is_public(address: Address) -> bool:
    """Whether this address leads outside, whatever way it is written."""
    return address.is_global and not address.is_multicast and not _within(address, INSIDE)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _split(url: str) -> SplitResult | None:
    if not _PLAIN_URL.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    sound = parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.fragment and port != 0
    return parts if sound else None


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
