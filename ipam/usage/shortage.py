"""A pool that an act has emptied itself and was then refused: the numbers that it has without that act."""

from __future__ import annotations

from collections.abc import Sequence

from ipam.answers import PoolUsage
from ipam.errors import PoolExhausted


def short_of(full: PoolExhausted, undone: Sequence[PoolUsage], *, wanted: int) -> PoolExhausted:
    """The refusal of ``wanted`` of its pools at once, with their numbers as they are when the act is ``undone``."""
    pools = [each for each in undone if each["pool"] in full.pools]
    return PoolExhausted(
        pools=full.pools,
        size=sum(each["size"] for each in pools),
        assigned=sum(each["assigned"] for each in pools),
        quarantined=sum(each["quarantined"] for each in pools),
        reserved=sum(each["reserved"] for each in pools),
        draining=sum(each["draining"] for each in pools),
        free=sum(each["free"] for each in pools),
        wanted=wanted,
        next_available_at=min((at for each in pools if (at := each["next_available_at"]) is not None), default=None),
    )
