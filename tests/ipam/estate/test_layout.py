"""Which units of a pool may be handed out: taken out whole, let in only whole."""

from __future__ import annotations

import pytest

from ipam.estate.layout import pool_layout
from ipam.estate.spec import PoolSpec


def delegated(**changes: object) -> PoolSpec:
    """Sixteen /56 of a /52."""
    return PoolSpec.model_validate({"name": "pd", "kind": "ipv6_pd", "network": "2001:db8:0:1000::/52", **changes})


@pytest.mark.parametrize(
    ("allowed", "size"),
    [
        ("2001:db8:0:1000::/56", 1),
        ("2001:db8:0:1000::/54", 4),
        ("2001:db8:0:1100::-2001:db8:0:12ff:ffff:ffff:ffff:ffff", 2),
        ("2001:db8:0:1080::-2001:db8:0:13ff:ffff:ffff:ffff:ffff", 3),
    ],
)
def test_a_range_lets_in_only_the_units_that_lie_in_it_wholly(allowed: str, size: int) -> None:
    assert pool_layout(delegated(ranges=[allowed])).size == size


def test_an_exclusion_takes_out_every_unit_that_it_touches() -> None:
    assert pool_layout(delegated(exclude=["2001:db8:0:1080::/60"])).size == 15
