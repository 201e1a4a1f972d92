"""A host name of a partner as others see it: what its DNS must hold, and how that stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from typing_extensions import TypedDict

from provisioning.commercial.partners.domain_tables import PartnerDomain

LABEL, WORD = "_firstlight", "firstlight-partner="
LOOKED_FOR = timedelta(days=30)

DomainState = Literal["claimed", "proven", "missing", "lost"]


@dataclass(frozen=True)
class DomainPatience:
    """How often a proof is looked at once it was found, and for how long it counts when it isn't there any more."""

    look_every: timedelta = timedelta(hours=24)
    grace: timedelta = timedelta(days=7)


PATIENCE = DomainPatience()


class DomainRecord(TypedDict):
    """A host name of a partner: what its DNS must hold to prove it, and how that stands.

    ``state``: *missing* still counts as proven, until ``proven_until``; *lost* does not, and is looked for again once
    it is claimed anew. ``looked_for_until``: a claim's proof is looked for till then; None of all others.
    """

    domain_id: int
    partner_id: int
    domain: str
    state: DomainState
    txt_name: str
    txt_value: str
    claimed_at: datetime
    claimed_by: str
    looked_for_until: datetime | None
    looked_at: datetime | None
    fault: str | None
    proven_at: datetime | None
    missing_since: datetime | None
    proven_until: datetime | None
    lost_at: datetime | None


def record_of(row: PartnerDomain, patience: DomainPatience) -> DomainRecord:
    state = _state_of(row)
    return DomainRecord(
        domain_id=row.id,
        partner_id=row.partner_id,
        domain=row.domain,
        state=state,
        txt_name=txt_name(row.domain),
        txt_value=txt_value(row.token),
        claimed_at=row.claimed_at,
        claimed_by=row.claimed_by,
        looked_for_until=row.claimed_at + LOOKED_FOR if state == "claimed" else None,
        looked_at=row.looked_at,
        fault=row.fault,
        proven_at=row.proven_at,
        missing_since=row.missing_since,
        proven_until=row.missing_since + patience.grace if row.missing_since and state == "missing" else None,
        lost_at=row.lost_at,
    )


def txt_name(domain: str) -> str:
    """Where the proof of a host name stands."""
    return f"{LABEL}.{domain}"


def txt_value(token: str) -> str:
    """What stands there."""
    return f"{WORD}{token}"


def covering(domain: str) -> list[str]:
    """The names whose proof counts for this one: itself, and what it is below, up to two labels."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


def _state_of(row: PartnerDomain) -> DomainState:
    if row.lost_at is not None:
        return "lost"
    if row.proven_at is None:
        return "claimed"
    return "proven" if row.missing_since is None else "missing"
