"""How fast RADIUS' side is, as one JSON object a line: `make bench-radius`.

    make bench-radius QUICK=1            smaller tables and short windows: within 50 seconds
    make bench-radius RUNS=5 SECONDS=5   all of it
    make bench-radius ONLY=radius.auth   one of them

Each is measured against a *floor* in the same run, both in turn, so that what else the machine does falls on both
sides. ``ratio`` is how many times the floor's time ours takes (of ``radius.auth`` how many times the floor's rate ours
has), ``floor`` and ``rate_per_s`` are operations a second, the medians of the runs.

* ``radius.import``: subscribers into FreeRADIUS' tables, three rows each and a line of our ledger, committed: against
  the three rows by plain COPY (PostgreSQL) or ``sqlite3.executemany`` (SQLite). ``row_by_row_per_s``: as front ends do
  it, each is looked for, its rows are made as objects, and committed (``bare``: without
  objects). ``whole`` is all of an import: our row, its sealed password, the rows, the notes.
* ``radius.auth``: PAP logins through the real FreeRADIUS on PostgreSQL, every sixteenth with a wrong password, by a
  generator of its own process with 16 under way: one question a login against five, and logins beside an import
  against those without. PostgreSQL doesn't sync here: what is compared is queries, not the disk that the login log
  waits for.
* ``radius.queries``: questions to radacct, p95 of each, on as many rows as the line says beside a year's archive; and
  how long it takes to reap 10,000 sessions.
* ``radius.coa``: CoA-Requests to simulated NASes in other processes, each answered; ``lost`` are outcomes nobody knows.
  ``through the outbox`` is all of it: a plan is changed, and its sessions are told, on an appliance of its own.
"""

from __future__ import annotations

import gc
import logging
import os

import structlog

from provisioning.__main__ import COLLECT_AFTER
from tests.bench import radius_coa, radius_importing, radius_logins, radius_outbox, radius_sessions

ONLY = os.environ.get("ONLY", "")


def _coa() -> None:
    radius_coa.measure()
    radius_outbox.measure()


BENCHES = {
    "radius.import": radius_importing.measure,
    "radius.auth": radius_logins.measure,
    "radius.queries": radius_sessions.measure,
    "radius.coa": _coa,
}


def main() -> None:
    """All of them, or the one that is asked for. Garbage is looked for as in every process of the product."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for name, measure in BENCHES.items():
        if ONLY in ("", name):
            measure()


if __name__ == "__main__":
    main()
