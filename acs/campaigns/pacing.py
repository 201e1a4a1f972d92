"""What a campaign does next, decided from its terms, its counts and the time. Pure: no database, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

MemberState = Literal["waiting", "under_way", "done", "failed", "unreached", "skipped"]
"""Of one CPE in a campaign. ``unreached``: not heard in time; no fault of the change, and it takes it when it reports.
``skipped``: it was no longer what the campaign is for when its turn came."""
ENDED: tuple[MemberState, ...] = ("done", "failed", "unreached", "skipped")
FEW = 5
"""Without canaries a rate of faults says something when this many have ended."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time of day, by the ISP's clock, in which CPEs may be changed; it may go over midnight."""

    begins: time
    ends: time

    def is_open(self, at: datetime, zone: ZoneInfo) -> bool:
        now = at.astimezone(zone).time()
        if self.begins <= self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends

    def opens_next(self, at: datetime, zone: ZoneInfo) -> datetime:
        """When it opens, in UTC, for a moment at which it is closed."""
        local = at.astimezone(zone)
        today = local.replace(
            hour=self.begins.hour, minute=self.begins.minute, second=self.begins.second, microsecond=0, fold=0
        )
        opens = today if today > local else (today + timedelta(days=1)).replace(fold=0)
        return opens.astimezone(at.tzinfo)

    def closes_next(self, at: datetime, zone: ZoneInfo) -> datetime:
        """When it closes, in UTC, for a moment at which it is open."""
        return Window(self.ends, self.begins).opens_next(at, zone)

    @property
    def is_empty(self) -> bool:
        return self.begins == self.ends

    @property
    def words(self) -> str:
        return f"{self.begins:%H:%M}-{self.ends:%H:%M}"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a campaign goes about it.

    ``canary``: how many CPEs go first, alone; 0 for none. ``batch_size``: how many are under way at once after that.
    ``most_failed_percent``: of those that ended done or failed; above it the campaign stops.
    """

    canary: int
    batch_size: int
    most_failed_percent: int
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many CPEs of a campaign are in each state."""

    waiting: int = 0
    under_way: int = 0
    done: int = 0
    failed: int = 0
    unreached: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        return self.waiting + self.under_way + self.ended

    @property
    def ended(self) -> int:
        return self.done + self.failed + self.unreached + self.skipped

    @property
    def judged(self) -> int:
        """Those that tell something about the change itself."""
        return self.done + self.failed

    @property
    def failed_percent(self) -> float:
        return 100 * self.failed / self.judged if self.judged else 0.0


@dataclass(frozen=True, slots=True)
class Begin:
    """This many of those that wait begin now."""

    how_many: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to begin now, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """No further CPE is begun until a person has looked."""

    reason: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Every CPE has ended."""


Next = Begin | Wait | Stop | Complete


def what_is_next(terms: Terms, counts: Counts, *, pardoned: Counts, at: datetime, zone: ZoneInfo) -> Next:
    """What a running campaign does now.

    ``pardoned``: how it stood when a person last let it go on after a stop; what failed before that is not held against
    it again. The canaries are judged when all of them have ended: one that came through lets the others follow.
    """
    since = Counts(done=counts.done - pardoned.done, failed=counts.failed - pardoned.failed)
    is_enough = since.judged >= (terms.canary or FEW) or not counts.under_way
    if is_enough and since.failed_percent > terms.most_failed_percent:
        return Stop(f"{since.failed} of {since.judged} CPEs failed, which is more than {terms.most_failed_percent} %.")
    if not counts.waiting:
        return Wait(f"{counts.under_way} CPEs are under way, none waits.") if counts.under_way else Complete()
    begun = counts.total - counts.waiting
    if begun < terms.canary:
        return _begin(terms, min(terms.canary - begun, counts.waiting), at, zone)
    if counts.ended < terms.canary:
        first = "The first CPE is" if terms.canary == 1 else f"The first {terms.canary} CPEs are"
        return Wait(f"{first} looked at before the others follow.")
    if terms.canary and not counts.done and not pardoned.total:
        return Stop(f"None of the first {counts.ended} CPEs has come through, so the others were left alone.")
    free = terms.batch_size - counts.under_way
    if free <= 0:
        return Wait(f"{counts.under_way} CPEs are under way, as many as may be at once.")
    return _begin(terms, min(free, counts.waiting), at, zone)


def _begin(terms: Terms, how_many: int, at: datetime, zone: ZoneInfo) -> Begin | Wait:
    if terms.window is None or terms.window.is_open(at, zone):
        return Begin(how_many)
    opens = terms.window.opens_next(at, zone)
    return Wait(f"Outside of its window {terms.window.words}, which opens at {opens:%Y-%m-%d %H:%M} UTC.")
