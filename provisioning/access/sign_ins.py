"""Signing in: one answer and equal time for an unknown name and a wrong password, and not too many tries.

A try is counted by its address, then by its name there, then by its name everywhere; the first of these that is full
ends it, so that what is refused counts nowhere further on. A name that is guessed at from everywhere is shut to those
who have tried it already; an address that hasn't tried it is made to wait instead, since it may be its owner's.

Tries are counted by each process for itself: with several, a guesser has as many times more of them. In the database
each would be a write for whoever asks, before anybody is known: on SQLite it would take the one writer's turn from the
runs, on PostgreSQL it would let strangers fill a table. Processes are few, and some times as many tries are still far
too few to guess a password of 12 characters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access.errors import SignInRefused, SignInsBusy, SignInsTooMany
from provisioning.access.passwords import LONGEST, Passwords
from provisioning.access.tries import Tries
from provisioning.access.users import LONGEST_LOGIN_NAME, Users, UserView
from provisioning.intake import Clock

WINDOW = timedelta(minutes=15)
OF_AN_ADDRESS = 50
OF_A_NAME_FROM_AN_ADDRESS = 10
OF_A_NAME = 200
"""From everywhere."""
SLOWED_SECONDS = 5
"""How long one waits for a name of which there were so many tries."""
MOST_SLOWED = 100
"""At once."""
IPV6_PREFIX = 64
"""What one line has at least (RFC 6177): whoever guesses has all of it."""

Pause = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""


@dataclass(frozen=True)
class CountedTry:
    """One try that may be looked at: whose name it is and what their password is compared with; None: nobody's."""

    name: str
    network: str
    at: datetime
    is_slowed: bool
    user: UserView | None
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True)
class Recognised:
    """Somebody who knows the password that has this hash."""

    user: UserView
    password_hash: str = field(repr=False)


class SignIns:
    """Counts tries and compares passwords; one for each process. ``pause`` lets time go by."""

    def __init__(self, passwords: Passwords, *, pause: Pause = asyncio.sleep) -> None:
        self.passwords = passwords
        self._pause = pause
        self._slowed = 0
        self._of_addresses = Tries(OF_AN_ADDRESS, within=WINDOW)
        self._of_names_there = Tries(OF_A_NAME_FROM_AN_ADDRESS, within=WINDOW)
        self._of_names = Tries(OF_A_NAME, within=WINDOW)

    async def look(self, db: AsyncSession, login_name: str, *, address: str, tenant_id: str, now: Clock) -> CountedTry:
        """Counts the try, and finds what `compare` needs, which takes its time and no transaction.

        Raises: SignInsTooMany, SignInsBusy; both before anything is read.
        """
        self.passwords.refuse_if_busy()
        name, network, at = login_name.strip().casefold()[:LONGEST_LOGIN_NAME], network_of(address), now()
        is_slowed = self._count(name, network, at)
        user, password_hash = await Users(db, tenant_id=tenant_id, now=now).password_of(name) or (None, None)
        return CountedTry(name, network, at, is_slowed, user, password_hash)

    async def compare(self, tried: CountedTry, password: str) -> Recognised:
        """Who this is. Raises: SignInRefused, SignInsBusy."""
        if tried.is_slowed:
            await self._slow_down()
        matches = await self.passwords.matches(tried.password_hash, password[: LONGEST + 1])
        if not matches or tried.user is None or tried.password_hash is None:
            raise SignInRefused
        self._of_names_there.clear((tried.name, tried.network))
        self._of_names.give_back(tried.name, at=tried.at)
        self._of_addresses.give_back(tried.network, at=tried.at)
        return Recognised(tried.user, tried.password_hash)

    def _count(self, name: str, network: str, at: datetime) -> bool:
        """Whether it is to be slowed. Raises: SignInsTooMany."""
        if not self._of_addresses.take(network, at=at):
            raise SignInsTooMany
        is_first = not self._of_names_there.count((name, network), at=at)
        if not self._of_names_there.take((name, network), at=at):
            raise SignInsTooMany
        if self._of_names.take(name, at=at):
            return False
        if not is_first:
            raise SignInsTooMany
        return True

    async def _slow_down(self) -> None:
        if self._slowed >= MOST_SLOWED:
            raise SignInsBusy
        self._slowed += 1
        try:
            await self._pause(SLOWED_SECONDS)
        finally:
            self._slowed -= 1


def network_of(address: str) -> str:
    """What is counted as one address: an address of IPv4, a network of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:  # no socket of ours has it: a proxy has said so
        return address[:LONGEST_LOGIN_NAME]
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> (128 - IPV6_PREFIX) << (128 - IPV6_PREFIX))}/{IPV6_PREFIX}"
