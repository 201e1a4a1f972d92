"""What a dialect is: a vendor's words for a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from radius.encoder import Value
from radius.terms import Option, PlanTerms, Rate

Attributes = Sequence[tuple[str, Value]]
"""Reply attributes in the order in which they are written."""


def _nothing(_terms: PlanTerms) -> Attributes:
    return ()


@dataclass(frozen=True)
class Dialect:
    """One vendor's way to be told a plan.

    ``rate_attributes`` turns a rate into reply attributes; it is pure, and the direction and unit are its whole job.
    ``max_kbps`` is the highest rate those attributes can say, None when there is no such limit;
    ``max_session_cap_megabytes`` the highest limit of what a session may transfer.

    ``says`` are the options that the dialect has words for (``option_attributes``, and ``rate_attributes`` for burst
    and priority). A plan that says another one cannot be used at its NASes. ``prepared`` is true of a NAS that is told
    the name of a QoS profile: what a plan with a ``qos_profile`` says of burst and priority is prepared there.
    """

    name: str
    rate_attributes: Callable[[Rate], Attributes]
    max_kbps: int | None = None
    option_attributes: Callable[[PlanTerms], Attributes] = _nothing
    says: frozenset[Option] = frozenset()
    prepared: bool = False
    max_session_cap_megabytes: int | None = None


def each(*pairs: tuple[str, Value | None]) -> Attributes:
    """The attributes that have a value."""
    return tuple((attribute, value) for attribute, value in pairs if value)


def first_and_second(attributes: tuple[str, str], servers: Sequence[str]) -> Attributes:
    """The first server in the first attribute, the second one, if any, in the second."""
    return tuple(zip(attributes, servers, strict=False))
