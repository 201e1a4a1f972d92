"""The lab ACS: an NBI on a real socket, its workers, its memory, and the simulated CPEs around it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from acs.testing import snapshot
from acs.testing.clock import Clock, LabClock, WallClock
from acs.testing.cpe import LabCpe
from acs.testing.cwmp import Cwmp
from acs.testing.documents import Documents
from acs.testing.errors import LabRefused, WorkerCrash
from acs.testing.extensions import Extensions
from acs.testing.http_server import Disconnect, HttpRequest, HttpResponse, HttpServer
from acs.testing.json_text import iso
from acs.testing.nbi import Nbi
from acs.testing.nbi_tasks import TaskQueue
from acs.testing.provisions import NativeScript

GENIEACS_VERSION = "1.2.16+lab"
DRAIN_SECONDS = 21.0  # measured from the throw to the dropped connection
RESPAWN_SECONDS = 0.5


@dataclass
class NbiTrouble:
    """What may go wrong between client and NBI.

    `rubbish` answers every request 200 with no JSON; `cut_lists` ends every list in its middle; `drop_reasons` replaces
    every reason phrase by the usual one, as a proxy may; `lose_answers` counts requests that are carried out, but whose
    answer is lost. For an NBI that refuses connections see `LabAcs.go_down`.
    """

    rubbish: bool = False
    cut_lists: bool = False
    drop_reasons: bool = False
    lose_answers: int = 0


@dataclass
class Happening:
    """One line of the lab's diary; never a secret, only paths.

    Kinds: boot, reboot, power_off, light, dark; inform (events), inform_refused, session_ended (faults), cwmp_crashed;
    changed (origin, paths), ppp (status, address); nbi_crashed (reason).
    """

    number: int
    at: datetime
    serial: str
    kind: str
    facts: dict[str, Any] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": iso(self.at),
            "serial": self.serial,
            "kind": self.kind,
            "facts": self.facts,
        }


class LabAcs:
    """`await start()`, `attach` CPEs, talk to `url` as to a GenieACS NBI, `await stop()`. All in memory."""

    def __init__(self, clock: Clock | None = None, *, nbi_workers: int = 2) -> None:
        self.clock: Clock = clock if clock is not None else LabClock()
        self.documents = Documents()
        self.trouble = NbiTrouble()
        self.happenings: list[Happening] = []
        self.defects: list[BaseException] = []
        self._happened = asyncio.Event()
        self.cwmp = Cwmp(self.documents, self.clock, self.note)
        self.cpes: dict[str, LabCpe] = {}
        self._by_device_id: dict[str, LabCpe] = {}
        self._nbi = Nbi(
            self.documents, self.cwmp, TaskQueue(self.documents, self.cwmp, self.clock, self._cpe_of), self.clock
        )
        self._background: set[asyncio.Task[None]] = set()
        self._alive = [True] * nbi_workers
        self._turn = 0
        self._down = False
        # The client counts an idle connection's 5 s in real time: a faster lab must not close it earlier.
        patience = WallClock() if isinstance(self.clock, WallClock) else self.clock
        self._http = HttpServer(self._answer, patience, place=self._place)

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Open the NBI."""
        await self._http.listen(host, port)

    @property
    def url(self) -> str:
        return self._http.url

    async def stop(self) -> None:
        """Close everything.

        Raises: the first error of a background job, if there was one: a defect of the lab or of a callback.
        """
        await self._http.close()
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        defects = self.defects + self._http.defects
        if defects:
            raise defects[0]

    async def go_down(self) -> None:
        """The NBI refuses connections from now on; the CPEs go on."""
        self._down = True
        await self._http.stop_listening()
        for worker in range(len(self._alive)):
            self._http.drop(worker)

    async def come_back(self) -> None:
        """The NBI is there again, on the same port, with the same memory."""
        self._down = False
        await self._http.listen(self._http.host, self._http.port)

    # --- CPEs -----------------------------------------------------------------------------------------------------

    def attach(self, cpe: LabCpe) -> LabCpe:
        """Connect a CPE to this ACS; it says nothing before `power_on`."""
        if cpe.serial in self.cpes:
            raise LabRefused(f"a CPE with serial {cpe.serial} is attached already")
        self.cpes[cpe.serial] = self._by_device_id[cpe.device_id] = cpe
        cpe.join(self)
        return cpe

    def cpe(self, serial: str) -> LabCpe:
        """Raises: LabRefused when no CPE with this serial is attached."""
        try:
            return self.cpes[serial]
        except KeyError:
            raise LabRefused(f"no CPE with serial {serial} is attached") from None

    def document(self, serial: str) -> Mapping[str, Any] | None:
        """The ACS's document of a CPE, or None before its first Inform."""
        return self.documents["devices"].get(self.cpe(serial).device_id)

    @property
    def extensions(self) -> Extensions:
        """What stands beside the ACS for scripts to ask; nothing at first."""
        return self.cwmp.extensions

    def native_script(self, name: str, script: NativeScript) -> None:
        """Say what a stored provision script of that name does; the lab runs no JavaScript."""
        self.cwmp.provisions.native[name] = script

    # --- what the CPEs see (cpe.Network) --------------------------------------------------------------------------

    async def inform(self, serial: str, events: list[str]) -> bool:
        return await self.cwmp.inform(self.cpe(serial), events)

    def fetch(self, file_name: str) -> Mapping[str, Any] | None:
        found = self.documents["files"].get(file_name)
        return None if found is None else found["metadata"]

    def note(self, serial: str, kind: str, **facts: object) -> None:
        self.happenings.append(Happening(len(self.happenings) + 1, self.clock.now(), serial, kind, facts))
        happened, self._happened = self._happened, asyncio.Event()
        happened.set()

    async def happened_after(self, number: int) -> None:
        """Return as soon as there is a happening with a higher number."""
        while len(self.happenings) <= number:
            await self._happened.wait()

    def remember(self, happenings: list[dict[str, Any]]) -> None:
        """The diary of a restored snapshot."""
        self.happenings = [Happening(**one) for one in happenings]

    def snapshot(self) -> dict[str, Any]:
        """Everything as JSON-able data, secrets in clear; see `acs.testing.snapshot`."""
        return snapshot.take(self)

    def restore(self, data: Mapping[str, Any]) -> None:
        """Fill this lab, which has no CPEs yet; powered CPEs go on informing. Needs a running event loop."""
        snapshot.put_back(self, data)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.defects.append(error)

    def _cpe_of(self, device_id: str) -> LabCpe | None:
        return self._by_device_id.get(device_id)

    # --- the NBI's workers ----------------------------------------------------------------------------------------

    def _place(self) -> int:
        """The worker of a new connection: those alive take turns."""
        alive = [number for number, lives in enumerate(self._alive) if lives] or [0]
        self._turn += 1
        return alive[self._turn % len(alive)]

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        if self.trouble.rubbish:
            return HttpResponse.text(200, "<html><body>It works!</body></html>")
        try:
            response = await self._nbi.answer(request)
        except WorkerCrash as crash:
            self.note("", "nbi_crashed", reason=str(crash))
            await self._die(request.worker)
            raise Disconnect from crash
        if self.trouble.lose_answers > 0:
            self.trouble.lose_answers -= 1
            raise Disconnect
        response.headers = {"GenieACS-Version": GENIEACS_VERSION} | response.headers
        if self.trouble.drop_reasons:
            response.reason = None
        if self.trouble.cut_lists and "total" in response.headers:
            response.chunks, response.cut_short = response.chunks[:-1], True
        return response

    async def _die(self, worker: int) -> None:
        """The worker takes no new connections, drains, drops those it has; then a new one is there."""
        self._alive[worker] = False
        if not any(self._alive):
            await self._http.stop_listening()
        await self.clock.sleep(DRAIN_SECONDS)
        self.spawn(self._respawn(worker))

    async def _respawn(self, worker: int) -> None:
        self._http.drop(worker)
        await self.clock.sleep(RESPAWN_SECONDS, background=True)
        self._alive[worker] = True
        if not self._down:
            await self.come_back()
