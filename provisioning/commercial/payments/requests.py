"""Asking for a payment: what may be paid, by whom, how; and dropping what was asked for before anybody was told."""

from __future__ import annotations

import secrets as random
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, get_args

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.facts import OrderFacts, QuoteFacts, SalesFacts
from provisioning.commercial.money import to_decimal
from provisioning.commercial.payments.cards import CardsOnFile
from provisioning.commercial.payments.errors import NothingToPay, PaymentStands, PaymentWithGateway
from provisioning.commercial.payments.ports import Cancelled, StoredCard
from provisioning.commercial.payments.rows import locked_payment, move_on, outcome_of, shown_amount
from provisioning.commercial.payments.tables import OVER, Payment
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import PaymentMethod, PaymentOutcome, RequestedPayment

METHODS: Final[tuple[PaymentMethod, ...]] = get_args(PaymentMethod)
PROVIDERS: Final[dict[PaymentMethod, str]] = {
    "invoice": "manual",
    "cash": "manual",
    "bank": "manual",
    "card": "stripe",
}
NOTHING_IS_BOUGHT: Final = frozenset({"cancelled", "pendingCancellation", "rejected", "failed"})
LONGEST_REASON: Final = 500


@dataclass(frozen=True)
class _Wish:
    """What is to be paid, by whom, how."""

    order_id: int | None
    quote_id: int | None
    customer_id: int
    amount_minor: int
    currency: str
    method: PaymentMethod

    @property
    def what(self) -> str:
        return f"order {self.order_id}" if self.order_id is not None else f"quote {self.quote_id}"

    def is_that_of(self, row: Payment) -> bool:
        return all(getattr(row, name) == value for name, value in vars(self).items())


class PaymentRequests:
    """Payments of orders and renewals, before any money moves. Writes only ``db``; the caller commits.

    ``cards`` None: no gateway takes cards here.
    """

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, now: Clock, sales: SalesFacts, cards: CardsOnFile | None
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._sales = sales
        self._cards = cards

    async def of_order(
        self, *, order_id: int, amount: Decimal, payment_method: str, request_id: str | None
    ) -> RequestedPayment:
        """See ``BillingService.process_payment``."""
        faults = Faults("The payment")
        number = faults.number("order_id", order_id)
        request = faults.request_id(request_id)
        method = self._method(faults, payment_method)
        order = await self._sales.order(number) if number else None
        if number and order is None:
            faults.add("order_id", f"names no order: {order_id}")
        _refuse_other_amount(faults, amount, order)
        faults.refuse_if_any()
        assert order is not None, "an unknown order has left a fault"
        wish = _Wish(order_id, None, order.customer_id, order.total_minor, order.currency, method)
        if (standing := await self._standing(wish, request)) is not None:
            return standing
        if order.payment_terms == "postpaid":
            raise NothingToPay(wish.what, "it is paid after delivery, by invoice")
        if order.state in NOTHING_IS_BOUGHT:
            raise NothingToPay(wish.what, f"it is {order.state}")
        card = await self._card_of(order.customer_id) if method == "card" else None
        if method == "card" and card is None:
            faults.add("payment_method", f"is card, but customer {order.customer_id} has no card on file")
            faults.refuse_if_any()
        return await self._ask(wish, request, card)

    async def of_renewal(self, *, customer_id: int, quote_id: int, request_id: str | None) -> RequestedPayment:
        """See ``BillingService.process_renewal_payment``."""
        faults = Faults("The renewal's payment")
        faults.number("customer_id", customer_id)
        faults.number("quote_id", quote_id)
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        quote = await self._sales.quote(quote_id)
        if quote is None or quote.customer_id != customer_id:
            faults.add("quote_id", f"names no quote of customer {customer_id}: {quote_id}")
        elif quote.subscription_id is None or quote.renewal_term_months is None:
            faults.add("quote_id", f"names a quote that renews nothing: {quote_id}")
        faults.refuse_if_any()
        assert quote is not None, "an unknown quote has left a fault"
        return await self._renewal(quote, request, await self._card_of(customer_id))

    async def void(self, *, payment_id: int, reason: str) -> PaymentOutcome:
        """See ``BillingService.void_payment``."""
        faults = Faults("The withdrawal of a payment")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await locked_payment(self._db, self._tenant_id, payment_id)
        if row.state in OVER:
            return outcome_of(row)
        if row.state != "requested":
            raise PaymentWithGateway(payment_id, row.state)
        row.reason = why
        await move_on(self._db, row, Cancelled(), now=self._now())
        if self._cards is not None:
            await self._cards.forget_payment(payment_id)
        return outcome_of(row)

    async def _renewal(self, quote: QuoteFacts, request: str | None, card: StoredCard | None) -> RequestedPayment:
        """By the card on file if there is one, else by invoice; an earlier payment stands as it was asked for."""
        method: PaymentMethod = "invoice" if card is None else "card"
        live = await self._live(Payment.quote_id == quote.quote_id)
        if live is not None:
            method = live.method
        wish = _Wish(None, quote.quote_id, quote.customer_id, quote.total_minor, quote.currency, method)
        if (standing := await self._standing(wish, request)) is not None:
            return standing
        if quote.state != "accepted":
            raise NothingToPay(wish.what, f"it is {quote.state}, and only an accepted renewal is paid")
        return await self._ask(wish, request, card)

    async def _standing(self, wish: _Wish, request: str | None) -> RequestedPayment | None:
        """The live payment that this wish has already, if any."""
        if request is not None and (row := await self._live(Payment.request_id == request)) is not None:
            if not wish.is_that_of(row):
                raise RequestConflict(request, f"payment {row.id}")
            return _requested(row)
        subject = Payment.quote_id == wish.quote_id if wish.order_id is None else Payment.order_id == wish.order_id
        row = await self._live(subject)
        if row is None:
            return None
        if not wish.is_that_of(row):
            raise PaymentStands(wish.what, row.id, row.method, row.state)
        return _requested(row)

    async def _live(self, which: ColumnElement[bool]) -> Payment | None:
        found: Payment | None = await self._db.scalar(
            select(Payment)
            .where(Payment.tenant_id == self._tenant_id, which, Payment.state.not_in(OVER))
            .execution_options(populate_existing=True)
        )
        return found

    async def _ask(self, wish: _Wish, request: str | None, card: StoredCard | None) -> RequestedPayment:
        if wish.amount_minor <= 0:
            raise NothingToPay(wish.what, f"it comes to {shown_amount(wish.amount_minor, wish.currency)}")
        await require_customer(self._db, self._tenant_id, wish.customer_id)
        row = Payment(
            tenant_id=self._tenant_id,
            provider=PROVIDERS[wish.method],
            state="requested",
            # Not the number alone: a database restored or begun anew must never meet the payments of an earlier one.
            idempotency_key=f"payment/{self._tenant_id}/{random.token_hex(16)}",
            request_id=request,
            requested_at=self._now(),
            **vars(wish),
        )
        try:
            async with self._db.begin_nested():
                self._db.add(row)
                await self._db.flush()  # the constraints must speak here, and the id is the answer
        except IntegrityError as exc:
            if (standing := await self._standing(wish, request)) is not None:
                return standing
            raise ChangeRaced from exc
        if wish.method == "card":
            assert self._cards is not None and card is not None, "a payment by card without a card has left a fault"
            await self._cards.give_to_payment(row.id, card)
        return _requested(row)

    async def _card_of(self, customer_id: int) -> StoredCard | None:
        return None if self._cards is None else await self._cards.of_customer(customer_id)

    def _method(self, faults: Faults, given: object) -> PaymentMethod:
        """Not repeated if unknown: somebody may have put a card's number there."""
        if given not in METHODS:
            faults.add("payment_method", f"is none of {', '.join(METHODS)}")
            return "invoice"
        if given == "card" and self._cards is None:
            faults.add("payment_method", "is card, but no gateway that takes cards is set up")
        return given


def _refuse_other_amount(faults: Faults, amount: object, order: OrderFacts | None) -> None:
    if not isinstance(amount, Decimal) or not amount.is_finite():
        faults.add("amount", "is not a decimal amount")
    elif order is not None and amount != (total := to_decimal(order.total_minor, order.currency)):
        faults.add("amount", f"is {amount}, but order {order.order_id} comes to {total} {order.currency}")


def _requested(row: Payment) -> RequestedPayment:
    return RequestedPayment(
        payment_id=row.id,
        order_id=row.order_id,
        quote_id=row.quote_id,
        customer_id=row.customer_id,
        amount=to_decimal(row.amount_minor, row.currency),
        amount_minor=row.amount_minor,
        currency=row.currency,
        payment_method=row.method,
        provider=row.provider,
        state=row.state,
        idempotency_key=row.idempotency_key,
    )
