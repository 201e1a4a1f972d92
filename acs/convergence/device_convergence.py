"""Brings CPEs to what they should have, and says honestly how far it got.

These methods talk to the ACS and open short transactions of their own before and after. Each may be called again at any
time: it looks first, continues what an earlier call began, and does nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from typing_extensions import TypedDict

from acs.convergence.applying import Applying, ApplyOutcome
from acs.convergence.desired_states import Desired, DesiredStates
from acs.convergence.informs import Informs
from acs.convergence.resetting import ResetOutcome, ResetRequest, Resetting
from acs.convergence.seen_devices import SeenDevice, find_device, find_known, look_again
from acs.convergence.session_window import SessionWindow
from acs.convergence.sessions import Patience, Sessions
from acs.convergence.slowing import SLOWING_KEY, Slowing
from acs.convergence.standing import CONFIGURATION_KEY, Standing, take_back
from acs.convergence.unreached import unreached
from acs.convergence.verifying import (
    VERIFICATION_KEY,
    Verifying,
    VerifyOutcome,
    concluded_since,
    serves_nobody,
    was_reset,
)
from acs.errors import AwaitingFirstInform, NotYet, SerialAmbiguous, WrongDataModel, WrongModel
from acs.nbi.client import NbiClient
from acs.nbi.outcomes import require_done
from acs.ports import Begin, Now, Secrets, Sleep
from acs.serials import canonical_serial
from acs.tables import DEFAULT_ACS
from acs.templates.delivery import is_row_tag

log = structlog.get_logger(__name__)


class WithdrawOutcome(TypedDict):
    """``cleared``: nothing of a withdrawn binding is left at the ACS, so none of its settings can reach the CPE now."""

    device_serial: str
    device_id: str | None
    cleared: bool


@dataclass(frozen=True, slots=True)
class Shared:
    """What those have in common who converge many CPEs at a time: their transactions, and the room for sessions."""

    states: DesiredStates
    window: SessionWindow


class DeviceConvergence:
    """From desired state to the CPE, through one GenieACS; ``acs_name`` where there are others."""

    def __init__(
        self,
        begin: Begin,
        nbi: NbiClient,
        *,
        tenant_id: str,
        now: Now,
        secrets: Secrets,
        acs_name: str = DEFAULT_ACS,
        sleep: Sleep = asyncio.sleep,
        patience: Patience | None = None,
        shared: Shared | None = None,
    ) -> None:
        """``shared`` is for whoever does this for many CPEs at a time (``acs.fleet``)."""
        self._nbi = nbi
        self._now = now
        self._made_with = partial(
            DeviceConvergence,
            begin,
            nbi,
            tenant_id=tenant_id,
            now=now,
            secrets=secrets,
            acs_name=acs_name,
            sleep=sleep,
            shared=shared,
        )
        own = DesiredStates(begin, tenant_id=tenant_id, now=now, secrets=secrets, acs_name=acs_name)
        self._states = own if shared is None else shared.states
        window = None if shared is None else shared.window
        self._sessions = sessions = Sessions(nbi, sleep=sleep, patience=patience or Patience(), window=window)
        self._informs = Informs(nbi, self._states, now=now)
        self._standing = Standing(nbi, self._states, acs_name=acs_name, now=now)
        self._applying = Applying(nbi, self._states, sessions, self._standing, now=now, sleep=sleep)
        self._verifying = Verifying(nbi, self._states, sessions, now=now)
        self._slowing = Slowing(nbi, self._states, acs_name=acs_name, now=now)
        self._resetting = Resetting(nbi, self._states, sessions)

    @property
    def nbi(self) -> NbiClient:
        """The GenieACS it goes through."""
        return self._nbi

    def with_patience(self, patience: Patience) -> DeviceConvergence:
        """The same, for whoever waits longer or less for a CPE."""
        return self._made_with(patience=patience)

    async def prepare(self) -> None:
        """Install our apply script at the ACS if need be; done by ``apply`` too, which then waits 5 s for it.

        Raises: NbiError.
        """
        await self._applying.install_script()

    async def informed_many(self, serials: Mapping[str, datetime]) -> dict[str, SeenDevice]:
        """Of many CPEs those that have reported, each after its own moment, by the serial as it was given.

        Up to 100 are one request to the ACS. A serial that is none, or that several CPEs report, is left out;
        ``apply`` tells why. While the ACS is down it is left in peace for 2 to 60 s.

        Raises: NbiError.
        """
        return await self._informs.many(serials)

    async def apply(self, device_serial: str) -> ApplyOutcome:
        """Give the CPE its settings and wait (a bounded time) for its word that it took them.

        A CPE that has taken this very revision, and neither drifted nor was reset since, is left alone. So is one whose
        campaign does not send at this time (``held_back``), unless it has no settings at all: it carries nobody then.

        Raises: DeviceUnknown, AwaitingFirstInform, SerialAmbiguous, WrongDataModel, WrongModel, SettingsRefused,
            SettingsFailed, NotYet (with the reason), DesiredStateChanged, NbiError.
        """
        desired = await self._states.live(device_serial)
        # Before something new is sent, the serial is looked up in full: two CPEs may carry it by now.
        is_new = desired.task_id is None and not desired.is_applied
        seen = await self._found(desired, None if is_new else desired.device_id)
        await self._require_data_model(desired, seen)
        await self._require_model(desired, seen)
        if desired.is_applied and desired.applied_at is not None and not was_reset(desired, seen):
            return ApplyOutcome(
                device_serial=desired.serial,
                device_id=seen["device_id"],
                template=desired.template,
                revision=desired.revision,
                state=desired.state,
                applied_at=desired.applied_at,
            )
        if desired.is_held_back(self._now()):
            if not serves_nobody(desired, seen):
                return await self._applying.hold_back(desired, seen)
            await self._states.record(desired, send_until=None)
            desired = replace(desired, send_until=None)
        return await self._applying.apply(desired, seen)

    async def verify(self, device_serial: str) -> VerifyOutcome:
        """Read the CPE's settings back in a later session. Drift is an outcome; see ``require_verified``.

        Drift is written down, so that the next ``apply`` really applies. While settings wait at the ACS there is
        nothing to read back.

        Raises: DeviceUnknown, AwaitingFirstInform, SerialAmbiguous, NotYet (with the reason), DesiredStateChanged,
            NbiError.
        """
        desired = await self._states.live(device_serial)
        is_to_take_them = desired.state in ("queued", "unreachable")
        if is_to_take_them or desired.applied_revision != desired.revision or desired.written_at is None:
            raise NotYet(
                desired.serial,
                reason="not_applied",
                message=f"CPE {desired.serial} has not taken its settings yet, so there is nothing to read back.",
            )
        return await self._verifying.verify(desired, await self._found(desired, desired.device_id))

    async def slow_verified(self) -> int:
        """One step for each verified CPE towards its interval of verified ones; how many were read back to have it.

        To be called again and again: a step takes an Inform. The CPE's own reading ends it, so whoever is killed in
        between loses nothing.

        Raises: NbiError.
        """
        return await self._slowing.go_on()

    async def take_back_left(self) -> int:
        """Take back at the ACS what waits there for CPEs that are not to have it any more, and that nothing took the
        place of; of how many CPEs. To be called again and again: what it could not take back it does the next time.

        Raises: NbiError.
        """
        return await self._standing.go_on()

    async def verified(self, device_serial: str, *, since: datetime) -> VerifyOutcome | None:
        """What a verification has written down at ``since`` or later, if it found the CPE to have just these settings.

        For whoever doesn't know how far an earlier ``verify`` got; nobody is asked anything.

        Raises: SerialMalformed, DeviceUnknown.
        """
        return concluded_since(await self._states.live(device_serial), since)

    async def withdraw(self, device_serial: str) -> WithdrawOutcome:
        """Take back at the ACS what a withdrawn binding left there: queued tasks, their faults, tags.

        What the CPE holds stays on it. When the serial has a new binding at this ACS, its own task stays, and its next
        apply replaces the tags.

        Raises: SerialMalformed, SerialAmbiguous, NbiError.
        """
        serial = canonical_serial(device_serial)
        to_clear = await self._states.to_clear(serial)
        live = await self._states.live_or_none(serial)
        if live is not None and self._states.acs_name not in (None, live.acs_name):
            live = None  # its apply replaces nothing here
        seen = None
        if live is not None and to_clear:
            seen = await find_known(self._nbi, live.serial_as_given, live.device_id)
            if seen is not None:
                await self._standing.take_back([seen["device_id"]], but=live.task_id)
        elif to_clear:
            seen = await find_device(self._nbi, to_clear[-1].serial_as_given)
            if seen is not None:
                await self._clear(seen)
                if any(each.may_be_under_way for each in to_clear):
                    seen = await self._clear_late_comers(seen)
        await self._states.record_cleared(to_clear)
        device_id = seen["device_id"] if seen is not None else None
        return WithdrawOutcome(device_serial=serial, device_id=device_id, cleared=live is None or bool(to_clear))

    async def left_at(self, device_serial: str) -> list[str]:
        """The names of the ACSes, configured or not, where a withdrawn binding of that serial may have left something.

        Nobody is asked anything. Raises: SerialMalformed.
        """
        return await self._states.left_at(device_serial)

    async def release(self, device_serial: str, *, service_id: int | None = None) -> WithdrawOutcome:
        """Unbind a CPE from its service and take back what that left at the ACS: the undo of ``apply``.

        Raises: as ``withdraw``.
        """
        await self._states.unbind(device_serial, service_id=service_id)
        return await self.withdraw(device_serial)

    async def request_reset(self, device_serial: str, *, within: timedelta) -> ResetRequest:
        """Queue the factory reset of a CPE whose service has ended; one that serves somebody else is left alone.

        Raises: SerialMalformed, SerialAmbiguous, NbiError.
        """
        return await self._resetting.request(device_serial, within=within)

    async def see_reset(self, request: ResetRequest, *, last_look: bool) -> ResetOutcome:
        """What has become of it: the CPE is called, and its report as a new one waited for (a bounded time).

        With ``last_look`` it is given up: the answer then says that it was not reset, or that nobody knows.

        Raises: NotYet (with the reason), unless it is the last look; NbiError.
        """
        return await self._resetting.see(request, last_look=last_look)

    async def _clear_late_comers(self, seen: SeenDevice) -> SeenDevice | None:
        """A process that was killed while it queued settings may have sent them: look again when they have arrived.

        One that lives takes its own task back (``DesiredStateChanged``), and any task expires.
        """
        await self._sessions.settle()
        again = await look_again(self._nbi, seen["device_id"])
        if again is not None:
            await self._clear(again)
        return again

    async def _clear(self, seen: SeenDevice) -> None:
        device_id = seen["device_id"]
        for key in (CONFIGURATION_KEY, VERIFICATION_KEY, SLOWING_KEY):
            for task in await self._nbi.tasks(device_id, unique_key=key):
                await take_back(self._nbi, device_id, task.id)
        for tag in seen["tags"]:
            if tag.startswith("cfg_") or is_row_tag(tag):
                require_done(await self._nbi.remove_tag(device_id, tag), "the removal of a tag")
        log.info("traces of a withdrawn cpe removed from the acs", device_id=device_id)

    async def _found(self, desired: Desired, device_id: str | None) -> SeenDevice:
        try:
            seen = await find_known(self._nbi, desired.serial_as_given, device_id)
        except SerialAmbiguous as twins:
            await self._standing.take_back(twins.device_ids)
            facts = await self._standing.nothing_waits(desired) | unreached(twins)
            await self._states.record(desired, reason=str(twins), **facts)
            raise
        if seen is None:
            error = AwaitingFirstInform(desired.serial)
            await self._states.record(desired, state="awaiting_first_inform", reason=str(error), device_id=None)
            raise error
        return seen

    async def _require_data_model(self, desired: Desired, seen: SeenDevice) -> None:
        if desired.data_model in seen["data_models"]:
            return
        if not seen["data_models"]:
            await self._standing.take_back([seen["device_id"]], but=desired.task_id)
            raise NotYet(
                desired.serial,
                reason="no_data_model",
                message=f"CPE {desired.serial} has not told the ACS its data model yet; nothing was sent.",
            )
        error = WrongDataModel(
            desired.serial,
            template=desired.template,
            wanted=desired.data_model,
            reported=seen["data_models"],
        )
        raise await self._faulted(desired, seen, error)

    async def _require_model(self, desired: Desired, seen: SeenDevice) -> None:
        misfit = desired.delivery.misfit(seen["manufacturer"], seen["product_class"])
        if misfit is None:
            return
        wanted, reported = misfit
        error = WrongModel(desired.serial, template=desired.template, wanted=wanted, reported=reported)
        raise await self._faulted(desired, seen, error)

    async def _faulted(
        self, desired: Desired, seen: SeenDevice, error: WrongDataModel | WrongModel
    ) -> WrongDataModel | WrongModel:
        """Nothing is sent to it; nor does what was queued before reach it."""
        await self._standing.take_back([seen["device_id"]])
        await self._states.record(
            desired,
            state="faulted",
            reason=str(error),
            device_id=seen["device_id"],
            **await self._standing.nothing_waits(desired),
        )
        return error
