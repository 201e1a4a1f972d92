"""Passwords of people: argon2id (RFC 9106), hashed beside the event loop and few at once, since each takes 64 MiB."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from provisioning.access.errors import SignInsBusy
from provisioning.intake import Faults

SHORTEST = 12
LONGEST = 200
AT_ONCE = 2
MOST_WAITING = 20
"""For their turn: a second or two. Whoever comes then is sent away."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Passwords:
    """Hashes and compares. ``hasher``: RFC 9106's second recommendation, unless told otherwise."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._under_way = 0
        self._nobodys = self._hasher.hash("nobody's")

    async def hash(self, password: str) -> str:
        """What is kept of it. Raises: SignInsBusy."""
        return await self._in_turn(self._hasher.hash, password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether it is this password; for nobody (None) it takes as long, and never is. Raises: SignInsBusy."""
        matches = await self._in_turn(self._verify, password_hash or self._nobodys, password)
        return matches and password_hash is not None

    def refuse_if_busy(self) -> None:
        """Raises: SignInsBusy when as many wait as may."""
        if self._under_way >= AT_ONCE + MOST_WAITING:
            raise SignInsBusy

    async def _in_turn(self, work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs) -> Result:
        self.refuse_if_busy()
        self._under_way += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work, *args, **options)
        finally:
            self._under_way -= 1

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def check_password(faults: Faults, password: str, *, login_name: str) -> None:
    """Long enough, and not the name (NIST SP 800-63B section 3.1.1.2: length, and no rules of composition)."""
    if len(password) < SHORTEST:
        faults.add("password", f"has fewer than {SHORTEST} characters")
    elif len(password) > LONGEST:
        faults.add("password", f"has more than {LONGEST} characters")
    if login_name and login_name.casefold() in password.casefold():
        faults.add("password", "holds the name")
    if password and len(set(password)) < SHORTEST // 3:
        faults.add("password", "is nearly always the same character")
