"""A simulated CPE: an identity, a parameter tree of its own, power, a line that may be dark, and a temper (`Quirks`).

It speaks to the lab ACS as a CPE does: Inform at boot, periodically, on connection request, after a transfer. What it
holds (`value`) is the truth; what the ACS's document says of it is another matter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from acs.testing.cpe_models import MODELS
from acs.testing.cpe_network import (
    Change,
    ChangeCallback,
    Network,
    Origin,
    PppState,
    SessionHold,
    TransferResult,
    device_id,
)
from acs.testing.cpe_timers import InformTimers
from acs.testing.data_models import ROLES, DataModel, build_tree
from acs.testing.errors import LabRefused
from acs.testing.parameter_tree import Parameter, Value
from acs.testing.quirks import Quirks


class LabCpe:
    """Make it, `lab.attach(cpe)`, `await cpe.power_on()`. With `line_up=False` it stays dark until `light()`.

    `LabCpe.of_model` makes one of a maker's.
    """

    def __init__(
        self,
        serial: str,
        *,
        oui: str = "00259E",
        product_class: str = "HG8245",
        manufacturer: str = "Lab Networks",
        data_model: DataModel = "TR-181",
        inform_interval_seconds: int = 300,
        line_up: bool = True,
        quirks: Quirks | None = None,
        parameters: Mapping[str, Parameter] | None = None,
    ) -> None:
        self.model: str | None = None
        self.serial = serial
        self.oui = oui
        self.product_class = product_class
        self.manufacturer = manufacturer
        self.data_model: DataModel = data_model
        self.roles = ROLES[data_model]
        self.quirks = quirks or Quirks()
        self.factory_inform_interval_seconds = inform_interval_seconds
        self.extra_parameters = dict(parameters or {})
        self.tree = build_tree(data_model, self._identity(), self.extra_parameters)
        self.tree.put(self.path("ManagementServer.PeriodicInformInterval"), inform_interval_seconds)
        self.tree.keep_as_factory_default()
        self.line_up = line_up
        self.powered = False
        self.rebooting = False
        self.bootstrapped = False
        self.booted_at: datetime | None = None
        self.pending_events: list[str] = []
        self.staged: dict[str, Value] = {}
        self.transferring: dict[str, tuple[str, str]] = {}  # file type and name by command key
        self.transfers: list[TransferResult] = []
        self.rpcs_seen: deque[tuple[str, tuple[str, ...]]] = deque(maxlen=10_000)
        self.after_session: Callable[[], Awaitable[None]] | None = None
        self.hold: SessionHold | None = None
        self._callbacks: list[ChangeCallback] = []
        self._session = asyncio.Lock()
        self._network: Network | None = None
        self._booting: asyncio.Task[None] | None = None
        self.timers = InformTimers(self)

    @classmethod
    def of_model(cls, serial: str, model: str, **further: Any) -> LabCpe:
        """One that a model of `cpe_models.MODELS` describes; `further` as for any other."""
        known = MODELS[model]
        said = {"manufacturer": known.manufacturer, "product_class": known.product_class}
        parameters = {**known.parameters, **(further.pop("parameters", None) or {})}
        cpe = cls(serial, **{**said, **further, "data_model": known.data_model}, parameters=parameters)
        for path in known.removed:
            cpe.tree.remove(path)
        cpe.tree.keep_as_factory_default()
        cpe.roles, cpe.model = known.roles, model
        return cpe

    # --- identity -------------------------------------------------------------------------------------------------

    @property
    def device_id(self) -> str:
        """`_id` of its document in the ACS."""
        return device_id(self.oui, self.product_class, self.serial)

    @property
    def network(self) -> Network:
        if self._network is None:
            raise LabRefused(f"CPE {self.serial} is attached to no lab")
        return self._network

    def join(self, network: Network) -> None:
        """Called by `LabAcs.attach`."""
        self._network = network

    def _identity(self) -> dict[str, str]:
        return {
            "DeviceInfo.Manufacturer": self.manufacturer,
            "DeviceInfo.ManufacturerOUI": self.oui,
            "DeviceInfo.ModelName": self.product_class,
            "DeviceInfo.ProductClass": self.product_class,
            "DeviceInfo.SerialNumber": self.serial,
            "ManagementServer.ConnectionRequestURL": f"http://cpe.lab:7547/{self.serial}",
        }

    def path(self, relative: str) -> str:
        """A path that both data models have below their root."""
        return f"{self.roles.root}.{relative}"

    # --- the truth ------------------------------------------------------------------------------------------------

    def value(self, path: str) -> Value:
        """What the CPE really holds, secrets in clear.

        Raises: LabRefused when it has no such parameter.
        """
        return self.tree.value(path)

    @property
    def ppp(self) -> PppState:
        roles = self.roles
        return PppState(
            username=str(self.value(roles.ppp_username)),
            password=str(self.value(roles.ppp_password)),
            enabled=bool(self.value(roles.ppp_enable)),
            vlan_id=int(self.value(roles.vlan_id)),
            status=str(self.value(roles.ppp_status)),
            address=str(self.value(roles.ppp_address)),
        )

    def ppp_changed(self, status: str, address: str = "0.0.0.0") -> None:
        """The lab's PPPoE client tells what became of the dial-in: Connecting, Connected, Disconnected."""
        self.tree.put(self.roles.ppp_status, status)
        self.tree.put(self.roles.ppp_address, address)
        self.network.note(self.serial, "ppp", status=status, address=address)

    def _ppp_breaks(self) -> None:
        if self.ppp.status in {"Connected", "Connecting"}:
            self.ppp_changed("Disconnected")

    def customer_sets(self, path: str, value: Value) -> None:
        """Somebody changes a setting at the CPE itself; the ACS hears nothing of it."""
        self.tree.put(path, value)
        self.changed({path}, "customer")

    def on_change(self, callback: ChangeCallback) -> None:
        """Call back (or await) after every write, whoever did it."""
        self._callbacks.append(callback)

    def changed(self, paths: set[str], origin: Origin) -> None:
        change = Change(self.serial, frozenset(paths), origin)
        self.network.note(self.serial, "changed", origin=origin, paths=sorted(paths))
        for callback in self._callbacks:
            answer = callback(change)
            if answer is not None:
                self.network.spawn(_awaited(answer))
        if self.path("ManagementServer.PeriodicInformInterval") in paths:
            self.timers.restart()

    # --- power and line -------------------------------------------------------------------------------------------

    @property
    def online(self) -> bool:
        """It can send and receive packets."""
        return self.powered and self.line_up and not self.rebooting

    @property
    def in_session(self) -> bool:
        return self._session.locked()

    @property
    def inform_interval_seconds(self) -> int:
        return int(self.value(self.path("ManagementServer.PeriodicInformInterval")))

    async def power_on(self) -> bool:
        """Boot and, if the line is up, Inform. True when the ACS took the Inform."""
        self.powered = True
        self._stop_booting()
        return await self._boot()

    async def power_off(self) -> None:
        """Gone at once, in the middle of a session too."""
        self.powered = False
        self._stop_booting()
        self.timers.restart()
        self.network.note(self.serial, "power_off")
        self._ppp_breaks()

    async def light(self) -> bool:
        """The line comes up; a powered CPE informs at once with what it has to tell. True when the ACS took it."""
        self.line_up = True
        self.network.note(self.serial, "light")
        if not self.powered:
            return False
        return await self.inform(*([] if self.pending_events else ["4 VALUE CHANGE"]))

    async def darken(self) -> None:
        """The line goes down: no Inform, no connection request gets through."""
        self.line_up = False
        self.network.note(self.serial, "dark")
        self._ppp_breaks()

    async def factory_reset(self) -> bool:
        """Somebody holds the pin: everything is at factory default, and it boots. True when the ACS took the Inform."""
        self.forget_settings()
        return await self._boot() if self.powered else False

    def forget_settings(self) -> None:
        self.tree.factory_reset()
        self.staged.clear()
        self.bootstrapped = False
        self.changed(set(self.tree.leaves()), "reset")

    def reboot(self) -> None:
        """Go offline now and come back after `quirks.reboot_seconds`."""
        if not self.rebooting:
            self.rebooting = True
            self._booting = self.network.spawn(self._reboot())
            self.network.note(self.serial, "reboot")
            self._ppp_breaks()

    async def _reboot(self) -> None:
        await self.network.clock.sleep(self.quirks.reboot_seconds, background=True)
        if self._booting is asyncio.current_task():
            self.rebooting = False
            await self._boot()

    def _stop_booting(self) -> None:
        task, self._booting, self.rebooting = self._booting, None, False
        if task is not None and not self.in_session:
            task.cancel()

    async def _boot(self) -> bool:
        self.booted_at = self.network.clock.now()
        if self.quirks.forgets and self.bootstrapped:
            self.tree.factory_reset()
            self.changed(set(self.tree.leaves()), "reset")
        for path, value in self.staged.items():
            self.tree.put(path, value)
        if self.staged:
            staged, self.staged = set(self.staged), {}
            self.changed(staged, "acs")
        self.timers.restart()
        self.network.note(self.serial, "boot")
        return await self.inform(*([] if self.bootstrapped else ["0 BOOTSTRAP"]), "1 BOOT")

    # --- Inform ---------------------------------------------------------------------------------------------------

    async def periodic_inform(self) -> bool:
        """The periodic timer fires now. True when the ACS took the Inform."""
        return await self.inform("2 PERIODIC")

    async def inform(self, *events: str) -> bool:
        """Hold a session for these and all undelivered events. False when dark, or when the ACS turned it away."""
        async with self._session:
            # Only now: an event that arrives in the middle of a session asks for another one.
            self.pending_events += [event for event in events if event not in self.pending_events]
            if not self.online or not self.pending_events:
                return False
            delivered, self.after_session = list(self.pending_events), None
            accepted = await self.network.inform(self.serial, delivered)
            if accepted:
                self.pending_events = [event for event in self.pending_events if event not in delivered]
                self.bootstrapped = self.bootstrapped or "0 BOOTSTRAP" in delivered
                self.timers.accepted()
        act = self._take_act()
        if not accepted:
            self.timers.retry_later()
        elif act is not None:
            await act()
        return accepted

    def _take_act(self) -> Callable[[], Awaitable[None]] | None:
        act, self.after_session = self.after_session, None
        return act

    @asynccontextmanager
    async def session_held(self) -> AsyncIterator[None]:
        """A session of this CPE stays open as long as the block runs: the ACS is busy with it."""
        self.hold = SessionHold()
        session = self.network.spawn(self._informed("2 PERIODIC"))
        await self.hold.reached.wait()
        try:
            yield
        finally:
            hold, self.hold = self.hold, None
            hold.released.set()
            await asyncio.wait({session})

    async def _informed(self, event: str) -> None:
        await self.inform(event)

    def connection_requested(self) -> None:
        """A connection request got through: the Inform follows by itself."""
        self.network.spawn(self._informed("6 CONNECTION REQUEST"))


async def _awaited(answer: Awaitable[None]) -> None:
    await answer
