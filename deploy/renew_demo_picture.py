"""Runs what `make demo` runs and makes docs/demo.svg of what it printed, word for word; `make picture` calls it."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "demo.svg"
COMMAND = ("demo", "--once", "--json")
WIDTH = 118


def picture_of(printed: str) -> str:
    """An SVG of a terminal after `make demo`. It names no font of its own, and long lines are broken, not cut."""
    with io.StringIO() as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print(Text("$ make demo", style="bold"))
        for line in printed.splitlines():
            console.print(Text(line, overflow="fold"))
        picture = console.export_svg(title="make demo", unique_id="demo")
    picture = re.sub(r"<!--.*?-->\s*", "", picture, flags=re.DOTALL)
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL).replace("Fira Code", "monospace")


def main() -> None:
    """Raises: CalledProcessError if the demo fails; the picture is left as it was then."""
    firstlight = Path(sys.executable).parent / "firstlight"
    done = subprocess.run(  # noqa: S603 - our own program with arguments of our own
        [str(firstlight), *COMMAND], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    PICTURE.write_text(picture_of(done.stdout), encoding="utf-8")


if __name__ == "__main__":
    main()
