"""The lab's remote control: what a person could do to the outside world, over HTTP on a port of its own.

    GET  /lab/cpes                          POST /lab/cpes            (attach)
    GET  /lab/cpes/{serial}
    POST /lab/cpes/{serial}/{act}           power_on, power_off, light, darken, periodic_inform, factory_reset
    GET  /lab/cpes/{serial}/value?path=     PUT  /lab/cpes/{serial}/value   {"path", "value"}: the customer sets it
    PUT  /lab/cpes/{serial}/quirks          {"reachable": false, ...}
    PUT  /lab/cpes/{serial}/ppp             {"status", "address"}
    GET  /lab/happenings?after=&wait_seconds=
    GET  /lab/snapshot                      PUT  /lab/snapshot
    PUT  /lab/trouble                       POST /lab/nbi/{down|up}

Bodies are JSON. A serial or parameter that doesn't exist is 404 with `{"error": sentence}`. It has no authentication
and shows secrets in clear: bind it to loopback.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from acs.testing.clock import WallClock
from acs.testing.cpe import LabCpe
from acs.testing.errors import LabRefused
from acs.testing.http_server import HttpRequest, HttpResponse, HttpServer
from acs.testing.quirks import Quirks
from acs.testing.server import LabAcs, NbiTrouble

_ACTS: Mapping[str, Callable[[LabCpe], Awaitable[bool | None]]] = {
    "power_on": LabCpe.power_on,
    "power_off": LabCpe.power_off,
    "light": LabCpe.light,
    "darken": LabCpe.darken,
    "periodic_inform": LabCpe.periodic_inform,
    "factory_reset": LabCpe.factory_reset,
}
_JSON = {"Content-Type": "application/json"}


class ControlApi:
    """Serves one lab's remote control. `await start()`, `url`, `await stop()`."""

    def __init__(self, lab: LabAcs) -> None:
        self._lab = lab
        self._http = HttpServer(self._answer, WallClock())

    @property
    def url(self) -> str:
        return self._http.url

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        await self._http.listen(host, port)

    async def stop(self) -> None:
        """Raises: the first error that a request ran into, if there was one: a defect of the lab."""
        await self._http.close()
        if self._http.defects:
            raise self._http.defects[0]

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        path, _, query = request.target.partition("?")
        segments = [unquote(one) for one in path.strip("/").split("/")]
        try:
            body = json.loads(request.body) if request.body else {}
            answer = await self._route(request.method, segments, dict(parse_qsl(query)), body)
        except LabRefused as exc:
            return _json(404, {"error": str(exc)})
        except (ValueError, TypeError, KeyError) as exc:
            return _json(400, {"error": f"{type(exc).__name__}: {exc}"})
        return _json(404, {"error": "no such path"}) if answer is None else _json(200, answer)

    async def _route(self, method: str, segments: list[str], query: dict[str, str], body: dict[str, Any]) -> object:
        match [method, *segments]:
            case [_, "lab", "cpes", *rest]:
                return await self._cpes(method, rest, query, body)
            case ["GET", "lab", "happenings"]:
                wait_seconds = float(query.get("wait_seconds", "0"))
                return await self._happenings(int(query.get("after", "0")), wait_seconds)
            case ["GET", "lab", "snapshot"]:
                return self._lab.snapshot()
            case ["PUT", "lab", "snapshot"]:
                self._lab.restore(body)
                return {}
            case ["PUT", "lab", "trouble"]:
                self._lab.trouble = NbiTrouble(**body)
                return {}
            case ["POST", "lab", "nbi", "down"]:
                await self._lab.go_down()
                return {}
            case ["POST", "lab", "nbi", "up"]:
                await self._lab.come_back()
                return {}
        return None

    async def _cpes(self, method: str, rest: list[str], query: dict[str, str], body: dict[str, Any]) -> object:
        match [method, *rest]:
            case ["GET"]:
                return [state_of(cpe) for cpe in self._lab.cpes.values()]
            case ["POST"]:
                return state_of(self._attach(body))
            case [_, serial, *further]:
                return await self._cpe(self._lab.cpe(serial), [method, *further], query, body)
        return None

    async def _cpe(self, cpe: LabCpe, call: list[str], query: dict[str, str], body: dict[str, Any]) -> object:
        match call:
            case ["GET"]:
                return state_of(cpe)
            case ["GET", "value"]:
                return {"value": cpe.value(query["path"])}
            case ["PUT", "value"]:
                cpe.customer_sets(body["path"], body["value"])
            case ["PUT", "quirks"]:
                cpe.quirks = Quirks.load(cpe.quirks.dump() | body)
            case ["PUT", "ppp"]:
                cpe.ppp_changed(body["status"], body.get("address", "0.0.0.0"))
            case ["POST", act] if act in _ACTS:
                return {"informed": bool(await _ACTS[act](cpe))}
            case _:
                return None
        return state_of(cpe)

    def _attach(self, body: dict[str, Any]) -> LabCpe:
        """The same CPE again is no error: whoever drives the lab may have died before it heard the answer."""
        identity = dict(body)
        serial, quirks = identity.pop("serial"), Quirks.load(identity.pop("quirks", {}))
        known, model = self._lab.cpes.get(serial), identity.pop("model", None)
        if known is not None:
            return known
        if model is not None:
            return self._lab.attach(LabCpe.of_model(serial, model, quirks=quirks, **_beside_model(identity)))
        return self._lab.attach(LabCpe(serial, quirks=quirks, **identity))

    async def _happenings(self, after: int, wait_seconds: float) -> list[dict[str, Any]]:
        """Those with a higher number; if there are none yet, wait so long (real time) for one."""
        try:
            async with asyncio.timeout(wait_seconds):
                await self._lab.happened_after(after)
        except TimeoutError:
            pass
        return [one.dump() for one in self._lab.happenings[after:]]


def _beside_model(identity: dict[str, Any]) -> dict[str, Any]:
    """What a model leaves open: who it is and what it has are the model's."""
    return {name: said for name, said in identity.items() if name not in ("oui", "product_class", "data_model")}


def state_of(cpe: LabCpe) -> dict[str, Any]:
    return {
        "serial": cpe.serial,
        "device_id": cpe.device_id,
        "data_model": cpe.data_model,
        "powered": cpe.powered,
        "line_up": cpe.line_up,
        "online": cpe.online,
        "in_session": cpe.in_session,
        "bootstrapped": cpe.bootstrapped,
        "ppp": dataclasses.asdict(cpe.ppp),
    }


def _json(status: int, value: object) -> HttpResponse:
    return HttpResponse(status, [json.dumps(value).encode()], headers=dict(_JSON))
