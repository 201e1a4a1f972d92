"""What the script `firstlight_apply` does in a GenieACS, done natively: the lab runs no JavaScript.

One argument, JSON: `{"rev": hex, "params": [[path, value, xsd type, is secret], ...], "stale_tags": [tag, ...]}`.
Everything is read from the CPE first; a missing or read-only parameter ends it with nothing written; what differs and
every secret is written in one SetParameterValues; the tag `cfg_<rev>` is set, and stale tags go, only when the CPE has
taken it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from acs.testing.device_session import DeviceSession
from acs.testing.errors import ScriptError

NAME = "firstlight_apply"


def shipped_script() -> str:
    """The JavaScript that the native twin stands for, word by word."""
    return (files("acs") / "provisions" / f"{NAME}.js").read_text(encoding="utf-8")


async def firstlight_apply(session: DeviceSession, args: Sequence[object]) -> None:
    """Raises: ScriptError naming the parameters that are missing or read-only; CwmpFault when the CPE refuses."""
    wanted = json.loads(str(args[0]))
    wishes = {path: value for path, value, *_ in wanted["params"]}
    secrets = {path for path, _, _, is_secret in wanted["params"] if is_secret}
    found = set(await session.read_fresh(wishes))
    _refuse("missing", [path for path in wishes if path not in found])
    _refuse("read-only", [path for path in wishes if not session.writable(path)])
    await session.write(
        [(path, value) for path, value in wishes.items() if path in secrets or session.differs(path, value)]
    )
    for tag in wanted["stale_tags"]:
        session.set_tag(tag, False)
    session.set_tag(f"cfg_{wanted['rev']}", True)


def _refuse(complaint: str, paths: list[str]) -> None:
    if paths:
        raise ScriptError(NAME, f"{complaint} {','.join(paths)}")
