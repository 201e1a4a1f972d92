"""Which of the partners' host names need a person: their DNS doesn't say any more whose they are. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.attention.items import Item, Target
from provisioning.commercial import DomainRecord
from provisioning.days import minute

TOLD_ONE_BY_ONE = 3


def of_host_names(troubled: Sequence[DomainRecord]) -> list[Item]:
    """Names whose proof is missing or was withdrawn, those first for which it has been so for longest; of each sort
    more than three are one item."""
    missing = [each for each in troubled if each["state"] == "missing"]
    lost = [each for each in troubled if each["state"] == "lost"]
    items = list[Item]()
    for names in (lost, missing):
        items += [_of_several(names)] if len(names) > TOLD_ONE_BY_ONE else [_of_one(each) for each in names]
    return items


def _of_one(each: DomainRecord) -> Item:
    return Item(
        kind="host_name_unproven",
        urgency="today",
        sentence=_sentence(each),
        target=Target("partner", str(each["partner_id"])),
        since=each["missing_since"],
    )


def _of_several(names: Sequence[DomainRecord]) -> Item:
    first = names[0]
    whose = "are not proven to be partners' any more" if first["state"] == "lost" else "are without their proof"
    return Item(
        kind="host_name_unproven",
        urgency="today",
        sentence=f"{len(names)} host names {whose}; the first: {_sentence(first)}",
        target=Target("partners"),
        since=first["missing_since"],
        count=len(names),
    )


def _sentence(each: DomainRecord) -> str:
    name, partner_id = each["domain"], each["partner_id"]
    record = f'{each["txt_name"]} TXT "{each["txt_value"]}"'
    if each["proven_until"] is not None:
        return (
            f"The proof of {name}, partner {partner_id}'s, is gone from its DNS; pages under it answer there until"
            f" {minute(each['proven_until'])}, unless {record} is back."
        )
    return (
        f"{name} is not proven to be partner {partner_id}'s any more, and no page answers there: put back {record} and"
        f" claim it anew (`firstlight partners domains claim {partner_id} {name}`), or drop it."
    )
