"""How long the ACS is waited for, when it is asked again, and how long it has said nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

# GenieACS closes an idle connection after 5 s; ours must be gone before.
KEEPALIVE_EXPIRY_SECONDS = 4.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 130.0
"""A query without an index scans the whole collection twice."""
WRITE_SECONDS = 10.0
SESSION_SECONDS = 160.0
"""A task with a connection request may wait 30 s for a lock, 4 s for the session's start and 120 s for its end."""
UPLOAD_SECONDS = 130.0
"""A firmware image is stored piece by piece before the answer."""

Wait = Literal["short", "session", "upload"]
"""What a write waits for: the ACS alone, the end of a CPE's session, a file's being stored."""
SECONDS_OF_A_WRITE: dict[Wait, float] = {
    "short": WRITE_SECONDS,
    "session": SESSION_SECONDS,
    "upload": UPLOAD_SECONDS,
}

POISON_SILENCE_SECONDS = 15.0
"""A worker that dies of a request keeps the connection 20 s and then drops it (21.0 s observed, 12 of 12)."""

CONNECT_RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
IN_SESSION_RETRY_SECONDS = (1.0, 2.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0)
CUT_OFF_RETRY_SECONDS = (0.2, 1.0)


class Silence:
    """How long the ACS has said nothing since the request was written; a worker that dies of it does not say a word.

    What goes before (waiting for a free connection, connecting, TLS) is not the ACS's silence.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: float | None = None

    async def follow(self, event: str, _info: Mapping[str, Any]) -> None:
        """What httpx tells of the progress of a request (its ``trace`` extension)."""
        if event == "http11.send_request_headers.started":
            self._since = self._monotonic()

    def broken(self) -> None:
        self._since = None

    @property
    def seconds(self) -> float:
        return 0.0 if self._since is None else self._monotonic() - self._since
