"""What partners earn: recorded once per customer, type and source, reversed by a row of its own, paid once.

A percentage is of what the customer pays. It is computed in minor units and rounded half up, to the partner's favour:
10 % of 0.05 EUR is 0.01 EUR. Basis points are hundredths of a percent.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import cast, get_args

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.money import MoneyError, in_words, to_decimal, to_minor
from provisioning.commercial.partners.partner_customers import require_partner_customer
from provisioning.commercial.partners.partner_errors import (
    CommissionNotAgreed,
    CommissionPaid,
    CommissionRecorded,
    CommissionReversed,
    CommissionUnknown,
    PartnerUnknown,
)
from provisioning.commercial.partners.partner_tables import Commission, Partner
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import CommissionType, RecordedCommission

NEW_CUSTOMER = "new_customer"
LONGEST_REASON = 500
LONGEST_LIST = 500


@dataclass(frozen=True)
class Earning:
    """A commission as it is wanted, in minor units of the partner's currency."""

    partner_id: int
    customer_id: int
    commission_type: CommissionType
    source: str
    base_minor: int
    amount_minor: int
    currency: str


class Commissions:
    """The commissions of one ISP's partners. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def record(
        self,
        *,
        partner_id: int,
        customer_id: int,
        commission_type: str,
        amount: Decimal,
        source: str = NEW_CUSTOMER,
        request_id: str | None = None,
    ) -> RecordedCommission:
        """Raises: as ``PartnerService.record_commission``."""
        faults = Faults("The commission")
        faults.number("partner_id", partner_id)
        faults.number("customer_id", customer_id)
        if commission_type not in get_args(CommissionType):
            faults.add("commission_type", f"{commission_type} is none of {', '.join(get_args(CommissionType))}")
        what_for = faults.line("source", source, longest=100)
        request = faults.request_id(request_id)
        partner = await self._db.get(Partner, (self._tenant_id, partner_id), populate_existing=True)
        given = read_amount(faults, "amount", amount, partner.currency if partner else "EUR")
        faults.refuse_if_any()
        if partner is None:
            raise PartnerUnknown(partner_id)
        wanted = (partner_id, customer_id, commission_type, what_for, given)
        if (known := await self._requested(wanted, request)) is not None:
            return known
        await require_partner_customer(self._db, self._tenant_id, partner_id, customer_id)
        earning = _earned(partner, customer_id, commission_type, what_for, given)
        if (known := await self._recorded(earning)) is not None:
            return known
        try:
            async with self._db.begin_nested():
                return _recorded(await self._insert(earning, request))
        except IntegrityError as exc:
            if (known := await self._requested(wanted, request)) is not None:
                return known
            if (known := await self._recorded(earning)) is not None:
                return known
            raise ChangeRaced from exc

    async def reverse(self, *, commission_id: int, reason: str) -> RecordedCommission:
        """Raises: InvalidRequest, CommissionUnknown, CommissionPaid."""
        faults = Faults("The reversal")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await self._commission(commission_id)
        if row.state == "paid":
            raise CommissionPaid(row.id, row.paid_at, row.payment_reference)
        if row.state == "accrued":
            row.state, row.reason = "reversed", why
            await self._db.flush()  # the row is locked: whoever reverses it too finds it reversed
            await self._db.execute(
                insert(Commission).values(
                    tenant_id=self._tenant_id,
                    partner_id=row.partner_id,
                    customer_id=row.customer_id,
                    commission_type=row.commission_type,
                    source=row.source,
                    base_minor=-row.base_minor,
                    amount_minor=-row.amount_minor,
                    currency=row.currency,
                    state="reversed",
                    recorded_at=self._now(),
                    reverses_id=row.id,
                    reason=why,
                )
            )
        return _recorded(row)

    async def pay(self, *, commission_id: int, reference: str) -> RecordedCommission:
        """Raises: InvalidRequest, CommissionUnknown, CommissionReversed, CommissionPaid (under another reference)."""
        faults = Faults("The payment of a commission")
        paid_as = faults.line("reference", reference)
        faults.refuse_if_any()
        row = await self._commission(commission_id)
        if row.state == "reversed":
            raise CommissionReversed(row.id, row.reason)
        if row.state == "paid" and row.payment_reference != paid_as:
            raise CommissionPaid(row.id, row.paid_at, row.payment_reference)
        if row.state == "accrued":
            row.state, row.paid_at, row.payment_reference = "paid", self._now(), paid_as
            await self._db.flush()
        return _recorded(row)

    async def of_partner(
        self, partner_id: int, *, after_id: int = 0, limit: int = LONGEST_LIST
    ) -> list[RecordedCommission]:
        """The partner's commissions as they were recorded, reversals among them, a page at a time (``after_id``)."""
        rows = await self._db.scalars(
            select(Commission)
            .where(
                Commission.tenant_id == self._tenant_id,
                Commission.partner_id == partner_id,
                Commission.id > after_id,
            )
            .order_by(Commission.id)
            .limit(min(limit, LONGEST_LIST))
        )
        return [_recorded(row) for row in rows]

    async def _requested(
        self, wanted: tuple[int, int, str, str, int], request_id: str | None
    ) -> RecordedCommission | None:
        """The commission that this request has, if any: on the terms of its time, whatever was agreed since."""
        if request_id is None:
            return None
        row = await self._db.scalar(
            select(Commission).where(Commission.tenant_id == self._tenant_id, Commission.request_id == request_id)
        )
        if row is None:
            return None
        if (row.partner_id, row.customer_id, row.commission_type, row.source, row.base_minor) != wanted:
            raise RequestConflict(request_id, f"commission {row.id}")
        if row.state == "reversed":
            raise CommissionReversed(row.id, row.reason)
        return _recorded(row)

    async def _recorded(self, earning: Earning) -> RecordedCommission | None:
        """The commission that stands for this customer, type and source, if any; another amount is refused."""
        row = await self._db.scalar(
            select(Commission).where(
                Commission.tenant_id == self._tenant_id,
                Commission.partner_id == earning.partner_id,
                Commission.customer_id == earning.customer_id,
                Commission.commission_type == earning.commission_type,
                Commission.source == earning.source,
                Commission.state != "reversed",
            )
        )
        if row is None:
            return None
        if (row.amount_minor, row.currency) != (earning.amount_minor, earning.currency):
            raise CommissionRecorded(row.id, row.customer_id, in_words(row.amount_minor, row.currency))
        return _recorded(row)

    async def _insert(self, earning: Earning, request_id: str | None) -> Commission:
        row: Commission | None = await self._db.scalar(
            insert(Commission)
            .values(
                tenant_id=self._tenant_id,
                state="accrued",
                recorded_at=self._now(),
                request_id=request_id,
                **vars(earning),
            )
            .returning(Commission)
        )
        assert row is not None
        return row

    async def _commission(self, commission_id: int) -> Commission:
        """An original, never a reversal, locked."""
        row = await self._db.scalar(
            select(Commission)
            .where(
                Commission.tenant_id == self._tenant_id,
                Commission.id == commission_id,
                Commission.reverses_id.is_(None),
            )
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise CommissionUnknown(commission_id)
        return row


def read_amount(faults: Faults, field: str, value: object, currency: str) -> int:
    """A positive amount of that currency in minor units; what is none goes to ``faults``."""
    try:
        minor = to_minor(cast(Decimal, value), currency)
    except MoneyError as error:
        faults.add(field, f"can't be meant: {error}")
        return 0
    if not minor:
        faults.add(field, "is nothing")
    return minor


def signed_amount(minor: int, currency: str) -> Decimal:
    """An amount that may have been taken back, and is negative then."""
    return to_decimal(minor, currency) if minor >= 0 else -to_decimal(-minor, currency)


def share_of(amount_minor: int, basis_points: int) -> int:
    """That share of an amount, in whole minor units, half a unit rounded up."""
    share = Decimal(amount_minor * basis_points) / 10_000
    return int(share.to_integral_value(ROUND_HALF_UP))


def _earned(partner: Partner, customer_id: int, commission_type: str, source: str, given_minor: int) -> Earning:
    """Raises: CommissionNotAgreed."""
    if commission_type != partner.commission_type:
        raise CommissionNotAgreed(partner.id, f"a {partner.commission_type} commission", f"a {commission_type} one")
    if partner.commission_basis_points is not None:
        amount = share_of(given_minor, partner.commission_basis_points)
    else:
        assert partner.commission_fixed_minor is not None, "a fixed commission has its amount, by constraint"
        amount = partner.commission_fixed_minor
        if given_minor != amount:
            agreed, wanted = (in_words(minor, partner.currency) for minor in (amount, given_minor))
            raise CommissionNotAgreed(partner.id, agreed, wanted)
    return Earning(
        partner_id=partner.id,
        customer_id=customer_id,
        commission_type=partner.commission_type,
        source=source,
        base_minor=given_minor,
        amount_minor=amount,
        currency=partner.currency,
    )


def _recorded(row: Commission) -> RecordedCommission:
    return RecordedCommission(
        commission_id=row.id,
        partner_id=row.partner_id,
        customer_id=row.customer_id,
        commission_type=row.commission_type,
        amount=signed_amount(row.amount_minor, row.currency),
        amount_minor=row.amount_minor,
        currency=row.currency,
        state=row.state,
    )
