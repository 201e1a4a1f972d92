"""``firstlight ...`` typed in this process: what is printed, and the exit status."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from provisioning.cli import app

COMMAND = get_command(app)
"""All commands with all their options. Making it takes longer than most of them do."""


@dataclass(frozen=True)
class Typed:
    """What came of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one value that a program reads."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self.out
        return json.loads(lines[0])


def type_command(*words: object) -> Typed:
    """A traceback is raised as it is."""
    status: Any = 0
    with CliRunner().isolation() as (out, err, _):
        try:
            COMMAND.main(args=[str(word) for word in words], prog_name="firstlight")
        except SystemExit as end:
            status = end.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        return Typed(status, out.getvalue().decode(), err.getvalue().decode())
