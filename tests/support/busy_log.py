"""A log of logins in a storm: work that gives way to logins rests from it."""

from __future__ import annotations

from radius import LoginLog


class BusyLog(LoginLog):
    """In which there are 8000 logins more whenever it is asked."""

    def __init__(self) -> None:
        self._asked = 0

    async def newest_id(self) -> int:
        self._asked += 1
        return 8000 * self._asked
