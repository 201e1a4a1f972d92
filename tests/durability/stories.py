"""All stories by name: together they go the ways that the journeys have for people who do what they should, or not."""

from __future__ import annotations

from tests.durability.commerce import (
    LeadRejected,
    Onboarded,
    OnboardingUndone,
    PartnerOutsold,
    PartnerRejected,
    PartnerServed,
    PartnerUndone,
)
from tests.durability.installing import Abandoned, Cancelled, Installed, InstalledLater, Unvisited
from tests.durability.leaving import LeftOnItsDay, LeftWithoutCpe, SilentNas, Stays, Terminated
from tests.durability.lines import LineByHand, LineByWebhook, PortMismatch
from tests.durability.ordering import CardDeclined, Delivered, OrderUndone, PaidLater, PaidOtherwise
from tests.durability.renewing import PaidBack, Reminded, RenewalUndone, Renewed, Unanswered
from tests.durability.sharing import LineDropped, OneScan
from tests.durability.story import Story

INSTALLED, CANCELLED, ABANDONED = Installed(), Cancelled(), Abandoned()
OTHERS: tuple[Story, ...] = (
    Onboarded(),
    OnboardingUndone(),
    Delivered(),
    OrderUndone(),
    PaidLater(),
    PaidOtherwise(),
    PartnerServed(),
    PartnerUndone(),
    Renewed(),
    Reminded(),
    Unanswered(),
    RenewalUndone(),
    PaidBack(),
    InstalledLater(),
    Unvisited(),
    Terminated(),
    LeftOnItsDay(),
    LeftWithoutCpe(),
    Stays(),
)
TROUBLES: tuple[Story, ...] = (
    LeadRejected(),
    PartnerRejected(),
    PartnerOutsold(),
    CardDeclined(),
    LineByHand(),
    LineByWebhook(),
    PortMismatch(),
    SilentNas(),
    LineDropped(),
    OneScan(),
)
"""Where somebody says no, says nothing, or is content with less: played in the full sweep alone."""
STORIES: dict[str, Story] = {story.name: story for story in (INSTALLED, CANCELLED, ABANDONED, *OTHERS, *TROUBLES)}
