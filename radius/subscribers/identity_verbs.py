"""Who a subscriber is: its name, the ISP's own number of it, and the line from which it may log in."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from radius.coa.outbox import as_served, fingerprint
from radius.encoder import safe_username
from radius.errors import UsernameTaken
from radius.nas.telling import refuse_untold_lines
from radius.plans.plans import while_definitions_stand
from radius.results import SessionChangeView
from radius.subscribers import former_names
from radius.subscribers.acts import Acts, in_service
from radius.subscribers.line_identity import LineIdentity, give_line, line_of
from radius.tables import Plan, Subscriber
from radius.verb_errors import AccessUnfit, LineRefused, LineTaken


class IdentityVerbs(Acts):
    """Renames and binds."""

    async def rename(
        self, *, subscriber_id: int, username: str, end_sessions: bool = False, request_id: str | None = None
    ) -> SessionChangeView:
        """Let it log in under another name from now on, and no longer under the former one.

        Sessions go on under the former name until they end, or are ended. Nobody else is given that name before; the
        change is confirmed then. What logs in for it (a CPE) has to be told.

        Raises:
            UsernameRefused: FreeRADIUS could not carry the name.
            UsernameTaken: it is somebody else's, or was, or a session may still be open under it.
            IllegalMove: it is not in service.
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        safe_username(username)
        mark = fingerprint("rename", subscriber_id, username=username, end_sessions=end_sessions)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        in_service(subscriber, "gets another name once it is in service")
        before = await as_served(self._db, subscriber)
        changes = subscriber.username != username
        if changes:
            await self._rename(subscriber, username)
        return await self._end(
            subscriber, "rename", before, (request_id, mark), changes=changes, must_end=end_sessions and changes
        )

    async def bind(
        self, *, subscriber_id: int, line: LineIdentity, logs_in: bool = False, request_id: str | None = None
    ) -> SessionChangeView:
        """Let it log in from this line alone, in place of the one it was bound to. Sessions that are open go on.

        ``logs_in``: whoever is on the line is the subscriber, without a password (IPoE). Its NAS sends the station or
        the circuit as User-Name then, and sessions begin anew.

        Raises:
            LineRefused: such a line cannot be meant; all faults at once.
            LineTaken: it logs in for another subscriber.
            AccessUnfit: a line logs in on a plan with access ipoe alone.
            NoNasTellsOfLines: a line logs in, and would be let in nowhere.
            IllegalMove: it is not in service.
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        line = line.in_one_spelling
        if faults := line.faults(logs_in=logs_in):
            raise LineRefused(faults)
        mark = fingerprint("bind", subscriber_id, **line.said, logs_in=logs_in)
        if logs_in:
            await while_definitions_stand(self._db, self._tenant_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        in_service(subscriber, "is bound to a line once it is in service")
        if logs_in:
            fits(await self._db.get_one(Plan, subscriber.plan_id, populate_existing=True), logs_in=True)
            await refuse_untold_lines(self._db, self._tenant_id)
        return await self._bound(subscriber, line, logs_in, (request_id, mark))

    async def unbind(self, *, subscriber_id: int, request_id: str | None = None) -> SessionChangeView:
        """Let it log in from any line, with its password. Sessions that are open go on.

        Raises:
            IllegalMove: it is not in service.
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        mark = fingerprint("unbind", subscriber_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        in_service(subscriber, "is bound to no line before it is in service")
        return await self._bound(subscriber, LineIdentity(), False, (request_id, mark))

    async def _rename(self, subscriber: Subscriber, username: str) -> None:
        former, customer_id, number = subscriber.username, subscriber.customer_id, subscriber.id
        await former_names.refuse_taken(self._db, self._tenant_id, customer_id, username, asker=number)
        try:
            async with self._db.begin_nested():
                subscriber.username = username
                await self._db.flush()  # the constraint's answer is needed now
        except IntegrityError as exc:
            await former_names.refuse_taken(self._db, self._tenant_id, customer_id, username, asker=number)
            raise UsernameTaken(username, customer_id=customer_id, owner=None, state=None) from exc
        # whoever had it until just now may have given it up in a transaction that has ended since
        await former_names.refuse_taken(self._db, self._tenant_id, customer_id, username, asker=number)
        await former_names.give_up(self._db, subscriber, former, now=self._now())

    async def _bound(
        self, subscriber: Subscriber, line: LineIdentity, logs_in: bool, request: tuple[str | None, str]
    ) -> SessionChangeView:
        before = await as_served(self._db, subscriber)
        had = (line_of(subscriber), subscriber.login_by_line)
        username = subscriber.username
        if had != (line, logs_in):
            try:
                async with self._db.begin_nested():
                    give_line(subscriber, line, logs_in=logs_in)
                    await self._db.flush()  # the constraints' answer is needed now
            except IntegrityError as exc:
                mine = {name: value for name, value in line.said.items() if name in ("station", "circuit")}
                raise LineTaken(username, mine) from exc
        return await self._end(
            subscriber,
            "bind" if line.said else "unbind",
            before,
            request,
            changes=had != (line, logs_in),
            must_end=had[1] != logs_in,
        )


def fits(plan: Plan, *, logs_in: bool) -> None:
    """Raises: AccessUnfit for a line that logs in on a plan which tells a NAS of PPP."""
    if logs_in and plan.access != "ipoe":
        raise AccessUnfit(plan.name)
