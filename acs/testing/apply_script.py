"""What the script `firstlight_apply` does in a GenieACS, done natively: the lab runs no JavaScript.

One argument, JSON; the head of the script says what stands in it. Rows that a selector leaves open are chosen by what
the CPE reports. Everything is read from the CPE first; a missing or read-only parameter, no row or several, or a change
that would cut the connection to the ACS ends it with nothing written; what differs and every secret is written in one
SetParameterValues; the tag `cfg_<rev>` (and the one that `proof` names) is set, and stale tags go, only when the CPE
has taken it. With `read` nothing
is written at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from acs.testing.device_session import DeviceSession
from acs.testing.errors import ScriptError

NAME = "firstlight_apply"
_OPEN = re.compile(r"\{([a-z_]+)\}")
_PORT = re.compile(r":\d+$")


def shipped_script() -> str:
    """The JavaScript that the native twin stands for, word by word."""
    return (files("acs") / "provisions" / f"{NAME}.js").read_text(encoding="utf-8")


async def firstlight_apply(session: DeviceSession, args: Sequence[object]) -> None:
    """Raises: ScriptError naming what is missing, read-only, not found or would cut the connection; CwmpFault when the
    CPE refuses.
    """
    wanted = json.loads(str(args[0]))
    numbers, chosen = await _chosen_rows(session, wanted.get("select") or [])
    wishes = {_placed(path, numbers): value for path, value, *_ in wanted["params"]}
    secrets = {_placed(path, numbers) for path, _, _, is_secret, *_ in wanted["params"] if is_secret}
    found = set(await session.read_fresh(wishes))
    if not wanted.get("read"):
        _refuse("missing", [path for path in wishes if path not in found])
        _refuse("read-only", [path for path in wishes if not session.writable(path)])
        await _refuse_cut(session, wanted.get("guard"), numbers, wishes)
        await session.write(
            [(path, value) for path, value in wishes.items() if path in secrets or session.differs(path, value)]
        )
    for tag in wanted["stale_tags"]:
        session.set_tag(tag, tag in chosen)
    for tag in chosen:
        session.set_tag(tag, True)
    if not wanted.get("read"):
        session.set_tag(f"cfg_{wanted['rev']}", True)
        if wanted.get("proof"):
            session.set_tag(wanted["proof"], True)


async def _chosen_rows(session: DeviceSession, select: Sequence[Sequence[Any]]) -> tuple[dict[str, str], list[str]]:
    """The open numbers, and the tags that tell them."""
    numbers: dict[str, str] = {}
    chosen: list[str] = []
    for name, row, where, test, values in select:
        leaves = await session.read_fresh(await session.expand(f"{_OPEN.sub('*', row)}.{where}"))
        seen = [(leaf.removesuffix(f".{where}"), str(session.value(leaf))) for leaf in leaves]
        fitting = [(at, value) for at, value in seen if test == "only" or _answers(value, test, values)]
        if len(fitting) != 1:
            among = ";".join(f"{at}={value}" for at, value in (fitting or seen))
            raise ScriptError(NAME, f"{'ambiguous' if fitting else 'no instance'} {name}: {among}")
        at = fitting[0][0].split(".")
        here = {segment[1:-1]: at[depth] for depth, segment in enumerate(row.split(".")) if segment[0] == "{"}
        numbers |= here
        chosen.append("_".join(["row", name, *here.values()]))
    return numbers, chosen


async def _refuse_cut(
    session: DeviceSession, guard: Mapping[str, Any] | None, numbers: Mapping[str, str], wishes: Mapping[str, object]
) -> None:
    if not guard:
        return
    carries = False
    for path, test, values in guard["signs"]:
        said = await _text(session, _placed(path, numbers))
        if test == "host_of":
            address = (await _text(session, _placed(values[0], numbers))).partition("://")[2].partition("/")[0]
            carries |= said != "" and said == _PORT.sub("", address)
        else:
            carries |= _answers(said, test, values)
    restarting = {_placed(path, numbers) for path in guard["restarting"]}
    if carries:
        _refuse("cuts management", [path for path in wishes if path in restarting and _other(session, path, wishes)])


def _other(session: DeviceSession, path: str, wishes: Mapping[str, object]) -> bool:
    return str(session.value(path)).lower() != str(wishes[path]).lower()


async def _text(session: DeviceSession, path: str) -> str:
    return str(session.value(path)) if await session.read_fresh([path]) else ""


def _answers(value: str, test: str, values: Sequence[str]) -> bool:
    tokens = [token.strip() for token in value.split(",")] if test == "has" else [value]
    return any(token in values for token in tokens)


def _placed(path: str, numbers: Mapping[str, str]) -> str:
    return _OPEN.sub(lambda found: numbers[found[1]], path)


def _refuse(complaint: str, paths: list[str]) -> None:
    if paths:
        raise ScriptError(NAME, f"{complaint} {','.join(paths)}")
