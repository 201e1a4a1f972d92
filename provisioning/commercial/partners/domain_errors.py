"""What partners' host names are refused for. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from datetime import datetime

from provisioning.commercial.partners.domain_records import DomainRecord
from provisioning.commercial.partners.partner_errors import PartnerError
from provisioning.days import minute


class DomainUnknown(PartnerError):
    """The partner has claimed no such host name."""

    code = "partner.domain_unknown"

    def __init__(self, partner_id: int, domain: str) -> None:
        self.partner_id = partner_id
        self.domain = domain
        super().__init__(f"Partner {partner_id} has not claimed {domain}.")


class DomainUnproven(PartnerError):
    """Nobody has shown that the host name is the partner's."""

    code = "partner.domain_unproven"

    def __init__(self, partner_id: int, domain: str, record: DomainRecord | None = None) -> None:
        self.partner_id = partner_id
        self.domain = domain
        super().__init__(
            f"{domain} is not proven to be partner {partner_id}'s: {_what_is_missing(partner_id, record)}."
        )


def _what_is_missing(partner_id: int, record: DomainRecord | None) -> str:
    claim = f"`firstlight partners domains claim {partner_id} NAME` (by API: POST /partners/{partner_id}/domains)"
    if record is None:
        return f"claim it, or what it is below, with {claim}"
    lacks = f"its DNS has no TXT record {record['txt_name']} with {record['txt_value']}"
    if record["lost_at"] is not None:
        return f"{lacks} any more since {_at(record['missing_since'])}; put it back and claim it anew with {claim}"
    if record["proven_until"] is not None:
        return f"{lacks} any more, and what was proven counts until {minute(record['proven_until'])}; put it back"
    return f"{lacks} yet"


def _at(moment: datetime | None) -> str:
    return "a time that nobody knows" if moment is None else minute(moment)


class DomainOfAnother(PartnerError):
    """Another partner has proven that the host name is theirs."""

    code = "partner.domain_of_another"

    def __init__(self, domain: str) -> None:
        self.domain = domain
        super().__init__(
            f"{domain} is proven to be another partner's; if it has changed hands, drop it there with "
            "`firstlight partners domains drop`, then try again."
        )


class DomainClaimsTooMany(PartnerError):
    """The partner has claimed as many host names as are looked for at once."""

    code = "partner.domain_claims_too_many"

    def __init__(self, partner_id: int, most: int) -> None:
        self.partner_id = partner_id
        self.most = most
        super().__init__(
            f"Partner {partner_id} has {most} host names whose proof is looked for, and that is the most; prove some "
            "of them, or drop them with `firstlight partners domains drop`."
        )


class DomainUnresolved(PartnerError):
    """The DNS did not say what a name holds."""

    code = "partner.domain_unresolved"
    transient = True

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"The DNS did not say what {name} holds ({reason}); it is asked again.")
