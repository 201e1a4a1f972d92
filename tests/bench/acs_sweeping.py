"""``acs.sweep``: all CPEs that an ACS knows, looked at once."""

from __future__ import annotations

import os
import resource
import time
from contextlib import AsyncExitStack

from acs import NbiClient
from acs.fleet.sweeping import Sweep
from tests.bench.acs_lab import QUICK, REAL, TENANT, bound, lab_of, utc_now
from tests.bench.lines import say

DEVICES = int(os.environ.get("DEVICES") or (2_000 if QUICK else 50_000))
BOUND_SHARE = 0.9


async def measure() -> None:
    """One sweep; nine tenths of the CPEs are bound and converged, the others are found to be nobody's."""
    async with AsyncExitStack() as stack:
        url = REAL if REAL else await stack.enter_async_context(lab_of(DEVICES))
        database = await stack.enter_async_context(bound(int(DEVICES * BOUND_SHARE), converged=True))
        nbi = await stack.enter_async_context(NbiClient(url))
        sweep = Sweep(database.begin, nbi, tenant_id=TENANT, now=utc_now)
        began, spent = time.perf_counter(), time.process_time()
        found = await sweep.everything()
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - spent
    say(
        {
            "bench": "acs.sweep",
            "database": "sqlite",
            "devices": found.devices,
            "pages": found.pages,
            "rate_per_s": round(found.devices / seconds),
            "seconds": round(seconds, 1),
            "cpu_seconds": round(cpu_seconds, 1),
            "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "due": len(found.due),
            "unbound": found.unbound,
            "runs": 1,
        }
    )
