"""How carefully a campaign goes about it, as an operator says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import Any

from acs.campaigns.pacing import Window

DAY_SECONDS = 86_400
LONGEST_PATIENCE_SECONDS = 30 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Pace:
    """``canary`` CPEs first, alone (0: none), then ``batch_size`` at once; it stops when more than
    ``most_failed_percent`` fail. A CPE is given ``patience_seconds``. ``window``: when CPEs may be sent anything, by
    the ISP's clock, both ends times of day.
    """

    canary: int = 5
    batch_size: int = 50
    most_failed_percent: int = 10
    patience_seconds: int = DAY_SECONDS
    window: tuple[time, time] | None = None

    @property
    def faults(self) -> list[str]:
        """What is wrong with it, each in words."""
        wrong = {
            "the canaries are 0 or more": self.canary < 0,
            "a batch is 1 CPE or more": self.batch_size < 1,
            "the most that may fail is 0 to 100 percent": not 0 <= self.most_failed_percent <= 100,
            "patience is a minute to 30 days": not 60 <= self.patience_seconds <= LONGEST_PATIENCE_SECONDS,
            "a window begins and ends at different times": self.window is not None and Window(*self.window).is_empty,
        }
        return [fault for fault, holds in wrong.items() if holds]

    def as_columns(self) -> dict[str, Any]:
        begins, ends = self.window or (None, None)
        return {
            "canary": self.canary,
            "batch_size": self.batch_size,
            "most_failed_percent": self.most_failed_percent,
            "patience_seconds": self.patience_seconds,
            "window_begins": begins,
            "window_ends": ends,
        }
