"""What becomes of a subscriber that has used up its data cap, and lifting that by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from radius.caps.periods import CapPeriod
from radius.caps.standing import CapLevel, events_of, level_of, note, of_period, served_at_cap, standing
from radius.caps.tables import CapEventKind, DataCapEvent
from radius.coa.outbox import fingerprint, former_of
from radius.coa.tables import Act
from radius.errors import RequestRefused
from radius.plans.gardens import withholds_addresses
from radius.plans.terms import MAX_CAP_OCTETS, terms_of
from radius.results import SessionChangeView
from radius.subscribers import subscribers
from radius.subscribers.acts import in_service
from radius.subscribers.identity_verbs import IdentityVerbs
from radius.tables import Plan, Subscriber
from radius.verb_errors import NoDataCap

_NOTED: Mapping[CapLevel, list[CapEventKind]] = {"none": [], "warned": ["warned"], "reached": ["reached"]}


@dataclass(frozen=True)
class CapCrossing:
    """Something has happened to a data cap; ``served_by`` is the plan that serves the subscriber since."""

    kind: CapEventKind
    ordinal: int
    subscriber_id: int
    customer_id: int
    service_id: int | None
    plan: str
    served_by: str
    allowance_octets: int | None
    used_octets: int | None
    period: CapPeriod


class CapVerbs(IdentityVerbs):
    """Keeps subscribers to their data caps."""

    async def lift_cap(
        self,
        *,
        subscriber_id: int,
        period: CapPeriod,
        used_octets: int = 0,
        octets: int | None = None,
        request_id: str | None = None,
    ) -> SessionChangeView:
        """Let it use ``octets`` more in this billing month, or as much as it likes until the month ends. Whom that is
        enough for, after the ``used_octets`` of the month so far, is served as its plan says again.

        Without a request id every call that names octets adds them.

        Raises:
            NoDataCap: its plan has none.
            IllegalMove: it is not in service.
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        if octets is not None and not 1 <= octets <= MAX_CAP_OCTETS:
            raise RequestRefused([f"octets is {octets}, not between 1 and {MAX_CAP_OCTETS}"])
        mark = fingerprint("lift_cap", subscriber_id, octets=octets, period=period.begins.isoformat())
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        in_service(subscriber, "has its data cap lifted once it is in service")
        plan = await self._db.get_one(Plan, subscriber.plan_id)
        if plan.data_cap_octets is None:
            raise NoDataCap(subscriber.username, plan.name)
        now = self._now()
        before = standing(plan, of_period(await events_of(self._db, subscriber, now=now), period))
        had = await former_of(self._db, subscriber)
        is_new = before.allowance_octets is not None
        if before.allowance_octets is not None:
            more = None if octets is None else before.allowance_octets + octets
            await note(
                self._db, subscriber, plan, "lifted", period, allowance_octets=more, extra_octets=octets, now=now
            )
        is_served_otherwise, must_end = await self._serve_at_cap(subscriber, plan, used_octets)
        return await self._end(
            subscriber, "lift_cap", had, (request_id, mark), changes=is_served_otherwise or is_new, must_end=must_end
        )

    async def keep_to_cap(self, *, subscriber_id: int, period: CapPeriod, used_octets: int) -> list[CapCrossing]:
        """Brings a subscriber to what its plan says of one who has used so much in this billing month; what has
        happened, nothing if it is so already.

        Raises:
            SubscriberUnknown
        """
        subscriber = await subscribers.locked(self._db, self._tenant_id, subscriber_id)
        if subscriber.state not in ("active", "suspended"):
            return []
        plan, now = await self._db.get_one(Plan, subscriber.plan_id), self._now()
        if period.ends <= now:
            return []  # the month has turned since its use was read: the next look knows of the new one
        stands = standing(plan, of_period(await events_of(self._db, subscriber, now=now), period))
        used_octets = max(used_octets, stands.known_octets)
        level = level_of(used_octets, stands.allowance_octets)
        happened = [] if level == stands.level else _NOTED[level]
        wanted = await served_at_cap(self._db, plan, level)
        if subscriber.capped_plan_id is not None and wanted is None:
            happened = [*happened, "ended"]
        noted = [
            await note(
                self._db,
                subscriber,
                plan,
                kind,
                period,
                allowance_octets=stands.allowance_octets,
                used_octets=used_octets,
                now=now,
            )
            for kind in happened
        ]
        await self._serve(subscriber, wanted)
        return [await self._crossing(subscriber, plan, event, period) for event in noted]

    async def _serve(self, subscriber: Subscriber, wanted: int | None) -> None:
        """By that plan in place of its own (None: by its own), and its open sessions are told if they are concerned."""
        if subscriber.capped_plan_id == wanted:
            return
        had, was_withheld, was_served_by = (
            await former_of(self._db, subscriber),
            await self._withheld(subscriber),
            subscriber.over_plan_id,
        )
        subscriber.capped_plan_id = wanted
        await self._db.flush()
        if subscriber.over_plan_id == was_served_by:  # it is suspended
            return
        act: Act = "uncap" if wanted is None else "cap"
        must_end = was_withheld != await self._withheld(subscriber)
        mark = fingerprint(act, subscriber.id, plan=wanted)
        await self._end(subscriber, act, had, (None, mark), changes=True, must_end=must_end)

    async def _serve_at_cap(self, subscriber: Subscriber, plan: Plan, used_octets: int = 0) -> tuple[bool, bool]:
        """Within another act: by what serves it on this plan after so much use, or as much as is known of. Whether
        that is another one than before, and whether only a new session could have it."""
        stands = standing(plan, await events_of(self._db, subscriber, now=self._now()))
        level = level_of(max(used_octets, stands.known_octets), stands.allowance_octets)
        was_withheld, was_served_by = await self._withheld(subscriber), subscriber.over_plan_id
        subscriber.capped_plan_id = await served_at_cap(self._db, plan, level)
        return subscriber.over_plan_id != was_served_by, was_withheld != await self._withheld(subscriber)

    async def _withheld(self, subscriber: Subscriber) -> bool:
        if subscriber.over_plan_id is None:
            return False
        return withholds_addresses(terms_of(await self._db.get_one(Plan, subscriber.over_plan_id)))

    async def _crossing(
        self, subscriber: Subscriber, plan: Plan, event: DataCapEvent, period: CapPeriod
    ) -> CapCrossing:
        # one that is refused every login is served by that when it is let in again
        served = subscriber.over_plan_id or subscriber.capped_plan_id
        return CapCrossing(
            kind=event.kind,
            ordinal=event.ordinal,
            subscriber_id=subscriber.id,
            customer_id=subscriber.customer_id,
            service_id=subscriber.service_id,
            plan=plan.name,
            served_by=plan.name if served is None else (await self._db.get_one(Plan, served)).name,
            allowance_octets=event.allowance_octets,
            used_octets=event.used_octets,
            period=period,
        )
