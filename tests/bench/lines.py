"""The arithmetic of a measurement, and the one form in which every bench says what it has seen."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tally:
    """What the clients of one window did: how long each operation took, by client."""

    took_ms: Sequence[Sequence[float]]

    @property
    def every_ms(self) -> list[float]:
        return [each for of_client in self.took_ms for each in of_client]

    @property
    def rate_per_s(self) -> float:
        """Operations a second of all clients together, each by the time that it was at it: what a client does between
        two operations, untimed, is no part of it."""
        return sum(len(each) / sum(each) * 1000 for each in self.took_ms if each)


@dataclass(frozen=True)
class Pair:
    """Two windows, one right after the other: a bare INSERT, and what is measured against it."""

    floor: Tally
    ours: Tally

    @property
    def ratio(self) -> float | None:
        """How many bare INSERTs one operation costs; None where a window has seen nothing."""
        if not self.floor.rate_per_s or not self.ours.rate_per_s:
            return None
        return self.floor.rate_per_s / self.ours.rate_per_s


def percentile(took: Sequence[float], share: float) -> float:
    """The smallest of them below or at which that share of them lies (nearest rank)."""
    ranked = sorted(took)
    rank = -(-len(ranked) * round(share * 1000) // 1000)
    return ranked[max(rank, 1) - 1]


def told(bench: str, pairs: Sequence[Pair], **facts: Any) -> dict[str, Any]:
    """The line of a bench that has a floor: the ratio and both rates are the medians of its runs, the percentiles are
    those of all its operations."""
    counted = [pair for pair in pairs if pair.ratio is not None]
    took = [each for pair in counted for each in pair.ours.every_ms]
    line: dict[str, Any] = {"bench": bench, **facts}
    if counted:
        line |= {
            "ratio": round(statistics.median(pair.ratio or 0.0 for pair in counted), 2),
            "floor": round(statistics.median(pair.floor.rate_per_s for pair in counted), 1),
            "rate_per_s": round(statistics.median(pair.ours.rate_per_s for pair in counted), 1),
            **percentiles(took),
        }
    return {**line, "runs": len(counted), "operations": len(took)}


def percentiles(took_ms: Sequence[float]) -> dict[str, float]:
    return {"p50_ms": round(percentile(took_ms, 0.5), 2), "p99_ms": round(percentile(took_ms, 0.99), 2)}


def say(line: dict[str, Any]) -> None:
    """One JSON object, one line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
