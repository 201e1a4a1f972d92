"""The door for signals: what is told to a run itself. What has a record of its own is told at that record's desk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.scheduling.wanted_deployment import find_time_fault
from provisioning.errors import Fault, InvalidRequest
from provisioning.field import JOINING, VISIT, FieldError, Technicians, VisitOver, Visits
from provisioning.intake import Clock, Faults
from workflows import InputRefused, Runs, sound_parts
from workflows.definitions.ordering import DayOrMoment
from workflows.services import VisitState

DESKS = {
    VISIT: ("firstlight visits report VISIT OUTCOME", "the visit changes with the run"),
    "line_answer": ("firstlight line answer ORDER --port PORT", "the line order changes with the run"),
    "payment_method": ("firstlight orders pay-by ORDER METHOD", "the order is looked at first"),
    "payment_settled": ("firstlight payments settle PAYMENT --reference WHERE", "the payment changes with the run"),
    "quote_accepted": ("firstlight quotes accept QUOTE --accepted-by WHO", "the quote changes with the run"),
    "line_removed": ("firstlight line removed ORDER", "the line order changes with the run"),
}
"""Signals that only a desk may tell, since a record has a say in it or changes with the run: the command, and why."""
WATCHED = {"device_informed": "the ACS has seen the CPE", "session_started": "RADIUS accounting has the session"}
"""Signals that only a watcher may tell, since billing rests on them: what it must have seen."""
TIMES = frozenset(joining.signal for joining in JOINING.values())
"""Signals that name the time of a visit; a visit of its own, if it has one, stands at it already."""
HAS_COME_OF_IT: frozenset[VisitState] = frozenset({"scanned", "not_feasible", "completed"})
"""What a visit is from which no other time leads back: somebody was there and has said what they found."""
TOLD_FROM_OUTSIDE = "told/"
"""What keys begin with that people and other systems choose, so that none is ever one that a door of ours makes."""

_MOMENT_OR_DAY = TypeAdapter[date](DayOrMoment)


class SignalDesk:
    """Accepts signals within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, runs: Runs, tenant_id: str, now: Clock, zone: ZoneInfo) -> None:
        self._db = db
        self._runs = runs
        self._visits = Visits(db, tenant_id=tenant_id, now=now)
        self._technicians = Technicians(db, tenant_id=tenant_id)
        self._now = now
        self._zone = zone

    async def tell(self, run_id: int, name: str, payload: Any, *, key: str | None = None, by: str) -> bool:
        """Tells a run something it waits for, or will wait for; False if this ``key`` was told before.

        Without a key, the same name and payload are the same signal. It is kept as ``told/<key>``.

        Raises: InvalidRequest if the payload is no JSON object, the time that it names is over or too far ahead, nobody
        knows whom it names, or the signal has a desk of its own or is a watcher's; InputRefused if the run never waits
        for it, or with every fault of a malformed payload; VisitOver if it is about the time of a visit from which
        there is a report already; RunUnknown, RunNotOpenFor.
        """
        if name in WATCHED:
            raise InvalidRequest("The signal", [Fault("name", _seen_alone(run_id, name))])
        if name in DESKS:
            command, why = DESKS[name]
            raise InvalidRequest("The signal", [Fault("name", _elsewhere(run_id, name, command, why))])
        if not isinstance(payload, dict):
            raise InvalidRequest("The payload", [Fault("payload", "is not a JSON object")])
        said = key or f"{name}/{json.dumps(payload, sort_keys=True)}"
        try:
            is_new = await self._runs.signal(self._db, run_id, name, payload, key=TOLD_FROM_OUTSIDE + said, by=by)
        except InputRefused as refusal:
            if name not in TIMES or not isinstance(refusal.__cause__, ValidationError):
                raise
            misfits = await self._misfits(sound_parts(payload, refusal.__cause__))
            more = [(fault.field, fault.reason) for fault in misfits.all]
            raise InputRefused(refusal.what, [*refusal.faults, *more]) from refusal
        if is_new and name in TIMES:
            (await self._misfits(payload)).refuse_if_any()
            await self._refuse_reported(run_id)
        return is_new

    async def _misfits(self, sound: Mapping[str, Any]) -> Faults:
        """Of the well formed parts of a visit's time, what can't be."""
        faults = Faults("The signal")
        if sound.get("scheduled_date") is not None and sound.get("visit_id") is None:
            wanted = _MOMENT_OR_DAY.validate_python(sound["scheduled_date"])
            find_time_fault(faults, wanted, now=self._now(), zone=self._zone)
        for field, look_up in (("technician_id", self._technicians.technician), ("visit_id", self._visits.visit)):
            if sound.get(field) is not None:
                try:
                    await look_up(sound[field])
                except FieldError as unknown:
                    faults.add(field, str(unknown))
        return faults

    async def _refuse_reported(self, run_id: int) -> None:
        """The run, whose lock this transaction has, may not have heard the report yet, and would forget it."""
        visit_id = await self._runs.awaited(self._db, run_id, VISIT)
        state = None if visit_id is None else (await self._visits.visit(int(visit_id)))["state"]
        if visit_id is not None and state in HAS_COME_OF_IT:
            raise VisitOver(int(visit_id), state, "moved")


def _elsewhere(run_id: int, name: str, command: str, why: str) -> str:
    return f"{name} is told with `{command}`, so that {why}; `firstlight runs show {run_id}` has the number"


def _seen_alone(run_id: int, name: str) -> str:
    return (
        f"{name} is told by nobody but the watcher, once {WATCHED[name]}; when run {run_id} is held, "
        f"`firstlight runs retry {run_id}` looks again and `firstlight runs skip {run_id} --reason WHY` goes on without"
    )
