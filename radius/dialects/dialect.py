"""What a dialect is: a vendor's words for a rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from radius.encoder import Value


@dataclass(frozen=True)
class Rate:
    """How fast a subscriber may be, seen from the subscriber: download is what comes to it. Units: kbit/s (1000
    bit/s).
    """

    download_kbps: int
    upload_kbps: int


@dataclass(frozen=True)
class Dialect:
    """One vendor's way to be told a rate.

    ``rate_attributes`` turns a rate into reply attributes; it is pure, and the direction and unit are its whole job.
    ``max_kbps`` is the highest rate those attributes can say, None when there is no such limit.
    """

    name: str
    rate_attributes: Callable[[Rate], Sequence[tuple[str, Value]]]
    max_kbps: int | None = None
