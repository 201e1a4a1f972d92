"""A small line: it goes through its points, says what it shows, and holds nothing that could do anything."""

from __future__ import annotations

from xml.etree import ElementTree

from provisioning.sparkline_svg import HEIGHT, MARGIN, WIDTH, sparkline_svg


def drawn(points: list[tuple[float, float]], *, most: float | None = None) -> list[tuple[float, ...]]:
    line = ElementTree.fromstring(sparkline_svg(points, "x", most=most)).find("polyline")
    assert line is not None
    return [tuple(map(float, pair.split(","))) for pair in str(line.get("points")).split()]


def test_a_line_begins_left_ends_right_and_is_as_high_as_its_largest_value() -> None:
    low, high = float(HEIGHT - MARGIN), float(MARGIN)
    assert drawn([(100, 0), (110, 4), (120, 2)]) == [
        (MARGIN, low),
        (WIDTH / 2, high),
        (WIDTH - MARGIN, HEIGHT / 2),
    ]
    assert drawn([(0, 50), (1, 100)], most=200) == [(MARGIN, 25.5), (WIDTH - MARGIN, HEIGHT / 2)]
    assert drawn([(0, 0), (1, 0)]) == [(MARGIN, low), (WIDTH - MARGIN, low)]


def test_one_point_is_no_line() -> None:
    assert sparkline_svg([], "x") == sparkline_svg([(1, 1)], "x") == ""


def test_a_label_can_not_end_its_attribute() -> None:
    picture = sparkline_svg([(0, 1), (1, 2)], 'pool "><script>')
    assert ElementTree.fromstring(picture).get("aria-label") == 'pool "><script>'
    assert "<script" not in picture and "style" not in picture
