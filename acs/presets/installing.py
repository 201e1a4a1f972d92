"""Puts our presets and scripts at one ACS, so that no session of any CPE is lost by it for long.

What is there before is written down first; then each change is put and read back; then CPEs must go on reporting. If
they do not, or fail at what is new, all of it is taken back. An install that was killed stays open until it is taken
back by ``roll_back``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from typing_extensions import TypedDict

from acs.errors import NothingToRollBack, PresetInstallUnderWay, PresetsNotTaken, PresetsPoisoned
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiRequestInvalid
from acs.nbi.outcomes import Rejected, Unknown, WriteOutcome, require_done
from acs.nbi.preset import Preset
from acs.ports import Begin, Now, Sleep
from acs.presets.baseline import PREFIX, Baseline, baseline
from acs.presets.differences import Change, Differences, differences
from acs.presets.health import faults_of, goes_on
from acs.presets.tables import AcsPresetInstall

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
    ) -> None:
        self._begin = begin
        self._nbi = nbi
        self._acs_name = acs_name
        self._tenant_id = tenant_id
        self._now = now
        self._wanted = wanted or baseline()
        self._sleep = sleep

    async def differences(self) -> Differences:
        """What the ACS has instead of what it should have; nothing is changed. Raises: NbiError."""
        return await differences(self._nbi, self._wanted)

    async def install(self, *, requested_by: str, patience_seconds: float = PATIENCE_SECONDS) -> InstallOutcome:
        """Change what differs, and take it back by itself if CPEs then stop reporting or fail at it.

        Raises: PresetsPoisoned before anything is changed; PresetInstallUnderWay; PresetsNotTaken once all is as
            before; NbiError, which leaves the install open for ``roll_back``.
        """
        found = await self.differences()
        poison = {each["name"]: each["faults"] for each in found["poison"] if not each["name"].startswith(PREFIX)}
        if poison:
            raise PresetsPoisoned(self._acs_name, poison)
        changes = found["changes"]
        if not changes:
            return self._outcome("unchanged", "The ACS has everything as it should be.", ())
        row_id = await self._opened(changes, requested_by)
        channels = tuple(preset.channel for preset in self._wanted.presets.values())
        faults_before = await faults_of(self._nbi, channels)
        try:
            for change in changes:
                await self._make(change)
        except PresetsNotTaken as error:
            await self._restore(changes)
            await self._ended(row_id, "rolled_back", str(error))
            raise
        alive = await goes_on(self._nbi, patience_seconds=patience_seconds, sleep=self._sleep)
        failing = await faults_of(self._nbi, channels) - faults_before
        if alive is False or failing > 0:
            return await self._taken_back(row_id, changes, failing=failing, patience_seconds=patience_seconds)
        reason = "CPEs go on reporting." if alive else "No CPE has ever reported to this ACS, so none was waited for."
        await self._ended(row_id, "installed", reason)
        log.info("presets installed", acs=self._acs_name, changed=[change["name"] for change in changes])
        return self._outcome("installed", reason, changes)

    async def roll_back(self, *, requested_by: str) -> InstallOutcome:
        """Put back what was there before the newest install that was not taken back, also of one that was killed.

        Raises: NothingToRollBack, NbiError.
        """
        async with self._begin() as db:
            row = await db.scalar(
                select(AcsPresetInstall)
                .where(
                    AcsPresetInstall.tenant_id == self._tenant_id,
                    AcsPresetInstall.acs_name == self._acs_name,
                    AcsPresetInstall.state != "rolled_back",
                )
                .order_by(AcsPresetInstall.id.desc())
                .limit(1)
            )
            if row is None:
                raise NothingToRollBack(self._acs_name)
            row_id, changes = row.id, [_change(each) for each in row.changes]
        left_out = await self._restore(changes)
        reason = f"Taken back by {requested_by}.{_left_out(left_out)}"
        await self._ended(row_id, "rolled_back", reason)
        return self._outcome("rolled_back", reason, changes)

    async def _taken_back(
        self, row_id: int, changes: Sequence[Change], *, failing: int, patience_seconds: float
    ) -> InstallOutcome:
        left_out = await self._restore(changes)
        why = (
            f"{failing} CPE(s) failed at what was new"
            if failing > 0
            else f"no CPE reported within {patience_seconds:.0f} s, though some were called"
        )
        log.error("presets taken back", acs=self._acs_name, why=why)
        again = await goes_on(self._nbi, patience_seconds=patience_seconds, sleep=self._sleep)
        now = "CPEs report again" if again else "CPEs still do not report; look at the log of genieacs-cwmp"
        reason = f"Taken back: {why}. {now}.{_left_out(left_out)}"
        await self._ended(row_id, "rolled_back", reason)
        return self._outcome("rolled_back", reason, changes)

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

    async def _restore(self, changes: Sequence[Change]) -> list[str]:
        """Everything as it was; a preset that was not built here is deleted instead, and named.

        Raises: NbiError.
        """
        left_out: list[str] = []
        for change in reversed(changes):
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

    async def _opened(self, changes: Sequence[Change], requested_by: str) -> int:
        """Raises: PresetInstallUnderWay."""
        row = AcsPresetInstall(
            tenant_id=self._tenant_id,
            acs_name=self._acs_name,
            changes=[dict(change) for change in changes],
            state="installing",
            reason="Under way, or killed.",
            requested_by=requested_by,
            begun_at=self._now(),
        )
        try:
            async with self._begin() as db:
                db.add(row)
                await db.flush()
                return row.id
        except IntegrityError as error:
            raise PresetInstallUnderWay(self._acs_name) from error

    async def _ended(self, row_id: int, state: InstallState, reason: str) -> None:
        async with self._begin() as db:
            row = await db.get_one(AcsPresetInstall, row_id)
            row.state, row.reason, row.ended_at = state, reason, self._now()

    def _outcome(self, state: InstallState, reason: str, changes: Sequence[Change]) -> InstallOutcome:
        names = [change["name"] for change in changes]
        return InstallOutcome(acs_name=self._acs_name, state=state, reason=reason, changed=names)


def _change(stored: dict[str, Any]) -> Change:
    return Change(
        kind=stored["kind"],
        name=stored["name"],
        action=stored["action"],
        before=stored["before"],
        after=stored["after"],
    )


def _left_out(names: Sequence[str]) -> str:
    """What was there and could stop sessions, or was written by hand, is not sent to an ACS again."""
    return f" Deleted instead of put back, since it is not of our making: {', '.join(names)}." if names else ""
