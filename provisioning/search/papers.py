"""What has to do with a customer on paper: who they are, what they ordered, what is done for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    CustomerSearch,
    FoundCustomer,
    QuoteRecord,
    Quotes,
    SalesService,
    TicketDesk,
    TicketUnknown,
    words_of,
)
from provisioning.commercial.payments import PaymentView, list_payments, payments_referred_to
from provisioning.field import VisitRecord, Visits, VisitUnknown
from provisioning.intake import Clock
from provisioning.line import LineOrderUnknown, line_order_as_it_is
from provisioning.search.hits import ASIDE, BEGINS, NEARLY, WHOLE, Hit
from provisioning.search.lines import moment
from provisioning.search.recognise import Clue, ClueKind, Numbered
from provisioning.sight import Sight
from workflows import DEFINITIONS, RunSummary, find_runs

LARGEST_RUN = 2**31 - 1
"""Runs are counted in 32 bits."""
NAMED_NUMBER, BARE_NUMBER = WHOLE, ASIDE
"""``order 17`` says what it is a number of, ``17`` doesn't."""


class Papers:
    """Finds customers, quotes, orders, payments, line orders, tickets, runs, visits within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, sight: Sight, limit: int) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._sight = sight
        self._customers = CustomerSearch(db, tenant_id=tenant_id, among=sight.customers)
        self._sales = SalesService(db, tenant_id=tenant_id, now=now)
        self._quotes = Quotes(db, tenant_id=tenant_id, now=now)
        self._tickets = TicketDesk(db, tenant_id=tenant_id, now=now)
        self._visits = Visits(db, tenant_id=tenant_id, now=now)
        self._limit = limit

    async def at(self, clue: Clue) -> list[Hit]:
        """Customers with such a mail address."""
        if not self._sight.may("customers.read"):
            return []
        return [_customer_hit(each, clue) for each in await self._customers.at(clue.value, limit=self._limit)]

    async def called(self, clue: Clue) -> list[Hit]:
        """Customers with such a telephone number."""
        if not self._sight.may("customers.read"):
            return []
        return [_customer_hit(each, clue) for each in await self._customers.called(clue.value, limit=self._limit)]

    async def named(self, clue: Clue) -> list[Hit]:
        """Customers with such a name."""
        if not self._sight.may("customers.read"):
            return []
        return [_customer_hit(each, clue) for each in await self._customers.named(clue.value, limit=self._limit)]

    async def of_key(self, clue: Clue) -> list[Hit]:
        """The run of an installation ticket, or of another business key."""
        if not self._sight.may("runs.read"):
            return []
        return [
            _run_hit(run, f"it is the run of {run.business_key}", "run_key", WHOLE)
            for run in await find_runs(
                self._db,
                tenant_id=self._tenant_id,
                journeys=sorted({name for name, _ in DEFINITIONS}),
                keys=[clue.value, f"ticket/{clue.value}"],
                among=self._sight.runs,
            )
        ]

    async def numbered(self, clue: Clue) -> list[Hit]:
        """What has that number, of the noun that was said or of any."""
        askers: dict[Numbered, Callable[[int, int], Awaitable[list[Hit]]]] = {
            "customer": self._customer,
            "order": self._order,
            "line order": self._line_order,
            "quote": self._quote,
            "payment": self._payment,
            "ticket": self._ticket,
            "run": self._run,
            "visit": self._visit,
        }
        number, hits = int(clue.value), []
        for noun, ask in askers.items():
            if clue.of in (None, noun):
                hits += await ask(number, BARE_NUMBER if clue.of is None else NAMED_NUMBER)
        return hits

    async def names_of(self, customers: Sequence[int]) -> dict[int, str]:
        """The names of those of these customers who may be seen."""
        return await self._customers.numbered(customers) if self._sight.may("customers.read") else {}

    async def _customer(self, number: int, score: int) -> list[Hit]:
        names = await self.names_of([number])
        why = ["its number"]
        return [
            Hit("customer", str(found), name, f"customer {found}", why, ["number"], score, found)
            for found, name in names.items()
        ]

    async def _order(self, number: int, score: int) -> list[Hit]:
        """Its amounts are nobody's business here; so whoever reads of the run that carries it out may find it."""
        if not (self._sight.may("orders.read") or self._sight.may("runs.read")):
            return []
        found = await self._sales.orders(before_id=number + 1, limit=1)
        return [
            Hit(
                noun="order",
                id=str(number),
                title=f"order {number}",
                about=f"{order['state']} since {moment(order['ended_at'] or order['ordered_at'])}",
                why=["its number"],
                matched=["number"],
                score=score,
                customer_id=order["customer_id"],
            )
            for order in found
            if order["order_id"] == number
        ]

    async def referred_to(self, clue: Clue) -> list[Hit]:
        """Payments under that reference: the gateway's own number, or where a person has said that the money came."""
        if not self._sight.may("payments.read"):
            return []
        found = await payments_referred_to(self._db, clue.value, tenant_id=self._tenant_id, limit=self._limit)
        return [_payment_hit(each, "its reference", clue.kind, WHOLE) for each in found]

    async def _quote(self, number: int, score: int) -> list[Hit]:
        if not self._sight.may("quotes.read"):
            return []
        found = await self._quotes.quotes(before_id=number + 1, limit=1)
        return [_quote_hit(quote, score) for quote in found if quote["quote_id"] == number]

    async def _payment(self, number: int, score: int) -> list[Hit]:
        if not self._sight.may("payments.read"):
            return []
        found = await list_payments(self._db, tenant_id=self._tenant_id, before_id=number + 1, limit=1)
        return [_payment_hit(each, "its number", "number", score) for each in found if each.payment_id == number]

    async def _line_order(self, number: int, score: int) -> list[Hit]:
        if not self._sight.may("lines.read"):
            return []
        try:
            row = await line_order_as_it_is(self._db, self._tenant_id, number)
        except LineOrderUnknown:
            return []
        about = f"{row.state}, {row.device_serial} at {row.access_node}, service {row.service_id}"
        hit = Hit("line_order", str(number), f"line order {number}", about, ["its number"], ["number"], score)
        return [_of_customer(hit, row.customer_id)]

    async def _ticket(self, number: int, score: int) -> list[Hit]:
        if not self._sight.may("tickets.read"):
            return []
        try:
            ticket = await self._tickets.ticket(number)
        except TicketUnknown:
            return []
        about = f"{ticket['state']}, {ticket['priority']}, of team {ticket['assigned_team']}: {ticket['title']}"
        hit = Hit("ticket", str(number), f"ticket {number}", about, ["its number"], ["number"], score)
        return [hit if ticket["customer_id"] is None else _of_customer(hit, ticket["customer_id"])]

    async def _run(self, number: int, score: int) -> list[Hit]:
        if not self._sight.may("runs.read") or number > LARGEST_RUN:
            return []
        runs = await find_runs(self._db, tenant_id=self._tenant_id, run_id=number, among=self._sight.runs)
        return [_run_hit(run, "its number", "number", score) for run in runs]

    async def _visit(self, number: int, score: int) -> list[Hit]:
        if not self._sight.may("visits.read"):
            return []
        try:
            visit = await self._visits.visit(number)
        except VisitUnknown:
            return []
        is_seen = self._sight.technician_id in (None, visit["technician_id"])
        return [_visit_hit(visit, score)] if is_seen else []


def _customer_hit(found: FoundCustomer, clue: Clue) -> Hit:
    score, why = _fit(found, clue)
    reach = ", ".join(part for part in (found.email, found.phone) if part)
    withdrawn = "" if found.state == "active" else f", {found.state}"
    return Hit(
        noun="customer",
        id=str(found.customer_id),
        title=found.name,
        about=f"customer {found.customer_id}{withdrawn}, {reach}",
        why=[why],
        matched=[clue.kind],
        score=score,
        customer_id=found.customer_id,
    )


def _fit(found: FoundCustomer, clue: Clue) -> tuple[int, str]:
    if clue.kind == "email":
        whole = found.email.casefold() == clue.value
        return (WHOLE, "their mail address") if whole else (BEGINS, "their mail address begins so")
    if clue.kind == "phone":
        return NEARLY, f"their telephone number is {found.phone}"
    has = {word.casefold() for word in words_of(found.name)}
    asked = [word.casefold() for word in words_of(clue.value)]
    whole = has.issuperset(asked)
    return (NEARLY, "their name") if whole else (BEGINS, "their name begins so, or is written so")


def _run_hit(run: RunSummary, why: str, kind: ClueKind, score: int) -> Hit:
    about = f"{run.journey} of {run.business_key}: {run.state}" + (
        f" in {run.current_step}" if run.current_step else ""
    )
    return Hit("run", str(run.id), f"run {run.id}", about, [why], [kind], score, run.customer_id)


def _quote_hit(quote: QuoteRecord, score: int) -> Hit:
    """Without its price, as an order: it may be told on a telephone with somebody looking on."""
    renews = " renewal" if quote["kind"] == "renewal" else ""
    about = f"{quote['state']}{renews}, valid until {moment(quote['valid_until'])}"
    number = str(quote["quote_id"])
    return Hit("quote", number, f"quote {number}", about, ["its number"], ["number"], score, quote["customer_id"])


def _payment_hit(payment: PaymentView, why: str, kind: ClueKind, score: int) -> Hit:
    of = f"order {payment.order_id}" if payment.order_id is not None else f"quote {payment.quote_id}"
    number = str(payment.payment_id)
    about = f"{payment.state}, of {of} by {payment.method}, {payment.reference or 'without a reference'}"
    return Hit("payment", number, f"payment {number}", about, [why], [kind], score, payment.customer_id)


def _visit_hit(visit: VisitRecord, score: int) -> Hit:
    about = f"{visit['state']}, {moment(visit['starts_at'])}, {visit['technician_name']}, {visit['address']}"
    number = str(visit["visit_id"])
    return Hit("visit", number, f"visit {number}", about, ["its number"], ["number"], score, visit["customer_id"])


def _of_customer(hit: Hit, customer_id: int) -> Hit:
    return Hit(**{**vars(hit), "customer_id": customer_id})
