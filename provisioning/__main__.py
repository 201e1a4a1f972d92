"""The console script ``firstlight``, and ``python -m provisioning``."""

from __future__ import annotations

import gc

from provisioning.standard_streams import open_missing

COLLECT_AFTER = 20_000
"""Objects more than there were. After Python's own 700 a worker that carries thousands of changes or rows at a time
spends a fifth of its time on looking for garbage where there is none."""


def main() -> None:
    """Runs the command line.

    What is imported stays for good: looking through it for garbage again and again, while it is imported and in
    every later collection of a worker, would cost a third of each start.
    """
    open_missing()
    gc.disable()
    from provisioning import cli

    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    gc.enable()
    cli.main()


if __name__ == "__main__":
    main()
