"""What is told of host names whose proof is gone: until when they count, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from provisioning.attention.host_names import of_host_names
from provisioning.commercial import DomainRecord
from provisioning.commercial.partners.domain_records import PATIENCE, record_of
from provisioning.commercial.partners.domain_tables import PartnerDomain

SINCE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def a_name(number: int, *, lost_at: datetime | None = None) -> DomainRecord:
    row = PartnerDomain(
        id=number,
        tenant_id="north",
        partner_id=21,
        domain=f"n{number}.example",
        token="0a1b",
        claimed_at=SINCE,
        claimed_by="nora",
        proven_at=None if lost_at else SINCE,
        missing_since=SINCE,
        lost_at=lost_at,
    )
    return record_of(row, PATIENCE)


def test_a_missing_proof_is_told_with_the_day_until_which_it_counts() -> None:
    [item] = of_host_names([a_name(1)])
    assert item.sentence == (
        "The proof of n1.example, partner 21's, is gone from its DNS; pages under it answer there until"
        ' 2026-03-09 09:00 UTC, unless _firstlight.n1.example TXT "firstlight-partner=0a1b" is back.'
    )
    assert (item.kind, item.urgency, item.since) == ("host_name_unproven", "today", SINCE)
    assert (item.target.noun, item.target.id) == ("partner", "21")


def test_a_lost_name_is_told_with_what_to_do() -> None:
    [item] = of_host_names([a_name(1, lost_at=SINCE + timedelta(days=7))])
    assert item.sentence == (
        "n1.example is not proven to be partner 21's any more, and no page answers there: put back"
        ' _firstlight.n1.example TXT "firstlight-partner=0a1b" and claim it anew (`firstlight partners domains claim 21'
        " n1.example`), or drop it."
    )


def test_many_names_of_one_sort_are_one_item() -> None:
    troubled = [*map(a_name, range(4)), *(a_name(number, lost_at=SINCE + timedelta(days=7)) for number in range(4, 9))]
    lost, missing = of_host_names(troubled)
    assert (lost.count, missing.count, missing.target.noun) == (5, 4, "partners")
    assert lost.sentence.startswith("5 host names are not proven to be partners' any more; the first: n4.example is")
    assert missing.sentence.startswith("4 host names are without their proof; the first: The proof of n0.example, ")
