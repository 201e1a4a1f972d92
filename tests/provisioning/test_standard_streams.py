"""The program as a job starts it that has closed what it doesn't use."""

from __future__ import annotations

import os
import subprocess
import sys


def test_a_child_is_handed_what_its_parent_had_to_open() -> None:
    child = "print(os.path.samefile(0, os.devnull), file=sys.stderr)"
    program = (
        "import os, subprocess, sys; from provisioning.standard_streams import open_missing; open_missing();"
        " print(os.path.samefile(0, os.devnull), sys.stdin.read(), 'seen');"
        f" subprocess.run([sys.executable, '-c', {('import os, sys; ' + child)!r}], check=True)"
    )
    command = ["bash", "-c", f'"{sys.executable}" -c "$PROGRAM" <&-']
    done = subprocess.run(command, env=os.environ | {"PROGRAM": program}, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True  seen\n", "True\n")
