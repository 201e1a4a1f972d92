"""A picture of where a pool's units are used, as SVG: drawn from numbers alone, for a file, a door or a page.

It holds no script, no style sheet and no address of anything else, so it may stand in a page under any policy. Its
colours are for white paper; a page has its own, by the class ``occupation`` and those of the ground and of each state.

Each square is a stack of what its units are; squares that are alike become one bar. The title of each says from where
to where, and how many there are of each.

In a page it has as many squares as stay light: of a pool that is given out in crumbs neighbours are put together there,
and its heading says how many make a square. A file has them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Literal, get_args
from xml.sax.saxutils import escape, quoteattr

from ipam import Occupation, OccupationCell

State = Literal["assigned", "cooling", "reserved", "draining", "excluded", "free"]
STATES: tuple[State, ...] = get_args(State)
Heights = tuple[tuple[State, float], ...]
COLOURS: dict[State, str] = {
    "assigned": "#2563a8",
    "cooling": "#e0a030",
    "reserved": "#8a4fb0",
    "draining": "#c44e4e",
    "excluded": "#9a9a9a",
    "free": "#e4ebe4",
}
"""Told apart also by who sees no red and green, and in the legend by words."""
NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'
SQUARE = 14
GAP = 1
LEAST = 1.0
"""How tall a state is drawn at least, if anything is in it."""
COLUMNS = 32
MARGIN = 12
LINE = 18
CHARACTER = 7.3
"""How wide a letter of the labels is at most, in the same unit as all else: a pixel at the usual size."""
HEAVIEST_IN_PAGE = 128 * 1024
"""In octets: with all that a page loads besides it stays below 200 KB."""


def occupation_svg(occupation: Occupation) -> str:
    """The whole picture as one element, to be served as ``image/svg+xml``."""
    return _drawn(occupation, NAMESPACE)


def occupation_in_page(occupation: Occupation) -> str:
    """The picture as an element of a page: light enough, and without a namespace, which would be the address of
    something else."""
    shown = occupation
    while len((drawn := _drawn(shown, "")).encode()) > HEAVIEST_IN_PAGE and len(shown["cells"]) > 1:
        shown = _coarser(shown)
    return drawn


def _coarser(occupation: Occupation) -> Occupation:
    """Of two neighbours one square."""
    cells = occupation["cells"]
    pairs = [_together(cells[start : start + 2]) for start in range(0, len(cells), 2)]
    return {**occupation, "units_per_cell": 2 * occupation["units_per_cell"], "cells": pairs}


def _together(cells: list[OccupationCell]) -> OccupationCell:
    together = cells[0].copy()
    together["last"] = cells[-1]["last"]
    together.update(_counts(cells))  # type: ignore[typeddict-item]
    return together


def _drawn(occupation: Occupation, namespace: str) -> str:
    cells = occupation["cells"]
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    heading, legend = _heading(occupation), _counts(cells)
    labels = max((len(row[0]["first"]) for row in rows), default=0) * CHARACTER + MARGIN
    top = MARGIN + 2 * LINE
    below = top + len(rows) * SQUARE + LINE
    step = max(len(f"{units} {state}") for state, units in legend.items()) * CHARACTER + 2 * SQUARE
    width = max(labels + COLUMNS * SQUARE, *(len(line) * CHARACTER for line in heading), len(legend) * step)
    width += 2 * MARGIN
    height = below + LINE
    title = " ".join(heading)
    return "\n".join(
        [
            f'<svg{namespace} class="occupation" role="img" aria-label={quoteattr(title)}'
            f' viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}"'
            ' font-family="monospace" font-size="12" color="#222222">',
            f"<title>{escape(title)}</title>",
            f'<rect class="ground" width="{width:.0f}" height="{height}" fill="#ffffff"/>',
            *(_text(MARGIN, MARGIN + (number + 1) * LINE - 6, line) for number, line in enumerate(heading)),
            *(line for number, row in enumerate(rows) for line in _row(row, labels + MARGIN, top + number * SQUARE)),
            *_legend_lines(legend, below, step),
            "</svg>",
            "",
        ]
    )


def _heading(occupation: Occupation) -> tuple[str, str]:
    role = f", {occupation['role']}" if occupation["role"] else ""
    each = occupation["units_per_cell"]
    square = "one" if each == 1 else str(each)
    return (
        f"{occupation['pool']}: {occupation['network']} ({occupation['kind']}{role})",
        f"{occupation['units']} in all, a square is {square}",
    )


def _counts(cells: list[OccupationCell]) -> dict[State, int]:
    return {state: sum(cell[state] for cell in cells) for state in STATES}


def _row(row: list[OccupationCell], left: float, top: float) -> Iterator[str]:
    yield _text(MARGIN, top + SQUARE - 3, row[0]["first"])
    column = 0
    for heights, alike in groupby(row, key=_heights):
        cells = list(alike)
        yield f"<g><title>{escape(_told(cells))}</title>"
        yield from _stack(heights, left + column * SQUARE, top, len(cells) * SQUARE - GAP)
        yield "</g>"
        column += len(cells)


def _heights(cell: OccupationCell) -> Heights:
    """How tall each state that is there is drawn. However few it is of, it is seen: what that takes is the tallest's.

    Squares of the same heights are of the same look, and none that has something of a state is like one without.
    """
    units, height = sum(cell[state] for state in STATES), float(SQUARE - GAP)
    tall = {state: max(round(height * cell[state] / units, 1), LEAST) for state in STATES if cell[state]}
    tallest = max(tall, key=tall.__getitem__)
    tall[tallest] = round(tall[tallest] + height - sum(tall.values()), 1)
    return tuple(tall.items())


def _stack(heights: Heights, left: float, top: float, width: float) -> Iterator[str]:
    """From below, on a ground of what is free. What is all there is needs no ground."""
    foot = top + SQUARE - GAP
    if any(state == "free" for state, _ in heights):
        yield _bar(left, top, width, SQUARE - GAP, "free")
    for state, tall in heights:
        if state != "free":
            foot -= tall
            yield _bar(left, foot, width, tall, state)


def _told(cells: list[OccupationCell]) -> str:
    first, last = cells[0]["first"], cells[-1]["last"]
    numbers = _counts(cells)
    where = first if first == last else f"{first} to {last}"
    return f"{where}: {', '.join(f'{number} {state}' for state, number in numbers.items() if number)}"


def _legend_lines(legend: dict[State, int], top: float, step: float) -> Iterator[str]:
    for number, (state, units) in enumerate(legend.items()):
        left = MARGIN + number * step
        yield _bar(left, top, SQUARE - GAP, SQUARE - GAP, state)
        yield _text(left + SQUARE + 4, top + SQUARE - 3, f"{units} {state}")


def _bar(left: float, top: float, width: float, height: float, state: State) -> str:
    where = f'x="{_short(left)}" y="{_short(top)}" width="{_short(width)}" height="{_short(height)}"'
    return f'<rect class="{state}" {where} fill="{COLOURS[state]}"/>'


def _text(left: float, base: float, words: str) -> str:
    return f'<text x="{_short(left)}" y="{_short(base)}" fill="currentColor">{escape(words)}</text>'


def _short(length: float) -> str:
    return f"{length:.1f}".removesuffix(".0")
