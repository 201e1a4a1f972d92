"""The layers of what is never handed out: neither loses anything to the other, and no unit is counted twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipam.estate.exclusions import Part, by_hand_in, described_in, joined, laid_over

LAYERS = st.dictionaries(st.integers(0, 30), st.sampled_from(["one", "another"]))


def layer(whys: dict[int, str]) -> list[Part]:
    return joined(Part(unit, unit, why) for unit, why in whys.items())


def test_neighbours_of_one_reason_are_one_part() -> None:
    parts = [Part(4, 4, "a"), Part(0, 1, "a"), Part(2, 3, "a"), Part(5, 5, "b"), Part(7, 7, "b")]
    assert joined(parts) == [Part(0, 4, "a"), Part(5, 5, "b"), Part(7, 7, "b")]


@given(described=LAYERS, by_hand=LAYERS)
def test_each_layer_is_found_again_and_a_unit_has_one_row(described: dict[int, str], by_hand: dict[int, str]) -> None:
    rows = laid_over(layer(described), layer(by_hand))

    assert (described_in(rows), by_hand_in(rows)) == (layer(described), layer(by_hand))
    units = [unit for row in rows for unit in range(row.first, row.last + 1)]
    assert units == sorted(described.keys() | by_hand.keys())
