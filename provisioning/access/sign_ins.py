"""Signing in: one answer and equal time for an unknown name and a wrong password, and not too many tries.

Tries are counted by each process for itself: with several, a guesser has as many times more of them.
"""

from __future__ import annotations

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access.errors import SignInRefused, SignInsTooMany
from provisioning.access.passwords import LONGEST, Passwords
from provisioning.access.users import LONGEST_LOGIN_NAME, Users, UserView
from provisioning.intake import Clock

WINDOW_MINUTES = 15
OF_A_NAME_FROM_AN_ADDRESS = 10
OF_AN_ADDRESS = 50
OF_A_NAME = 200
"""From everywhere; so many that nobody locks somebody else out by hand."""


class SignIns:
    """Counts tries and compares passwords; one for each process."""

    def __init__(self, passwords: Passwords) -> None:
        self.passwords = passwords
        self._tries = MovingWindowRateLimiter(MemoryStorage())

    async def check(
        self, db: AsyncSession, login_name: str, password: str, *, address: str, tenant_id: str, now: Clock
    ) -> UserView:
        """Who this is.

        Raises: SignInRefused; SignInsTooMany, before anything is looked at.
        """
        name = login_name.strip().casefold()[:LONGEST_LOGIN_NAME]
        limits = _limits(name, address)
        if not all([self._tries.hit(limit, *of) for limit, of in limits]):
            raise SignInsTooMany
        found = await Users(db, tenant_id=tenant_id, now=now).password_of(name)
        known = found[1] if found else None
        if not await self.passwords.matches(known, password[: LONGEST + 1]) or found is None:
            raise SignInRefused
        limit, of = limits[0]
        self._tries.clear(limit, *of)
        return found[0]


def _limits(name: str, address: str) -> list[tuple[RateLimitItem, tuple[str, ...]]]:
    counts = (
        (OF_A_NAME_FROM_AN_ADDRESS, ("name at address", name, address)),
        (OF_AN_ADDRESS, ("address", address)),
        (OF_A_NAME, ("name", name)),
    )
    return [(RateLimitItemPerMinute(count, WINDOW_MINUTES), of) for count, of in counts]
