"""All stories by name: together they go the ways that the journeys have for people who do what they should, or not."""

from __future__ import annotations

from tests.durability.commerce import Onboarded, OnboardingUndone, PartnerServed, PartnerUndone
from tests.durability.installing import Abandoned, Cancelled, Installed, InstalledLater, Unvisited
from tests.durability.leaving import LeftOnItsDay, LeftWithoutCpe, Stays, Terminated
from tests.durability.ordering import Delivered, OrderUndone, PaidLater, PaidOtherwise
from tests.durability.renewing import PaidBack, Reminded, RenewalUndone, Renewed, Unanswered
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
STORIES: dict[str, Story] = {story.name: story for story in (INSTALLED, CANCELLED, ABANDONED, *OTHERS)}
