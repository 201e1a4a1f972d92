"""Puts our presets and scripts at one ACS, so that no session of any CPE is lost by it for long.

What is there before is written down first; then each change is put and read back; then CPEs must go on reporting. If
they do not, or fail at what is new, or the ACS does not take it, all of it is taken back. Where the ACS goes away in
the middle, or our process does, the next ``install`` goes on and ``roll_back`` takes it back.

The script that gives CPEs their settings is taken back by neither: whoever gives settings puts it first, as the release
has it, so another release brings another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Literal

import structlog
from typing_extensions import TypedDict

from acs.errors import PresetInstallUnfinished, PresetsNotTaken, PresetsPoisoned
from acs.leases import kept
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiError, NbiRequestInvalid
from acs.nbi.outcomes import Rejected, Unknown, WriteOutcome, require_done
from acs.nbi.preset import Preset
from acs.ports import Begin, Now, Sleep
from acs.presets.baseline import APPLY, PREFIX, Baseline, baseline
from acs.presets.differences import Change, Differences, differences
from acs.presets.health import faults_of, goes_on
from acs.presets.records import LEASE, RENEWED_EVERY_SECONDS, HeldInstall, InstallRecords

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 120.0
"""GenieACS gives up for good after three minutes of crashes: what stops sessions must be gone before."""

InstallState = Literal["unchanged", "installed", "rolled_back"]


class InstallOutcome(TypedDict):
    """How an install or its taking back ended; ``reason`` in words."""

    acs_name: str
    state: InstallState
    reason: str
    changed: list[str]


class PresetInstaller:
    """For one ACS."""

    def __init__(
        self,
        begin: Begin,
        nbi: NbiClient,
        *,
        acs_name: str,
        tenant_id: str,
        now: Now,
        wanted: Baseline | None = None,
        sleep: Sleep = asyncio.sleep,
        pulse: Sleep = asyncio.sleep,
    ) -> None:
        """``pulse`` is the wait between two renewals of the lease, in real time."""
        self._nbi = nbi
        self._acs_name = acs_name
        self._records = InstallRecords(begin, acs_name=acs_name, tenant_id=tenant_id, now=now)
        self._wanted = wanted or baseline()
        self._channels = tuple(preset.channel for preset in self._wanted.presets.values())
        self._sleep = sleep
        self._pulse = pulse

    async def differences(self) -> Differences:
        """What the ACS has instead of what it should have; nothing is changed. Raises: NbiError."""
        return await differences(self._nbi, self._wanted)

    async def install(self, *, requested_by: str, patience_seconds: float = PATIENCE_SECONDS) -> InstallOutcome:
        """Change what differs, and take it back by itself if CPEs then stop reporting or fail at it.

        Raises: PresetsPoisoned before anything is changed; PresetInstallUnderWay; PresetsNotTaken, and NbiError, once
            all is as before; PresetInstallUnfinished when the ACS could not be asked for that either.
        """
        found = await self.differences()
        poison = {each["name"]: each["faults"] for each in found["poison"] if not each["name"].startswith(PREFIX)}
        if poison:
            raise PresetsPoisoned(self._acs_name, poison)
        held = await self._records.install(found["changes"], requested_by)
        if held is None:
            return self._outcome("unchanged", "The ACS has everything as it should be.", ())
        async with self._kept(held):
            try:
                return await self._carry_out(held, found["changes"], patience_seconds)
            except (PresetsNotTaken, NbiError) as error:
                left_out = await self._taken_back(held, why=str(error))
                reason = f"Taken back: {error}{_left_out(left_out)}{_kept_script(held.changes)}"
                await self._records.end(held, "rolled_back", reason)
                raise

    async def roll_back(self, *, requested_by: str) -> InstallOutcome:
        """Put back what was there before the newest install that was not taken back, or that was left in the middle.

        Raises: NothingToRollBack, PresetInstallUnderWay, PresetInstallUnfinished when the ACS could not be asked.
        """
        held = await self._records.taking_back(requested_by)
        async with self._kept(held):
            left_out = await self._taken_back(held, why=f"{requested_by} wanted it taken back.")
            reason = f"Taken back by {requested_by}.{_left_out(left_out)}{_kept_script(held.changes)}"
            await self._records.end(held, "rolled_back", reason)
        return self._outcome("rolled_back", reason, _restorable(held.changes))

    async def _carry_out(self, held: HeldInstall, changes: Sequence[Change], patience_seconds: float) -> InstallOutcome:
        """Raises: PresetsNotTaken, NbiError."""
        faults_before = await faults_of(self._nbi, self._channels)
        for change in changes:
            await self._records.require(held)
            await self._make(change)
        alive = await goes_on(self._nbi, patience_seconds=patience_seconds, sleep=self._sleep)
        failing = await faults_of(self._nbi, self._channels) - faults_before
        if failing > 0:
            return await self._hurts(held, f"{failing} CPE(s) failed at what was new", patience_seconds)
        if alive is False:
            silent = f"no CPE reported within {patience_seconds:.0f} s, though some were called"
            return await self._hurts(held, silent, patience_seconds)
        reason = "CPEs go on reporting." if alive else "No CPE has ever reported to this ACS, so none was waited for."
        await self._records.end(held, "installed", reason)
        log.info("presets installed", acs=self._acs_name, changed=[change["name"] for change in held.changes])
        return self._outcome("installed", reason, held.changes)

    async def _hurts(self, held: HeldInstall, why: str, patience_seconds: float) -> InstallOutcome:
        left_out = await self._taken_back(held, why=f"{why}.")
        log.error("presets taken back", acs=self._acs_name, why=why)
        again = await goes_on(self._nbi, patience_seconds=patience_seconds, sleep=self._sleep)
        now = "CPEs report again" if again else "CPEs still do not report; look at the log of genieacs-cwmp"
        reason = f"Taken back: {why}. {now}.{_left_out(left_out)}{_kept_script(held.changes)}"
        await self._records.end(held, "rolled_back", reason)
        return self._outcome("rolled_back", reason, _restorable(held.changes))

    async def _taken_back(self, held: HeldInstall, *, why: str) -> list[str]:
        """Everything as it was; names what could not be put back. Raises: PresetInstallUnfinished."""
        try:
            return await self._restore(held)
        except NbiError as error:
            unfinished = f"{why} It could not be taken back: {error}"
            await self._records.unfinished(held, unfinished)
            raise PresetInstallUnfinished(self._acs_name, unfinished) from error

    def _kept(self, held: HeldInstall) -> AbstractAsyncContextManager[None]:
        renew = partial(self._records.renew, held)
        return kept(renew, every_seconds=RENEWED_EVERY_SECONDS, lease=LEASE, pulse=self._pulse)

    async def _make(self, change: Change) -> None:
        """Put it, then read it back. Raises: PresetsNotTaken, NbiError."""
        outcome = await self._put(change["kind"], change["name"], change["after"])
        if isinstance(outcome, Rejected):
            raise PresetsNotTaken(self._acs_name, change["name"], f"it says {outcome.status} {outcome.said}")
        still_differs = {(each["kind"], each["name"]) for each in (await self.differences())["changes"]}
        if (change["kind"], change["name"]) in still_differs:
            if isinstance(outcome, Unknown):
                require_done(outcome, f"the change of {change['name']}")
            raise PresetsNotTaken(self._acs_name, change["name"], "it reads back differently")

    async def _restore(self, held: HeldInstall) -> list[str]:
        """A preset that was not built here is deleted instead, and named. Raises: PresetInstallUnderWay, NbiError."""
        left_out: list[str] = []
        for change in reversed(_restorable(held.changes)):
            await self._records.require(held)
            name, before = change["name"], change["before"]
            try:
                outcome = await self._put(change["kind"], name, before)
            except NbiRequestInvalid:
                left_out.append(name)
                outcome = await self._put(change["kind"], name, None)
            require_done(outcome, f"the taking back of {name}")
        return left_out

    async def _put(self, kind: str, name: str, content: Any) -> WriteOutcome:
        if kind == "script":
            return await (
                self._nbi.delete_provision(name) if content is None else self._nbi.put_provision(name, str(content))
            )
        if content is None:
            return await self._nbi.delete_preset(name)
        return await self._nbi.put_preset(Preset.from_document({"_id": name, **content}))

    def _outcome(self, state: InstallState, reason: str, changes: Sequence[Change]) -> InstallOutcome:
        names = [change["name"] for change in changes]
        return InstallOutcome(acs_name=self._acs_name, state=state, reason=reason, changed=names)


def _restorable(changes: Sequence[Change]) -> list[Change]:
    return [change for change in changes if change["name"] != APPLY]


def _kept_script(changes: Sequence[Change]) -> str:
    if all(change["name"] != APPLY for change in changes):
        return ""
    return f" {APPLY} stays: CPEs get their settings by it, and it is as this release has it."


def _left_out(names: Sequence[str]) -> str:
    """What was there and could stop sessions, or was written by hand, is not sent to an ACS again."""
    return f" Deleted instead of put back, since it is not of our making: {', '.join(names)}." if names else ""
