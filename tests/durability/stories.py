"""All stories by name; together they go through every step of every journey."""

from __future__ import annotations

from tests.durability.installing import Abandoned, Cancelled, Installed
from tests.durability.story import Story

INSTALLED, CANCELLED, ABANDONED = Installed(), Cancelled(), Abandoned()
STORIES: dict[str, Story] = {story.name: story for story in (INSTALLED, CANCELLED, ABANDONED)}
