"""How fast a fleet of CPEs is served through GenieACS, as one JSON object a line: `make bench-acs`.

    make bench-acs QUICK=1           some hundred CPEs: within 50 seconds
    make bench-acs                   10,000 CPEs, of which all can be called, and a sweep of 50,000
    make bench-acs ONLY=acs.sweep    one of them

The lab ACS runs in a process of its own. With FIRSTLIGHT_GENIEACS_NBI_URL the same client goes to that GenieACS
instead: ``acs.enqueue`` queues a reading of one parameter for its CPEs, which expires, and ``acs.sweep`` reads;
``acs.converge`` would change customers' settings and is left out.

* ``acs.enqueue``: tasks queued by our client, 16 at once, each checked and its answer judged; ``floor`` is a bare HTTP
  client that posts the same bodies to the same ACS, so ``ratio`` is what the checks and the judging cost.
* ``acs.converge``: CPEs that have nothing get their settings and are read back in a later session; ``seconds`` in all,
  ``memory_mb`` the most that our process had.
* ``acs.sweep``: all CPEs looked at, a page at a time; ``pages`` are the questions that the ACS was asked.
"""

from __future__ import annotations

import gc
import logging
import os

import structlog
import uvloop

from provisioning.__main__ import COLLECT_AFTER
from tests.bench import acs_converging, acs_enqueueing, acs_sweeping

ONLY = os.environ.get("ONLY", "")
BENCHES = {
    "acs.converge": acs_converging.measure,
    "acs.enqueue": acs_enqueueing.measure,
    "acs.sweep": acs_sweeping.measure,
}


def main() -> None:
    """All of them, or the one that is asked for."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)  # as the product's own processes do
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name, measure in BENCHES.items():
        if ONLY in ("", name):
            uvloop.run(measure())


if __name__ == "__main__":
    main()
