"""What a dialect is: a vendor's words for a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from radius.encoder import Value
from radius.plans.terms import Option, PlanTerms, Rate

Attributes = Sequence[tuple[str, Value]]
"""Reply attributes in the order in which they are written."""


SessionKey = Literal["User-Name", "Acct-Session-Id", "NAS-IP-Address", "Framed-IP-Address"]
"""What may name a session to its NAS (RFC 5176 s3); all that is sent must fit."""


@dataclass(frozen=True)
class Live:
    """What a vendor's NAS changes of a session that is up, when a CoA-Request says so (RFC 5176 s2.2).

    ``keys`` name the session. ``changeable`` are the attributes it obeys then; of Cisco's, ``Cisco-AVPair`` with the
    pair's own name behind a blank. What is not among them is as it was until the next login. An attribute in
    ``withdrawn_by`` adds to what the session has; so its old value is withdrawn by the attribute it maps to, before
    the new one is said.
    """

    keys: tuple[SessionKey, ...]
    changeable: frozenset[str]
    withdrawn_by: Mapping[str, str] = field(default_factory=dict)


def _nothing(_terms: PlanTerms) -> Attributes:
    return ()


@dataclass(frozen=True, eq=False)  # each is one of its kind
class Dialect:
    """One vendor's way to be told a plan.

    ``rate_attributes`` turns a rate into reply attributes; it is pure, and the direction and unit are its whole job.
    ``max_kbps`` is the highest rate those attributes can say, None when there is no such limit;
    ``max_session_cap_megabytes`` the highest limit of what a session may transfer.

    ``says`` are the options that the dialect has words for (``option_attributes``, and ``rate_attributes`` for burst
    and priority). A plan that says another one cannot be used at its NASes; but a NAS without QoS profiles is told the
    rate, the burst and the priority of a plan with a ``qos_profile`` in numbers. ``prepared`` is true of a NAS that is
    told the name of one: what such a plan says of burst and priority is prepared there.

    ``live`` is how a session that is up is told; without it a session is ended, and the next login has the new plan.
    """

    name: str
    rate_attributes: Callable[[Rate], Attributes]
    max_kbps: int | None = None
    option_attributes: Callable[[PlanTerms], Attributes] = _nothing
    says: frozenset[Option] = frozenset()
    prepared: bool = False
    max_session_cap_megabytes: int | None = None
    live: Live | None = None


def each(*pairs: tuple[str, Value | None]) -> Attributes:
    """The attributes that have a value."""
    return tuple((attribute, value) for attribute, value in pairs if value)


def first_and_second(attributes: tuple[str, str], servers: Sequence[str]) -> Attributes:
    """The first server in the first attribute, the second one, if any, in the second."""
    return tuple(zip(attributes, servers, strict=False))
