"""From an inside address to its outside address and ports, and back: never two for one port."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam.nat.deterministic import Algorithm, PortMapping

INSIDE = 0x64400000  # 100.64.0.0
OUTSIDE = 0xCB007100  # 203.0.113.0
MAPPING = PortMapping(OUTSIDE, 4, INSIDE, 256, 1000, "by_address", 1024, 65535)


@pytest.mark.parametrize(
    ("algorithm", "inside", "block"),
    [
        ("by_address", 0, (0, 1024, 2023)),
        ("by_address", 1, (0, 2024, 3023)),
        ("by_address", 63, (0, 64024, 65023)),
        ("by_address", 64, (1, 1024, 2023)),
        ("by_address", 255, (3, 64024, 65023)),
        ("by_block", 1, (1, 1024, 2023)),
        ("by_block", 5, (1, 2024, 3023)),
        ("by_block", 255, (3, 64024, 65023)),
    ],
)
def test_blocks_follow_one_another_as_the_algorithm_says(
    algorithm: Algorithm, inside: int, block: tuple[int, int, int]
) -> None:
    mapping = dataclasses.replace(MAPPING, algorithm=algorithm)
    address, first, last = block

    assert (mapping.blocks_per_address, mapping.capacity) == (64, 256)
    assert mapping.block_of(INSIDE + inside) == (OUTSIDE + address, first, last)
    assert {mapping.inside_of(OUTSIDE + address, port) for port in (first, last)} == {INSIDE + inside}


@pytest.mark.parametrize(("outside", "port"), [(0, 1023), (0, 65024), (4, 1024), (-1, 1024)])
def test_ports_outside_of_every_block_are_nobodys(outside: int, port: int) -> None:
    assert MAPPING.inside_of(OUTSIDE + outside, port) is None
    assert MAPPING.block_of(INSIDE + 256) is MAPPING.block_of(INSIDE - 1) is None


@given(
    outside_count=st.integers(1, 9),
    inside_count=st.integers(1, 200),
    ports=st.integers(1, 9000),
    algorithm=st.sampled_from(["by_address", "by_block"]),
)
@settings(max_examples=60)
def test_back_is_the_inverse_of_forth_and_no_two_share_a_port(
    outside_count: int, inside_count: int, ports: int, algorithm: Algorithm
) -> None:
    mapping = PortMapping(OUTSIDE, outside_count, INSIDE, inside_count, ports, algorithm, 5001, 65535)
    blocks = [mapping.block_of(INSIDE + number) for number in range(inside_count)]
    given = [block for block in blocks if block is not None]

    assert len(given) == len(set(given)) == min(inside_count, mapping.capacity)
    for number, (outside, first, last) in enumerate(given):
        assert OUTSIDE <= outside < OUTSIDE + outside_count
        assert 5001 <= first <= last <= 65535
        assert last - first + 1 == ports
        assert mapping.inside_of(outside, first) == mapping.inside_of(outside, last) == INSIDE + number
