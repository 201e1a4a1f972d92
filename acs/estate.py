"""Several GenieACS: each by its name, each CPE bound to one of them (``acs_device.acs_name``).

Which one is decided once, when a CPE is bound: by the access node that its line comes from, else it is ``default``.
What is bound stays where it is, whatever the settings say later: a CPE reports to the ACS that is written in the CPE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from acs.convergence.applying import ApplyOutcome
from acs.convergence.desired_states import DesiredStates
from acs.convergence.device_convergence import DeviceConvergence, WithdrawOutcome
from acs.convergence.resetting import ResetOutcome, ResetRequest
from acs.convergence.seen_devices import SeenDevice
from acs.convergence.sessions import Patience
from acs.convergence.verifying import VerifyOutcome
from acs.errors import AcsError, AcsUnknown
from acs.nbi.client import NbiClient
from acs.ports import Begin, Now, Secrets, Sleep
from acs.tables import DEFAULT_ACS


class AcsFleet(Mapping[str, NbiClient]):
    """The clients by their ACS's name; used as ``async with``, it closes them all."""

    def __init__(self, clients: Mapping[str, NbiClient]) -> None:
        self._clients = dict(clients)
        self._stack = AsyncExitStack()

    def __getitem__(self, acs_name: str) -> NbiClient:
        """Raises: AcsUnknown."""
        try:
            return self._clients[acs_name]
        except KeyError:
            raise AcsUnknown(acs_name, self._clients) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._clients)

    def __len__(self) -> int:
        return len(self._clients)

    async def __aenter__(self) -> Self:
        for client in self._clients.values():
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()


class ConvergenceBySite:
    """``DeviceConvergence`` through whichever ACS serves the CPE; the verbs are the same.

    A CPE that is bound to an ACS which is not configured any more is nobody's: AcsUnknown.
    """

    def __init__(
        self,
        begin: Begin,
        fleet: AcsFleet,
        *,
        tenant_id: str,
        now: Now,
        secrets: Secrets,
        sleep: Sleep = asyncio.sleep,
        patience: Patience | None = None,
    ) -> None:
        self._states = DesiredStates(begin, tenant_id=tenant_id, now=now, secrets=secrets)
        self._fleet = fleet
        self.fleet = fleet
        self._by_acs = {
            name: DeviceConvergence(
                begin,
                nbi,
                tenant_id=tenant_id,
                now=now,
                secrets=secrets,
                acs_name=name,
                sleep=sleep,
                patience=patience,
            )
            for name, nbi in fleet.items()
        }

    def of(self, acs_name: str) -> DeviceConvergence:
        """Raises: AcsUnknown."""
        try:
            return self._by_acs[acs_name]
        except KeyError:
            raise AcsUnknown(acs_name, self._by_acs) from None

    async def prepare(self) -> None:
        """At every ACS; one that cannot be asked holds up no other. Raises: the first AcsError, when all were tried."""
        await self._everywhere(DeviceConvergence.prepare)

    async def slow_verified(self) -> None:
        """At every ACS; one that cannot be asked holds up no other. Raises: the first AcsError, when all were tried."""
        await self._everywhere(DeviceConvergence.slow_verified)

    async def take_back_left(self) -> None:
        """At every ACS; one that cannot be asked holds up no other. Raises: the first AcsError, when all were tried."""
        await self._everywhere(DeviceConvergence.take_back_left)

    async def by_acs(self, serials: Mapping[str, datetime]) -> dict[str, dict[str, datetime]]:
        """The serials in groups that one ACS can be asked for, so that one that is down hides no other's CPEs.

        A serial that is not bound is looked for at the default one. ``of`` knows whether that ACS is configured.
        """
        bound = await self._states.live_of(serials)
        groups: dict[str, dict[str, datetime]] = {}
        for serial, since in serials.items():
            name = bound[serial].acs_name if serial in bound else DEFAULT_ACS
            groups.setdefault(name, {})[serial] = since
        return groups

    async def informed_many(self, serials: Mapping[str, datetime]) -> dict[str, SeenDevice]:
        """Raises: as ``DeviceConvergence.informed_many``, of the first ACS that cannot be asked."""
        found: dict[str, SeenDevice] = {}
        for acs_name, group in (await self.by_acs(serials)).items():
            found |= await self.of(acs_name).informed_many(group)
        return found

    async def apply(self, device_serial: str) -> ApplyOutcome:
        return await (await self._serving(device_serial)).apply(device_serial)

    async def verify(self, device_serial: str) -> VerifyOutcome:
        return await (await self._serving(device_serial)).verify(device_serial)

    async def verified(self, device_serial: str, *, since: datetime) -> VerifyOutcome | None:
        return await (await self._serving(device_serial)).verified(device_serial, since=since)

    async def withdraw(self, device_serial: str) -> WithdrawOutcome:
        """At every ACS where a withdrawn binding of that serial may have left something."""
        left_at = await self.left_at(device_serial)
        places = [self.of(acs_name) for acs_name in left_at] or [await self._serving(device_serial)]
        outcomes = [await place.withdraw(device_serial) for place in places]
        cleared = all(outcome["cleared"] for outcome in outcomes)
        return WithdrawOutcome(
            device_serial=outcomes[-1]["device_serial"], device_id=outcomes[-1]["device_id"], cleared=cleared
        )

    async def left_at(self, device_serial: str) -> list[str]:
        return await self._states.left_at(device_serial)

    async def release(self, device_serial: str, *, service_id: int | None = None) -> WithdrawOutcome:
        await self._states.unbind(device_serial, service_id=service_id)
        return await self.withdraw(device_serial)

    async def request_reset(self, device_serial: str, *, within: timedelta) -> ResetRequest:
        return await (await self._serving(device_serial)).request_reset(device_serial, within=within)

    async def see_reset(self, request: ResetRequest, *, last_look: bool) -> ResetOutcome:
        return await (await self._serving(request["device_serial"])).see_reset(request, last_look=last_look)

    async def _everywhere(self, act: Callable[[DeviceConvergence], Awaitable[object]]) -> None:
        errors = [error for error in [await _tried(act(each)) for each in self._by_acs.values()] if error is not None]
        if errors:
            raise errors[0]

    async def _serving(self, device_serial: str) -> DeviceConvergence:
        """The one of the serial's binding, or of its last. Raises: SerialMalformed, AcsUnknown."""
        desired = await self._states.last_or_none(device_serial)
        return self.of(DEFAULT_ACS if desired is None else desired.acs_name)


async def _tried(act: Awaitable[object]) -> AcsError | None:
    try:
        await act
    except AcsError as error:
        return error
    return None
