"""The picture of a pool: drawn from numbers alone, with nothing in it that could do anything."""

from __future__ import annotations

from xml.etree import ElementTree

from ipam import Occupation, OccupationCell
from provisioning.occupation_svg import (
    COLOURS,
    COLUMNS,
    HEAVIEST_IN_PAGE,
    SQUARE,
    occupation_in_page,
    occupation_svg,
)

SVG = "{http://www.w3.org/2000/svg}"


def cell(number: int, **units: int) -> OccupationCell:
    states = dict.fromkeys(("assigned", "cooling", "reserved", "draining", "excluded", "free"), 0)
    name = f"192.0.2.{number}"
    return OccupationCell(first=name, last=name, **{**states, **units})  # type: ignore[typeddict-item]


def occupied(cells: list[OccupationCell], *, pool: str = "north-v4", per_cell: int = 1) -> Occupation:
    return Occupation(
        pool=pool,
        kind="ipv4",
        role="public",
        network="192.0.2.0/26",
        units=len(cells) * per_cell,
        units_per_cell=per_cell,
        cells=cells,
    )


def drawn(cells: list[OccupationCell], *, pool: str = "north-v4", per_cell: int = 1) -> ElementTree.Element:
    return ElementTree.fromstring(occupation_svg(occupied(cells, pool=pool, per_cell=per_cell)))


def bars_of(picture: ElementTree.Element) -> list[tuple[str | None, dict[str | None, float], int]]:
    """The title of each bar, how tall what of it is, and how many squares it is long."""
    bars = []
    for group in picture.iter(f"{SVG}g"):
        parts = group.findall(f"{SVG}rect")
        heights = {part.get("class"): float(part.get("height", "0")) for part in parts}
        bars.append((group.findtext(f"{SVG}title"), heights, round(float(parts[0].get("width", "0")) / SQUARE)))
    return bars


def test_neighbours_that_are_alike_become_one_bar_whose_title_counts_them() -> None:
    cells = [cell(0, assigned=1), cell(1, assigned=1), cell(2, free=1), *(cell(last, free=1) for last in range(3, 40))]

    picture = drawn(cells)

    bars = [(group.findtext(f"{SVG}title"), group.findall(f"{SVG}rect")) for group in picture.iter(f"{SVG}g")]
    assert [title for title, _ in bars] == [
        "192.0.2.0 to 192.0.2.1: 2 assigned",
        "192.0.2.2 to 192.0.2.31: 30 free",
        "192.0.2.32 to 192.0.2.39: 8 free",
    ]
    [front] = bars[0][1]
    assert front.get("fill") == COLOURS["assigned"]
    assert front.get("class") == "assigned"  # by which a page gives it its own colour
    assert (front.get("width"), front.get("height")) == (f"{2 * SQUARE - 1}", f"{SQUARE - 1}")
    labels = [text.text for text in picture.findall(f"{SVG}text")]
    assert labels[:4] == [
        "north-v4: 192.0.2.0/26 (ipv4, public)",
        "40 in all, a square is one",
        "192.0.2.0",
        "192.0.2.32",
    ]
    assert labels[4:] == ["2 assigned", "0 cooling", "0 reserved", "0 draining", "0 excluded", "38 free"]
    assert len(cells) > COLUMNS


def test_a_square_of_many_is_a_stack_in_which_even_one_is_seen() -> None:
    picture = drawn([cell(0, assigned=1, cooling=500, free=523)], per_cell=1024)

    [group] = picture.iter(f"{SVG}g")
    heights = {bar.get("fill"): float(bar.get("height", "0")) for bar in group.findall(f"{SVG}rect")}
    assert heights[COLOURS["assigned"]] == 1.0
    assert round(heights[COLOURS["cooling"]], 1) == round((SQUARE - 1) * 500 / 1024, 1)
    assert group.findtext(f"{SVG}title") == "192.0.2.0: 1 assigned, 500 cooling, 523 free"


def test_one_unit_of_ever_so_many_is_seen_in_its_own_square_and_in_no_other() -> None:
    many = 2**56
    first, inside = [cell(number, free=many) for number in range(32)], [cell(number, free=many) for number in range(32)]
    first[0], inside[7] = cell(0, assigned=1, free=many - 1), cell(7, assigned=1, free=many - 1)

    picture = drawn([*first, *inside], per_cell=many)

    assert bars_of(picture) == [
        (f"192.0.2.0: 1 assigned, {many - 1} free", {"free": 13.0, "assigned": 1.0}, 1),
        (f"192.0.2.1 to 192.0.2.31: {31 * many} free", {"free": 13.0}, 31),
        (f"192.0.2.0 to 192.0.2.6: {7 * many} free", {"free": 13.0}, 7),
        (f"192.0.2.7: 1 assigned, {many - 1} free", {"free": 13.0, "assigned": 1.0}, 1),
        (f"192.0.2.8 to 192.0.2.31: {24 * many} free", {"free": 13.0}, 24),
    ]


def test_the_last_free_unit_and_the_few_of_another_state_are_seen_beside_nearly_all() -> None:
    many = 2**20
    nearly = [
        cell(0, assigned=many),
        cell(1, assigned=many - 1, free=1),
        cell(2, assigned=many - 1, cooling=1),
        cell(3, assigned=many - 4, cooling=1, reserved=1, draining=1, free=1),
    ]

    picture = drawn(nearly, per_cell=many)

    assert [heights for _, heights, _ in bars_of(picture)] == [
        {"assigned": 13.0},
        {"free": 13.0, "assigned": 12.0},
        {"assigned": 12.0, "cooling": 1.0},
        {"free": 13.0, "assigned": 9.0, "cooling": 1.0, "reserved": 1.0, "draining": 1.0},
    ]


def test_squares_whose_numbers_differ_by_less_than_can_be_seen_are_one_bar() -> None:
    picture = drawn([cell(0, assigned=50_000, free=15_536), cell(1, assigned=50_010, free=15_526)], per_cell=65536)

    assert bars_of(picture) == [
        ("192.0.2.0 to 192.0.2.1: 100010 assigned, 31062 free", {"free": 13.0, "assigned": 9.9}, 2)
    ]


def test_in_a_page_the_picture_of_a_pool_in_crumbs_puts_neighbours_together_and_a_file_has_them_all() -> None:
    crumbs = [cell(number, assigned=20, cooling=8 + number % 7, free=36 - number % 7) for number in range(1024)]

    few, many = (occupation_in_page(occupied(cells, per_cell=64)) for cells in (crumbs[:64], crumbs))

    assert "4096 in all, a square is 64" in few
    assert len(many.encode()) < HEAVIEST_IN_PAGE
    assert "65536 in all, a square is 256" in many
    assert "<title>192.0.2.0 to 192.0.2.3: 80 assigned, 38 cooling, 138 free</title>" in many
    assert len(list(drawn(crumbs, per_cell=64).iter(f"{SVG}g"))) == 1024


def test_whatever_a_pool_is_called_the_picture_holds_nothing_but_shapes_and_words() -> None:
    picture = drawn([cell(0, free=1)], pool='<script>"&\' onload="x"')

    assert {element.tag.removeprefix(SVG) for element in picture.iter()} == {"svg", "title", "rect", "g", "text"}
    names = {name for element in picture.iter() for name in element.attrib}
    assert names <= {
        *("role", "aria-label", "viewBox", "width", "height", "font-family", "font-size", "color"),
        *("x", "y", "fill", "class"),
    }
    assert (picture.findtext(f"{SVG}title") or "").startswith('<script>"&\' onload="x": 192.0.2.0/26')
