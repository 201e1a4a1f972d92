"""Subscriptions as renewals see them: whose, of which offer, at what price, until when."""

from __future__ import annotations

from dateutil.relativedelta import relativedelta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.errors import SubscriptionUnknown
from provisioning.commercial.quote_errors import RenewalTermsUnknown
from provisioning.commercial.renewals import RenewalTerms
from provisioning.commercial.selling_tables import Offer
from provisioning.commercial.tables import Subscription


async def renewal_terms(db: AsyncSession, tenant_id: str, subscription_id: int) -> RenewalTerms:
    """The terms of the one offer that sells the subscription's plan; its term counts from the first bill.

    Raises: SubscriptionUnknown, RenewalTermsUnknown (no plan, or not exactly one offer of it).
    """
    subscription = await db.scalar(
        select(Subscription).where(Subscription.tenant_id == tenant_id, Subscription.id == subscription_id)
    )
    if subscription is None:
        raise SubscriptionUnknown(subscription_id)
    if subscription.plan is None:
        raise RenewalTermsUnknown(subscription_id, "it names no plan")
    offers = list(
        await db.scalars(select(Offer).where(Offer.tenant_id == tenant_id, Offer.plan == subscription.plan).limit(2))
    )
    if len(offers) != 1:
        count = "no offer sells" if not offers else "several offers sell"
        raise RenewalTermsUnknown(subscription_id, f"{count} its plan {subscription.plan}")
    (offer,) = offers
    started_on = subscription.billing_started_at.date()
    return RenewalTerms(
        customer_id=subscription.customer_id,
        offer_id=offer.id,
        price_minor=offer.price_minor,
        currency=offer.currency,
        ends_on=started_on + relativedelta(months=offer.term_months),
        term_months=offer.term_months,
    )
