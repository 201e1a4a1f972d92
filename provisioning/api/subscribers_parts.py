"""What else is wrong with a request about a subscriber of which a part is malformed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast, get_args

from provisioning.api.calls import Call
from provisioning.api.whom import By, whom, whom_to_end
from provisioning.subscriber_looks import Who
from radius import LineIdentity

_LINE = ("station", "port", "circuit", "remote")


async def misfits(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Of what is asked of the subscriber in the path."""
    return [*await _of(call, sound, lambda who: who), *await _of_line(call, sound)]


async def misfits_of_end(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The same of its end, which may be asked for again."""
    return await _of(call, sound, whom_to_end)


async def _of(call: Call, sound: Mapping[str, Any], meant: Callable[[Who], Who]) -> list[tuple[str, str]]:
    by = call.request.query_params.get("by", "username")
    if by not in get_args(By):
        return []
    who = meant(whom(call.request.path_params["username"], cast(By, by)))
    return await call.appliance.subscriber_desk(call.db).faults_in_change(who, sound)


async def _of_line(call: Call, sound: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of a line all of whose parts are known, as one part may stand for another."""
    said = await call.request.json() if await call.request.body() else None
    if not isinstance(said, dict) or not {"logs_in", *_LINE}.intersection(said) or set(said) - {"reason", *sound}:
        return []
    line = LineIdentity(**{part: sound.get(part) for part in _LINE}).in_one_spelling
    return [("logs_in", fault) for fault in line.faults(logs_in=bool(sound.get("logs_in")))]
