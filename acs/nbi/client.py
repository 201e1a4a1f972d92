"""The northbound interface of GenieACS (NBI), spoken so that no answer is taken for more than it says.

Measured on GenieACS 1.2.16: a task is queued in 3 to 10 ms, as are most other calls; a connection request takes up
to 2 s; waiting for a task's session may take 150 s, so tasks are queued without waiting and their end is looked up.

What is done with trouble:

===========================================  =============================================================
nobody listens, the connection is refused    tried again for 23 s (a worker is back after 21), then NbiUnreachable
503 ``Device is in session``                 tried again for 30 s, then NbiDeviceInSession
no answer in time                            a read: NbiTimedOut; a write: ``Unknown``, never sent again here
cut off at once                              a read: tried again; a write: ``Unknown``
cut off after 15 s of silence                NbiPoisoned: the request has killed a worker, never sent again. But a write
                                             that waits for a session: ``Unknown``; a read: asked once more if others
                                             are answered, else (or if its like was answered before) NbiUnreachable
400, 404, 405, 431, redirects                ``Rejected`` (or NbiRejected for a read)
a 5xx that is not GenieACS's own             a proxy speaks: NbiUnreachable for a read, ``Unknown`` for a write
===========================================  =============================================================

An ACS that cannot be reached, or is silent three times in a row, is left in peace for a while (``acs.nbi.breaker``).

``GET /ping/{host}`` is not spoken: it starts a program at the ACS with an address of ours (CVE-2021-46704 was that
door's twin in the web interface), answers 500 where no ``ping`` is installed (observed), and tells nothing of a CPE
that a connection request does not tell better. The proxy that comes with Firstlight blocks it.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from acs.nbi.breaker import CircuitBreaker
from acs.nbi.calls import Found
from acs.nbi.device_calls import DeviceCalls
from acs.nbi.library_calls import LibraryCalls
from acs.nbi.transport import NbiTransport
from acs.ports import Sleep

__all__ = ["Found", "NbiClient"]


class NbiClient(DeviceCalls, LibraryCalls):
    """One GenieACS. Use as ``async with NbiClient("http://127.0.0.1:7557") as nbi``.

    ``authorization`` is the value of the Authorization header for a proxy before the NBI, which has no authentication
    itself; ``tls`` a context with the proxy's authority and our certificate. At most ``max_connections`` requests are
    under way at once.
    """

    def __init__(
        self,
        base_url: str,
        *,
        authorization: str | None = None,
        tls: ssl.SSLContext | None = None,
        max_connections: int = 16,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.base_url = base_url
        self.breaker = CircuitBreaker(base_url, monotonic=monotonic)
        super().__init__(
            NbiTransport(
                base_url,
                authorization=authorization,
                tls=tls,
                max_connections=max_connections,
                sleep=sleep,
                monotonic=monotonic,
                jitter=jitter,
                breaker=self.breaker,
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._transport.aclose()

    @property
    def genieacs_version(self) -> str | None:
        """What the last answer said in ``GenieACS-Version``; None before the first one, or behind a shy proxy."""
        return self._transport.genieacs_version

    @property
    def clock_of_acs(self) -> str | None:
        """The ``Date`` header of the last answer (RFC 9110 s6.6.1); None where there is none."""
        return self._transport.clock_of_acs
