"""Many deaths in few runs: one worker after the other dies in the same run, since a run costs more than a death.

An instant is counted anew with every worker, so that the one for the second death of a run is not the n-th of a run
without a death: it is told by what the second worker goes through until then, which is what the first had not finished
and then the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.durability.story import step_of
from tests.support.worker_process import Instant

DEATHS_IN_A_ROW = 12
CLAIM = ("claim.in_tx", "claim.committed")


Row = tuple[tuple[Instant, ...], list[Instant]]
"""Deaths in one run, and the instants of a run without a death that they are."""


def rows_of(trace: Sequence[str], instants: Sequence[Instant], *, in_a_row: int = DEATHS_IN_A_ROW) -> Iterator[Row]:
    """A death at each of these instants of ``trace`` (a run without one), those of a row as far apart as can be."""
    points = [point for point in trace if not point.startswith("!")]
    places = sorted(_place(points, instant) for instant in instants)
    rows = -(-len(places) // in_a_row)
    for number in range(rows):
        row = places[number::rows]
        while row:
            at, covered = _in_one_run(points, row)
            yield at, [_instant(points, place) for place in covered]
            row = [place for place in row if place not in covered]


def _in_one_run(points: Sequence[str], row: Sequence[int]) -> tuple[tuple[Instant, ...], list[int]]:
    """The deaths of one run, and which of the row's places they are."""
    at, covered = [_instant(points, row[0])], [row[0]]
    for place in row[1:]:
        following = _after_a_death(points, covered[-1], place)
        if following is not None:
            at.append(following)
            covered.append(place)
    return tuple(at), covered


def _after_a_death(points: Sequence[str], died: int, place: int) -> Instant | None:
    """Which instant this place is to the worker that goes on after a death; None if nobody can tell."""
    point = points[place]
    if points.count(point) == 1 and step_of(point) not in (step_of(points[died]), "claim"):
        return Instant(point)
    again = _done_again(points, died)
    if again is None or point.startswith("commit("):
        return None
    return Instant(point, again.count(point) + points[died + 1 : place + 1].count(point))


def _done_again(points: Sequence[str], died: int) -> list[str] | None:
    """What the next worker goes through a second time: its claim, and the step that has no result yet. None: it was
    lost outside of any step, where only the queue knows."""
    point, step = points[died], step_of(points[died])
    if point == CLAIM[0]:
        return [point]
    if point.endswith(".committed"):
        return list(CLAIM) if _goes_on(points, died) else []
    if step in ("worker", "segment"):
        return None
    begun = max(n for n in range(died + 1) if points[n] == f"{step}.before")
    return [*CLAIM, *(each for each in points[begun : died + 1] if not each.startswith("commit("))]


def _goes_on(points: Sequence[str], died: int) -> bool:
    """Whether its segment has more to do; else the run rests, and nobody claims it before it is woken."""
    ahead = (each for each in points[died + 1 :] if not each.startswith("commit("))
    return next(ahead, CLAIM[0]) != CLAIM[0]


def _place(points: Sequence[str], instant: Instant) -> int:
    """Where it is in the trace. Raises: IndexError if it is not there."""
    return [n for n, point in enumerate(points) if point == instant.point][instant.nth - 1]


def _instant(points: Sequence[str], place: int) -> Instant:
    return Instant(points[place], points[: place + 1].count(points[place]))
