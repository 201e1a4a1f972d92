"""The lab's OLT: the HTTP protocol of ``adapters.olt_http`` with an OLT's state and bad days behind it.

    async with LabOlt(snapshot=path, on_authorised=light_up, on_withdrawn=go_dark) as olt:
        adapter = OltHttpAdapter(http, url=olt.url, timeout_seconds=5)

Where an ONT is plugged in is the lab's own truth (``plug``); what was ordered may differ from it. The state is kept in
the snapshot file before anybody hears of it, so a killed lab comes back with the lines it had, and tells the callback
of each of them again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from provisioning.http_double import Asked, HttpDouble, Silence, Told

FIRST_PORT = "0/1/0"


class LineBody(BaseModel):
    """What a PUT carries."""

    model_config = ConfigDict(extra="forbid", strict=True)

    customer_id: int
    service_id: int
    serial: str
    access_node: str
    port: str | None
    svlan: int
    cvlan: int | None
    management_vlan: int | None
    line_profile: str


@dataclass
class LabLine:
    """One line as this OLT has it; the VLANs are what it would put on the fibre."""

    order: str
    serial: str
    access_node: str
    port: str
    onu_id: int
    received_power_dbm: float
    svlan: int
    cvlan: int | None
    management_vlan: int | None
    line_profile: str


@dataclass
class Plugged:
    """Where the lab has put an ONT, and how much light reaches it."""

    port: str
    received_power_dbm: float


@dataclass
class OltState:
    """All that the OLT remembers."""

    lines: dict[str, LabLine] = field(default_factory=dict)
    withdrawn: list[str] = field(default_factory=list)
    answers: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)


Heard = Callable[[LabLine], None]
Reply = tuple[int, dict[str, Any]]


def _nobody(_line: LabLine) -> None:
    return None


class LabOlt(HttpDouble):
    """An OLT on 127.0.0.1. Its quirks are methods: ``plug``, ``refuse``, ``hang_once_after_effect``."""

    def __init__(
        self, *, snapshot: Path | None = None, on_authorised: Heard = _nobody, on_withdrawn: Heard = _nobody
    ) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._on_authorised = on_authorised
        self._on_withdrawn = on_withdrawn
        self._state = _read(snapshot)
        self._plugged: dict[str, Plugged] = {}
        self._refusals: dict[str, str] = {}
        self._hangs: set[str] = set()
        self.requests: list[tuple[str, str]] = []

    @property
    def lines(self) -> dict[str, LabLine]:
        """The lines on this OLT, by the serial they are for."""
        return {line.serial: line for line in self._state.lines.values()}

    def plug(self, serial: str, port: str, *, received_power_dbm: float = -19.4) -> None:
        """This ONT's fibre really ends at this port, whatever is planned."""
        self._plugged[serial] = Plugged(port, received_power_dbm)

    def refuse(self, serial: str, reason: str | None) -> None:
        """Refuse this serial with a reason from now on; None: no more."""
        if reason is None:
            self._refusals.pop(serial, None)
        else:
            self._refusals[serial] = reason

    def hang_once_after_effect(self, serial: str) -> None:
        """Do what is asked for this serial next, and never answer."""
        self._hangs.add(serial)

    async def start(self, port: int = 0) -> None:
        await super().start(port)
        for line in self._state.lines.values():
            self._on_authorised(line)

    def answer(self, asked: Asked) -> Told | Silence:
        self.requests.append((asked.method, asked.target))
        reply, serial = self._answered(asked)
        if reply[0] == 200 and serial in self._hangs:
            self._hangs.discard(serial)
            return Silence.HANGS
        return Told.json(*reply)

    def _answered(self, asked: Asked) -> tuple[Reply, str]:
        """The reply, and the serial it is about."""
        key = asked.headers.get("idempotency-key", "")
        order = asked.target.removeprefix("/lines/")
        if order == asked.target or "/" in order or asked.method not in ("PUT", "DELETE"):
            return (404, {"reason": "PUT or DELETE /lines/<order>"}), ""
        if not key:
            return (400, {"reason": "an Idempotency-Key is needed"}), ""
        if asked.method == "DELETE":
            return self._withdraw(order, key)
        try:
            wish = LineBody.model_validate_json(asked.body)
        except ValidationError as exc:
            return (422, {"reason": f"{exc.error_count()} faults in the body"}), ""
        return self._authorise(order, key, wish), wish.serial

    def _authorise(self, order: str, key: str, asked: LineBody) -> Reply:
        words = asked.model_dump_json()
        if key in self._state.answers and order not in self._state.withdrawn:
            earlier, answer = self._state.answers[key]
            return (200, answer) if earlier == words else (422, {"reason": "this key came with another line before"})
        if refusal := self._refusal(order, asked):
            return refusal
        plugged = self._plugged.get(asked.serial, Plugged(asked.port or FIRST_PORT, -19.4))
        line = LabLine(
            order=order,
            serial=asked.serial,
            access_node=asked.access_node,
            port=plugged.port,
            onu_id=self._free_onu_id(plugged.port),
            received_power_dbm=plugged.received_power_dbm,
            svlan=asked.svlan,
            cvlan=asked.cvlan,
            management_vlan=asked.management_vlan,
            line_profile=asked.line_profile,
        )
        answer = {"port": line.port, "onu_id": line.onu_id, "received_power_dbm": line.received_power_dbm}
        self._state.lines[order] = line
        self._state.answers[key] = (words, answer)
        self._keep()
        self._on_authorised(line)
        return 200, answer

    def _refusal(self, order: str, asked: LineBody) -> Reply | None:
        if order in self._state.withdrawn:
            return 410, {"reason": f"order {order} was withdrawn"}
        if reason := self._refusals.get(asked.serial):
            return 409, {"reason": reason}
        if asked.port is None and asked.serial not in self._plugged:
            return 409, {"reason": f"{asked.serial} is seen on no PON port"}
        if (holder := self.lines.get(asked.serial)) is not None:
            return 409, {"reason": f"{asked.serial} is authorised on {holder.port} for order {holder.order}"}
        return None

    def _withdraw(self, order: str, key: str) -> tuple[Reply, str]:
        line = self._state.lines.get(order)
        if line is not None and (reason := self._refusals.get(line.serial)):
            return (409, {"reason": reason}), line.serial
        self._state.lines.pop(order, None)
        if order not in self._state.withdrawn:
            self._state.withdrawn.append(order)
        self._state.answers[key] = ("", {})
        self._keep()
        if line is not None:
            self._on_withdrawn(line)
        return (200, {}), "" if line is None else line.serial

    def _free_onu_id(self, port: str) -> int:
        taken = {line.onu_id for line in self._state.lines.values() if line.port == port}
        return next(number for number in range(1, 129) if number not in taken)

    def _keep(self) -> None:
        if self._snapshot is None:
            return
        draft = self._snapshot.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(self._state), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._snapshot)


def _read(snapshot: Path | None) -> OltState:
    if snapshot is None or not snapshot.exists():
        return OltState()
    kept = json.loads(snapshot.read_text(encoding="utf-8"))
    lines = {order: LabLine(**line) for order, line in kept["lines"].items()}
    answers = {key: (words, answer) for key, (words, answer) in kept["answers"].items()}
    return OltState(lines, kept["withdrawn"], answers)
