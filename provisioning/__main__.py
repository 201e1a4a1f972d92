"""The console script ``firstlight``, and ``python -m provisioning``."""

from __future__ import annotations

import gc


def main() -> None:
    """Runs the command line.

    What is imported stays for good: looking through it for garbage again and again, while it is imported and in
    every later collection of a worker, would cost a third of each start.
    """
    gc.disable()
    from provisioning import cli

    gc.freeze()
    gc.enable()
    cli.main()


if __name__ == "__main__":
    main()
