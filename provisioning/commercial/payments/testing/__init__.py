"""A double of Stripe's API over real HTTP, with its bad days: for the laboratory and the tests."""

from provisioning.commercial.payments.testing.stripe_account import Quirk, StripeAccount, Webhook
from provisioning.commercial.payments.testing.stripe_double import StripeDouble

__all__ = ["Quirk", "StripeAccount", "StripeDouble", "Webhook"]
