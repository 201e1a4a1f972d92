"""``acs.converge``: thousands of CPEs get their settings and are read back."""

from __future__ import annotations

import os
import resource
import time

from acs import NbiClient
from acs.fleet.converging import FleetConvergence
from tests.bench.acs_lab import QUICK, REAL, TENANT, WORKERS, Secrets, bound, lab_of, utc_now
from tests.bench.lines import percentiles, say

CPES = int(os.environ.get("CPES") or (400 if QUICK else 10_000))


async def measure() -> None:
    """One run: all of them, from nothing to read back."""
    if REAL:
        return
    async with lab_of(CPES) as url, bound(CPES) as database, NbiClient(url, max_connections=64) as nbi:
        fleet = FleetConvergence(
            database.begin, nbi, tenant_id=TENANT, now=utc_now, secrets=Secrets(), cwmp_workers=WORKERS
        )
        ends: list[float] = []
        began = time.perf_counter()
        progress = await fleet.converge_many(on_progress=lambda _progress: ends.append(time.perf_counter()))
        seconds = time.perf_counter() - began
    apart = [(end - before) * 1000 for before, end in zip([began, *ends], ends, strict=False)]
    say(
        {
            "bench": "acs.converge",
            "database": "sqlite",
            "cpes": CPES,
            "rate_per_s": round(progress.converged / seconds, 1),
            "seconds": round(seconds, 1),
            "converged": progress.converged,
            "by_state": dict(progress.by_state),
            "by_why": dict(progress.by_why),
            "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            **percentiles(apart),
            "runs": 1,
        }
    )
