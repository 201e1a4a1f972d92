"""Drives a lab that runs in a process of its own (`python -m acs.testing`): the typed client of the control API."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import httpx

from acs.testing.cpe_network import PppState
from acs.testing.data_models import DataModel
from acs.testing.errors import LabRefused
from acs.testing.parameter_tree import Value
from acs.testing.server import NbiTrouble

_TIMEOUT_SECONDS = 150.0


@dataclass(frozen=True)
class CpeState:
    """A CPE as it is; `ppp.password` in clear."""

    serial: str
    device_id: str
    data_model: DataModel
    powered: bool
    line_up: bool
    online: bool
    in_session: bool
    bootstrapped: bool
    ppp: PppState


@dataclass(frozen=True)
class HappeningSeen:
    """One line of the lab's diary. `at` is ISO 8601."""

    number: int
    at: str
    serial: str
    kind: str
    facts: dict[str, Any]


class LabControl:
    """`async with LabControl(control_url) as lab`. Every method may raise LabRefused, with the lab's reason."""

    def __init__(self, url: str) -> None:
        # The lab closes an idle connection after 5 s; ours are given up before.
        limits = httpx.Limits(keepalive_expiry=2.0)
        self._http = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def attach(
        self,
        serial: str,
        *,
        oui: str = "00259E",
        product_class: str = "HG8245",
        data_model: DataModel = "TR-181",
        inform_interval_seconds: int = 300,
        line_up: bool = True,
        quirks: dict[str, Any] | None = None,
        model: str | None = None,
    ) -> CpeState:
        """Put a CPE there, without power; one that is there already stays as it is."""
        body = {
            "model": model,
            "serial": serial,
            "oui": oui,
            "product_class": product_class,
            "data_model": data_model,
            "inform_interval_seconds": inform_interval_seconds,
            "line_up": line_up,
            "quirks": quirks or {},
        }
        return _state(await self._ask("POST", "/lab/cpes", body))

    async def cpes(self) -> list[CpeState]:
        return [_state(one) for one in await self._ask("GET", "/lab/cpes")]

    async def cpe(self, serial: str) -> CpeState:
        return _state(await self._ask("GET", _path(serial)))

    async def power_on(self, serial: str) -> bool:
        """Boot; True when the ACS took the Inform (False while the line is dark)."""
        return await self._act(serial, "power_on")

    async def power_off(self, serial: str) -> None:
        await self._act(serial, "power_off")

    async def light(self, serial: str) -> bool:
        """The OLT lets the CPE in; True when it informed at once."""
        return await self._act(serial, "light")

    async def darken(self, serial: str) -> None:
        await self._act(serial, "darken")

    async def periodic_inform(self, serial: str) -> bool:
        return await self._act(serial, "periodic_inform")

    async def factory_reset(self, serial: str) -> bool:
        return await self._act(serial, "factory_reset")

    async def value(self, serial: str, path: str) -> Value:
        """What the CPE really holds, secrets in clear."""
        answer = await self._ask("GET", f"{_path(serial)}/value?path={quote(path, safe='')}")
        value: Value = answer["value"]
        return value

    async def customer_sets(self, serial: str, path: str, value: Value) -> None:
        await self._ask("PUT", f"{_path(serial)}/value", {"path": path, "value": value})

    async def set_quirks(self, serial: str, **quirks: object) -> None:
        """Change some fields of `Quirks`: `set_quirks(serial, reachable=False)`."""
        await self._ask("PUT", f"{_path(serial)}/quirks", quirks)

    async def ppp(self, serial: str) -> PppState:
        """What the CPE would dial with, and what became of it."""
        return (await self.cpe(serial)).ppp

    async def ppp_changed(self, serial: str, status: str, address: str = "0.0.0.0") -> None:
        """The lab's PPPoE client tells what became of the dial-in."""
        await self._ask("PUT", f"{_path(serial)}/ppp", {"status": status, "address": address})

    async def happenings(self, after: int = 0, *, wait_seconds: float = 0) -> list[HappeningSeen]:
        """Those with a higher number than `after`, waiting so long for a first one: inform, changed, ppp, boot, ..."""
        rows = await self._ask("GET", f"/lab/happenings?after={after}&wait_seconds={wait_seconds}")
        return [HappeningSeen(**row) for row in rows]

    async def snapshot(self) -> dict[str, Any]:
        content: dict[str, Any] = await self._ask("GET", "/lab/snapshot")
        return content

    async def restore(self, content: dict[str, Any]) -> None:
        await self._ask("PUT", "/lab/snapshot", content)

    async def set_trouble(self, trouble: NbiTrouble) -> None:
        await self._ask("PUT", "/lab/trouble", vars(trouble))

    async def nbi_down(self) -> None:
        """The NBI refuses connections."""
        await self._ask("POST", "/lab/nbi/down")

    async def nbi_up(self) -> None:
        await self._ask("POST", "/lab/nbi/up")

    async def _act(self, serial: str, act: str) -> bool:
        return bool((await self._ask("POST", f"{_path(serial)}/{act}"))["informed"])

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx.HTTPError as exc:
            raise LabRefused(f"the lab doesn't answer: {type(exc).__name__}") from exc
        answer = response.json()
        if response.status_code != 200:
            raise LabRefused(str(answer["error"]))
        return answer


def _path(serial: str) -> str:
    return f"/lab/cpes/{quote(serial, safe='')}"


def _state(row: dict[str, Any]) -> CpeState:
    return CpeState(**(row | {"ppp": PppState(**row["ppp"])}))
