"""The door for acceptances: the customer's yes and what it sets going are one commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import CrmService, PublishEvent
from provisioning.commercial.notices.notice_errors import TeamError
from provisioning.commercial.notices.teams import require_channel
from provisioning.commercial.selling.selling_tables import Quote
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import faults_of
from workflows import EventConflict, Events, RunNotOpenFor, Runs
from workflows.answers import AcceptedQuote
from workflows.definitions.ordering import OrderWishes, acceptance_key

ACCEPTED = "quote.accepted"
SIGNAL = "quote_accepted"


def _wishes(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """As the event tells them. Raises: InvalidRequest with every fault."""
    try:
        return OrderWishes.model_validate(wishes).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        raise InvalidRequest("The acceptance", faults_of(error, whole="team")) from error


class QuoteDesk:
    """Accepts quotes within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        crm: CrmService,
        runs: Runs,
        events: Events,
        publish: PublishEvent,
        tenant_id: str,
        order_team: tuple[str, str],
    ) -> None:
        """``order_team``: who is told of an order unless its acceptance says otherwise, and by which channel."""
        self._db = db
        self._crm = crm
        self._runs = runs
        self._events = events
        self._publish = publish
        self._tenant_id = tenant_id
        self._order_team = order_team

    async def accept(
        self,
        *,
        quote_id: int,
        accepted_by: str,
        by: str,
        wishes: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> tuple[AcceptedQuote, list[int]]:
        """The customer says yes: a new quote's event starts its order; a renewal makes no order, but is told to the
        runs that wait for it, whose numbers are returned.

        Accepting what is accepted is the same acceptance, under the same key. A quote that is accepted once more after
        its acceptance was taken back has another one (``quote/7/accepted/2``), and so sets things going again.

        ``wishes`` (`OrderWishes`) say how the order is to be carried out, and go with the event.

        Raises: as ``CrmService.accept_quote``; InvalidRequest with every fault of the wishes, also if this makes no
        order, or if the team that has to be told of it can't be; EventConflict if another event has been started under
        this key, or this acceptance without these wishes.
        """
        wanted = _wishes(wishes or {})
        about = await self._runs.about(self._db, SIGNAL, str(quote_id))
        await self._runs.lock(self._db, about)
        accepted = await self._crm.accept_quote(quote_id=quote_id, accepted_by=accepted_by, request_id=request_id)
        row = (
            await self._db.scalars(select(Quote).where(Quote.tenant_id == self._tenant_id, Quote.id == quote_id))
        ).one()
        key = acceptance_key(quote_id, row.acceptances)
        data = {
            "quote_id": quote_id,
            "customer_id": accepted["customer_id"],
            "accepted_by": accepted["accepted_by"],
            "accepted_at": accepted["accepted_at"].isoformat(),
            "acceptance": row.acceptances,
        }
        if row.kind == "new":
            await self._require_team(wanted)
            await self._publish_or_correct(quote_id, data, wanted, key=key, by=by)
            return accepted, []
        if wanted:
            why = f"are for an order, and quote {quote_id} renews subscription {row.subscription_id}"
            raise InvalidRequest("The acceptance", [Fault("wishes", why)])
        return accepted, [run_id for run_id in about if await self._tell(run_id, quote_id, data, key=key, by=by)]

    async def _require_team(self, wanted: dict[str, Any]) -> None:
        team, channel = (wanted["team"], wanted["channel"]) if "team" in wanted else self._order_team
        try:
            await require_channel(self._db, self._tenant_id, team, channel)
        except TeamError as error:
            field = "team" if "team" in wanted else "FIRSTLIGHT_ORDER_TEAM"
            raise InvalidRequest("The acceptance", [Fault(field, str(error))]) from error

    async def _publish_or_correct(
        self, quote_id: int, data: dict[str, Any], wanted: dict[str, Any], *, key: str, by: str
    ) -> None:
        """Somebody may have told this acceptance before: with the customer's wishes, or before it was one."""
        subject, told = f"quote/{quote_id}", {**data, **wanted}
        try:
            await self._publish(self._db, ACCEPTED, subject, told, key, by)
        except EventConflict:
            same = ("quote_id", "acceptance", *wanted)
            await self._events.correct(self._db, key, ACCEPTED, subject=subject, data=told, by=by, same=same)

    async def _tell(self, run_id: int, quote_id: int, data: dict[str, Any], *, key: str, by: str) -> bool:
        """False if the run knows it already, or is undoing itself and listens no more."""
        try:
            return await self._runs.signal(self._db, run_id, SIGNAL, data, key=key, by=by, subject=str(quote_id))
        except RunNotOpenFor:
            return False
