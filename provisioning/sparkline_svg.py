"""A line of numbers over time, small enough to stand in a sentence, as SVG: drawn from numbers alone.

It holds no style and no script, so it may stand in a page under any policy; it takes the colour of the text around it.
Whoever can't see it is read its label.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

WIDTH, HEIGHT, MARGIN = 160, 36, 3


def sparkline_svg(points: Sequence[tuple[float, float]], label: str, *, most: float | None = None) -> str:
    """The line through ``points`` (when, how much), the oldest first, as an element of HTML. It stands on nothing, and
    ends above at ``most``, or at the largest of them. Of fewer than two points there is no line: that is an empty text.
    """
    if len(points) < 2:
        return ""
    first, last = points[0][0], points[-1][0]
    top = max(most or 0.0, *(value for _, value in points)) or 1.0
    across, up = (WIDTH - 2 * MARGIN) / ((last - first) or 1.0), (HEIGHT - 2 * MARGIN) / top
    drawn = [(MARGIN + (when - first) * across, HEIGHT - MARGIN - value * up) for when, value in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
    x, y = drawn[-1]
    return (
        f'<svg class="spark" role="img" aria-label={quoteattr(label)} viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}">'
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="currentColor"/></svg>'
    )
