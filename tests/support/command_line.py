"""``firstlight ...`` typed in this process: what is printed, and the exit status."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from typing import Any, cast

import typer
from typer.main import get_command
from typer.testing import CliRunner

from provisioning.cli import app

COMMAND = get_command(app)
"""All commands with all their options. Making it takes longer than most of them do."""

UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""What is typed can't be meant. (Typer brings its own copy of click along.)"""


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


def parsed(line: str) -> dict[str, Any]:
    """As what a command line would be understood that is typed in a shell, by the name of each parameter; nothing is
    done.

    Raises: UsageError where it would be refused, and typer's Exit where it would print its help.
    """
    program, *words = shlex.split(line)
    assert program == "firstlight", line
    command: Any = COMMAND
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return dict(command.make_context(command.name, words).params)


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
