"""What the books say of money: the appliance's own, and Stripe's."""

from __future__ import annotations

from typing import Any

from tests.durability.story import Played
from tests.support.estate import Household


async def money(played: Played, house: Household, asked_in: str) -> dict[str, Any]:
    """The customer's payments, and what Stripe has taken for the run's last one and given back."""
    mine = await intents(played, asked_in)
    refunds = played.shop.stripe.account.refunds
    return {
        "payments": [one.state for one in await played.shop.payments(house)],
        "money taken": [intent["amount"] for intent in mine if intent["status"] == "succeeded"],
        "money back": [one["amount"] for one in refunds if one["payment_intent"] in {intent["id"] for intent in mine}],
    }


async def intents(played: Played, asked_in: str) -> list[dict[str, Any]]:
    """What Stripe has of the payment that this step has asked for; two for one payment would be one too many."""
    asked = await played.run.result(asked_in)
    if asked is None:
        return []
    account = played.shop.stripe.account
    return [one for one in account.intents.values() if asked["idempotency_key"] in one["metadata"].values()]
