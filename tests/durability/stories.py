"""All stories by name. None waits for days: reminders and ends on a later day are in the journeys' tests."""

from __future__ import annotations

from tests.durability.commerce import (
    Delivered,
    Onboarded,
    OnboardingUndone,
    OrderUndone,
    PartnerServed,
    PartnerUndone,
    RenewalUndone,
    Renewed,
)
from tests.durability.installing import Abandoned, Cancelled, Installed
from tests.durability.leaving import Terminated
from tests.durability.story import Story

INSTALLED, CANCELLED, ABANDONED, TERMINATED = Installed(), Cancelled(), Abandoned(), Terminated()
COMMERCE = (
    Onboarded(),
    OnboardingUndone(),
    Delivered(),
    OrderUndone(),
    PartnerServed(),
    PartnerUndone(),
    Renewed(),
    RenewalUndone(),
)
STORIES: dict[str, Story] = {story.name: story for story in (INSTALLED, CANCELLED, ABANDONED, TERMINATED, *COMMERCE)}
