"""What runs inside a session: the built-in provisions, the scripts stored in `/provisions`, their native twins.

The lab has no JavaScript engine. A stored script runs natively when the lab has a twin of that name (`NativeScript`;
those of ours stand only for the scripts as they come), or when it consists of the few statements that
`_run_statements` understands. Anything else is a fault that says so: it is never passed over in silence. A name that
isn't stored is silently ignored, as the real server does (observed).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from acs.testing.apply_script import NAME as FIRSTLIGHT_APPLY
from acs.testing.apply_script import firstlight_apply, shipped_script
from acs.testing.device_document import remove
from acs.testing.device_session import DeviceSession
from acs.testing.errors import ScriptError
from acs.testing.first_session_script import NAME as FIRST_SESSION
from acs.testing.first_session_script import acs_named_in, firstlight_first_session
from acs.testing.json_text import JsonSyntaxError, parse_json
from acs.testing.query import Document

NativeScript = Callable[[DeviceSession, Sequence[object]], Awaitable[None]]
Provision = Sequence[object]
Download = Callable[[DeviceSession, Sequence[object]], Awaitable[None]]

NATIVE_SCRIPTS: Mapping[str, NativeScript] = {
    FIRSTLIGHT_APPLY: firstlight_apply,
    FIRST_SESSION: firstlight_first_session,
}

_LITERAL = r"\"[^\"]*\"|'[^']*'|true|false|null|-?\d+(?:\.\d+)?"
_NOW = re.compile(r"(?:const|let|var)\s+\w+\s*=\s*Date\.now\([^)]*\)")
_CLEAR = re.compile(r"clear\(\s*([\"'])(?P<path>[^\"']+)\1\s*,\s*[\w.()]+\s*\)")
_DECLARE = re.compile(
    rf"declare\(\s*([\"'])(?P<path>[^\"']+)\1\s*,\s*(?:null|\{{[^}}]*\}})\s*(?:,\s*\{{\s*value\s*:\s*(?P<value>{_LITERAL})\s*\}})?\s*\)"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class Provisions:
    """Runs provisions in a session, in order; neighbouring `value` provisions become one SetParameterValues."""

    def __init__(self, stored: Callable[[], Mapping[str, Document]], download: Download) -> None:
        self._stored = stored
        self._download = download
        self.native: dict[str, NativeScript] = dict(NATIVE_SCRIPTS)

    async def run(self, session: DeviceSession, provisions: Sequence[Provision]) -> None:
        """Raises: CwmpFault, ScriptError, ExtensionFault."""
        wishes: list[tuple[str, object]] = []
        for name, *args in provisions:
            if name == "value":
                wishes.append((str(args[0]), args[-1]))
                continue
            await session.declare_values(wishes)
            wishes = []
            await self._run_one(session, str(name), args)
        await session.declare_values(wishes)

    async def _run_one(self, session: DeviceSession, name: str, args: Sequence[object]) -> None:
        built_in = _BUILT_IN.get(name)
        if built_in is not None:
            await built_in(session, args)
        elif name == "download":
            await self._download(session, args)
        elif name in self._stored():
            await self._run_script(session, name, args)

    async def _run_script(self, session: DeviceSession, name: str, args: Sequence[object]) -> None:
        native = self.native.get(name)
        stored = str(self._stored()[name].get("script", ""))
        as_it_comes = native is not firstlight_apply or stored == shipped_script()
        if native is firstlight_first_session:
            named = acs_named_in(stored)
            args, as_it_comes = [named], named is not None
        if not as_it_comes:
            # What somebody changed in it is something the twin does not do.
            raise ScriptError(name, f"the lab has no JavaScript engine, and {name} is not stored as it comes")
        if native is not None:
            await native(session, args)
        else:
            await _run_statements(session, name, stored)


async def _run_statements(session: DeviceSession, name: str, script: str) -> None:
    """`const now = Date.now()`, `clear("Path", now)`, `declare("Path" or "Tags.x", ..., {value: literal})`."""
    wishes: list[tuple[str, object]] = []
    for statement in re.split(r"[;\n]+", _COMMENT.sub("", script)):
        text = statement.strip()
        if not text or _NOW.fullmatch(text):
            continue
        if clear := _CLEAR.fullmatch(text):
            remove(session.document, clear["path"])
        elif declare := _DECLARE.fullmatch(text):
            if declare["path"].startswith("Tags."):
                session.set_tag(declare["path"][5:], declare["value"] == "true")
            elif declare["value"] is not None:
                wishes.append((declare["path"], _literal(declare["value"])))
            else:
                await session.read_fresh([declare["path"]])
        else:
            raise ScriptError(name, f"the lab has no JavaScript engine and no native twin of {name}: {text[:60]}")
    await session.declare_values(wishes)


def _literal(text: str) -> object:
    try:
        return parse_json(text)
    except JsonSyntaxError:
        return text.strip("'")


async def _refresh(session: DeviceSession, args: Sequence[object]) -> None:
    path = str(args[0]).rstrip(".")
    paths = await session.expand(path) if "*" in path else [path] if path else ["Device", "InternetGatewayDevice"]
    for one in paths:
        await session.refresh(one)


async def _add(session: DeviceSession, args: Sequence[object]) -> None:
    path, values = str(args[0]).rstrip("."), args[1] if len(args) > 1 else []
    pairs = [(str(one[0]), one[1]) for one in values] if isinstance(values, list) else []
    await session.add_object(path, pairs)


async def _delete(session: DeviceSession, args: Sequence[object]) -> None:
    await session.delete_object(str(args[0]).rstrip("."))


async def _reboot(session: DeviceSession, args: Sequence[object]) -> None:
    del args
    session.rpcs.reboot()
    session.answered("Reboot")


async def _reset(session: DeviceSession, args: Sequence[object]) -> None:
    del args
    session.rpcs.factory_reset()
    session.answered("FactoryReset")


_BUILT_IN: Mapping[str, NativeScript] = {
    "refresh": _refresh,
    "reboot": _reboot,
    "reset": _reset,
    "add-object": _add,
    "delete-object": _delete,
}
