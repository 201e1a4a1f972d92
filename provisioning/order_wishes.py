"""What an acceptance wishes of its order, read and looked up before anybody says yes: a wish that can't be met would
hold the order when it is paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.notices.notice_errors import TeamError
from provisioning.commercial.notices.teams import require_channel
from provisioning.commercial.scheduling.wanted_deployment import find_time_fault
from provisioning.intake import Clock, Faults, faults_of
from workflows import sound_parts
from workflows.definitions.ordering import OrderWishes

WHAT = "The acceptance"
TEAM, CHANNEL = "team", "channel"


@dataclass(frozen=True)
class OrderTerms:
    """How this ISP carries orders out: who is told of them unless an acceptance says otherwise, by which channel, and
    in which zone its days are."""

    team: str
    channel: str
    zone: ZoneInfo


def read_wishes(faults: Faults, wishes: Mapping[str, Any]) -> OrderWishes:
    """The wishes; of malformed ones, which are added to the faults, those that are sound."""
    try:
        return OrderWishes.model_validate(wishes)
    except ValidationError as error:
        faults.add_all(faults_of(error, whole=TEAM))
        return sound_wishes(sound_parts(dict(wishes), error))


def sound_wishes(parts: Mapping[str, Any]) -> OrderWishes:
    """Those among these well formed parts; a team or channel that the other one is missing of says nothing."""
    told = {name: value for name, value in parts.items() if name in OrderWishes.model_fields}
    if (told.get(TEAM) is None) != (told.get(CHANNEL) is None):
        told = {name: value for name, value in told.items() if name not in (TEAM, CHANNEL)}
    return OrderWishes.model_validate(told)


class WishChecks:
    """Looks wishes up. Reads only ``db``."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, terms: OrderTerms) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._terms = terms

    def find_time_fault(self, faults: Faults, wishes: OrderWishes) -> None:
        """Nobody can come then any more, or anybody says yet."""
        find_time_fault(faults, wishes.scheduled_date, now=self._now(), zone=self._terms.zone)

    async def find_team_fault(self, faults: Faults, wishes: OrderWishes) -> None:
        """Nobody could be told of the order like that."""
        settled = (self._terms.team, self._terms.channel)
        team, channel = (wishes.team, wishes.channel) if wishes.team and wishes.channel else settled
        try:
            await require_channel(self._db, self._tenant_id, team, channel)
        except TeamError as error:
            faults.add("FIRSTLIGHT_ORDER_TEAM" if (team, channel) == settled else TEAM, str(error))
