"""What an operator does to a subscriber that is served: each act once per request id, and never half.

The new wish and what open sessions are still to be told of it are one transaction. Nothing here talks to anybody:
``SessionChanges`` carries it to FreeRADIUS and to the NASes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from radius.coa.outbox import add_change, add_changes, as_served, fingerprint, former_of, newest, views
from radius.errors import IllegalMove, SubscriberTerminated
from radius.plans.history import FormerTerms
from radius.plans.plans import find_plan, random_password, while_definitions_stand
from radius.projection.projection import FramedAddresses, is_refused
from radius.results import SessionChangeView
from radius.states import State, may_become
from radius.subscribers import subscribers
from radius.subscribers.acts import in_service
from radius.subscribers.cap_verbs import CapVerbs
from radius.subscribers.identity_verbs import fits
from radius.tables import Plan, Subscriber
from radius.verb_errors import GardenUnfit


class SubscriberVerbs(CapVerbs):
    """Acts on one tenant's subscribers, in the caller's transaction."""

    async def change_plan(self, *, subscriber_id: int, plan: str, request_id: str | None = None) -> SessionChangeView:
        """Give another plan: to every login from now on, and to the sessions that are open.

        Raises:
            IllegalMove: it is not in service; what installs it says its plan.
            GardenUnfit, AccessUnfit: its walled garden, or the line that logs in for it, asks for another access.
            SubscriberUnknown, SubscriberTerminated, PlanUnknown, RequestRefused, RequestConflict
        """
        mark = fingerprint("change_plan", subscriber_id, plan=plan)
        await while_definitions_stand(self._db, self._tenant_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        in_service(subscriber, "gets another plan once it is in service")
        wanted = await find_plan(self._db, self._tenant_id, plan, anew=True)
        fits(wanted, logs_in=subscriber.login_by_line)
        if subscriber.garden_plan_id is not None:
            _fits(await self._db.get_one(Plan, subscriber.garden_plan_id, populate_existing=True), wanted)
        before = await former_of(self._db, subscriber)
        changes, must_end = subscriber.plan_id != wanted.id, False
        if changes:
            subscriber.plan_id = wanted.id
            _is_served_otherwise, must_end = await self._serve_at_cap(subscriber, wanted)
        return await self._end(
            subscriber, "change_plan", before, (request_id, mark), changes=changes, must_end=must_end
        )

    async def suspend(
        self, *, subscriber_id: int, garden: str | None = None, request_id: str | None = None
    ) -> SessionChangeView:
        """Refuse every login and end the open sessions; with a ``garden``, the name of a plan, serve by that plan.

        The password and the plan stay as they are. Again with another garden moves it there.

        Raises:
            IllegalMove: it is not in service.
            GardenUnfit: the garden is of another access than its plan, or is its plan.
            SubscriberUnknown, SubscriberTerminated, PlanUnknown, RequestRefused, RequestConflict
        """
        mark = fingerprint("suspend", subscriber_id, garden=garden)
        if garden is not None:
            await while_definitions_stand(self._db, self._tenant_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        if not may_become(subscriber.state, "suspended"):
            raise IllegalMove(subscriber.id, subscriber.username, state=subscriber.state, wanted="suspended")
        plan = None if garden is None else await find_plan(self._db, self._tenant_id, garden, anew=True)
        if plan is not None:
            _fits(plan, await self._db.get_one(Plan, subscriber.plan_id, populate_existing=True))
        before, was_withheld = await former_of(self._db, subscriber), await self._withheld(subscriber)
        garden_id = None if plan is None else plan.id
        changes = (subscriber.state, subscriber.garden_plan_id) != ("suspended", garden_id)
        subscriber.state, subscriber.garden_plan_id = "suspended", garden_id
        must_end = was_withheld != await self._withheld(subscriber)
        return await self._end(subscriber, "suspend", before, (request_id, mark), changes=changes, must_end=must_end)

    async def resume(self, *, subscriber_id: int, request_id: str | None = None) -> SessionChangeView:
        """End a suspension: the same password, plan and addresses as before.

        Raises:
            IllegalMove: it is not suspended, nor active.
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        mark = fingerprint("resume", subscriber_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        if subscriber.state not in ("suspended", "active"):
            raise IllegalMove(subscriber.id, subscriber.username, state=subscriber.state, wanted="active")
        before, was_withheld = await former_of(self._db, subscriber), await self._withheld(subscriber)
        changes = subscriber.state != "active"
        subscriber.state, subscriber.garden_plan_id = "active", None
        must_end = was_withheld != await self._withheld(subscriber)
        return await self._end(subscriber, "resume", before, (request_id, mark), changes=changes, must_end=must_end)

    async def rotate_password(self, *, subscriber_id: int, request_id: str | None = None) -> SessionChangeView:
        """A new random password, sealed where the former one was. Sessions that are open go on.

        Without a request id every call makes another one.

        Raises:
            IllegalMove: it is not in service; a CPE that is being installed is told the password it has.
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        mark = fingerprint("rotate_password", subscriber_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        in_service(subscriber, "gets another password once it is in service")
        password = random_password(subscribers.PASSWORD_LENGTH)
        await subscribers.give_password(self._db, subscriber, password, secrets=self._secrets)
        # sessions go on with what they have, also where their plan was changed since
        before = await as_served(self._db, subscriber)
        return await self._end(subscriber, "rotate_password", before, (request_id, mark), changes=True)

    async def readdress(self, *, subscriber_id: int, addresses: FramedAddresses) -> SessionChangeView | None:
        """Let its line have these addresses from now on: the sessions that are open are ended, since none can be given
        another address. None: it has them already, or is given none of them now (refused, or in a pool garden).

        Raises:
            ValueRefused, AddressConflict: FreeRADIUS could not carry them.
            SubscriberUnknown
        """
        subscriber = await subscribers.locked(self._db, self._tenant_id, subscriber_id)
        before, was = await as_served(self._db, subscriber), subscriber.version
        await subscribers.give_addresses(self._db, subscriber, addresses, self._now())
        is_given = not is_refused(subscriber) and not await self._withheld(subscriber)
        if subscriber.version == was or not is_given:
            return None
        subscriber.version = was  # counted once, below
        mark = fingerprint("readdress", subscriber_id, version=was)
        return await self._end(subscriber, "readdress", before, (None, mark), changes=True, must_end=True)

    async def readdress_lines(self, lines: Mapping[int, tuple[str, FramedAddresses]]) -> None:
        """As ``readdress``, for many: by service the username under which it is, or is to be, served, and what its line
        has from now on. A service of which nobody with that name is served is passed over.

        Raises:
            ValueRefused, AddressConflict: FreeRADIUS could not carry them.
        """
        served: dict[tuple[int, int | None], list[FormerTerms]] = {}  # asked once of all that are served by the same
        made: list[tuple[Subscriber, Sequence[FormerTerms], str]] = []
        for subscriber in await subscribers.locked_of_services(self._db, self._tenant_id, list(lines)):
            assert subscriber.service_id is not None, "it was asked for by that"
            username, addresses = lines[subscriber.service_id]
            by, was = (subscriber.plan_id, subscriber.over_plan_id), subscriber.version
            if subscriber.username != username or not subscribers.readdressed(subscriber, addresses, self._now()):
                continue
            if is_refused(subscriber) or await self._withheld(subscriber):
                continue
            if by not in served:
                served[by] = await as_served(self._db, subscriber)
            made.append((subscriber, served[by], fingerprint("readdress", subscriber.id, version=was)))
        await self._db.flush()
        await add_changes(self._db, made, "readdress", must_end=True, now=self._now())

    async def activate(self, *, subscriber_id: int, request_id: str | None = None) -> SessionChangeView:
        """Let it in on its full plan. For whom no run does that.

        Raises:
            IllegalMove: it is suspended, which only its resumption ends.
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        return await self._moved(subscriber_id, "activate", "active", request_id)

    async def terminate(self, *, subscriber_id: int, request_id: str | None = None) -> SessionChangeView:
        """End it at once: no login any more, and its open sessions are ended. For whom no run does that.

        Its password is forgotten, and its name free for the same customer only. Once more is the same change.

        Raises:
            SubscriberTerminated: something else than this has ended it.
            SubscriberUnknown, RequestRefused, RequestConflict
        """
        try:
            done = await self._moved(subscriber_id, "terminate", "terminated", request_id)
        except SubscriberTerminated:
            last = await newest(self._db, await subscribers.locked(self._db, self._tenant_id, subscriber_id))
            if last is None or last.act != "terminate":
                raise
            return (await views(self._db, [last]))[0]
        await subscribers.forget_password(self._db, subscriber_id, secrets=self._secrets)
        return done

    async def disconnect(self, *, subscriber_id: int, request_id: str | None = None) -> SessionChangeView:
        """End the sessions that are open. Nothing of the subscriber changes: whoever logs in anew is served as before.

        Without a request id it is the one that is still pending, if there is one.

        Raises:
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        return await self._told_anew(subscriber_id, "disconnect", request_id, must_end=True)

    async def set_right(self, *, subscriber_id: int, request_id: str | None = None) -> SessionChangeView:
        """Bring FreeRADIUS and the sessions that are open to what is wanted already, whoever has changed them: the rows
        are written anew, and each session is told all of its plan.

        Without a request id it is the one that is still pending, if there is one.

        Raises:
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        return await self._told_anew(subscriber_id, "set_right", request_id, must_end=False)

    async def _told_anew(
        self, subscriber_id: int, act: Literal["disconnect", "set_right"], request_id: str | None, *, must_end: bool
    ) -> SessionChangeView:
        mark = fingerprint(act, subscriber_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        last = await newest(self._db, subscriber)
        if request_id is None and last is not None and (last.act, last.state) == (act, "pending"):
            return (await views(self._db, [last]))[0]
        if act == "set_right":  # nobody believes the rows to be there, whichever change is carried over first
            subscriber.projected_version = None
        # nobody knows what a session has by now, so none is believed to have it already
        had = [replace(each, after_others=True) for each in await former_of(self._db, subscriber)]
        change = await add_change(
            self._db, subscriber, act, former=had, must_end=must_end, request=(request_id, mark), now=self._now()
        )
        return (await views(self._db, [change]))[0]

    async def _moved(
        self, subscriber_id: int, act: Literal["activate", "terminate"], wanted: State, request_id: str | None
    ) -> SessionChangeView:
        mark = fingerprint(act, subscriber_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        before, was = await as_served(self._db, subscriber), subscriber.version
        await subscribers.move(self._db, subscriber, wanted, now=self._now())
        changes, subscriber.version = subscriber.version != was, was  # counted once, below
        return await self._end(subscriber, act, before, (request_id, mark), changes=changes)


def _fits(garden: Plan, plan: Plan) -> None:
    if garden.id == plan.id or garden.access != plan.access:
        raise GardenUnfit(garden=garden.name, garden_access=garden.access, plan=plan.name, plan_access=plan.access)
    if garden.where_untold == "refuse_login":
        raise GardenUnfit(garden=garden.name, plan=plan.name)
