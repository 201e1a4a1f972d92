"""ChilliSpot and CoovaChilli: as WISPr, but in kbit/s, and with a limit of octets.

A limit has 32 bits, so it ends below 4295 MB; CoovaChilli's attribute for more is in no dictionary of FreeRADIUS'.
"""

from __future__ import annotations

from radius.dialects.dialect import Attributes, Dialect, Live, each
from radius.plans.terms import PlanTerms, Rate


def _rate_attributes(rate: Rate) -> Attributes:
    return (
        ("ChilliSpot-Bandwidth-Max-Up", rate.upload_kbps),
        ("ChilliSpot-Bandwidth-Max-Down", rate.download_kbps),
    )


def _option_attributes(terms: PlanTerms) -> Attributes:
    return each(
        ("ChilliSpot-Max-Total-Octets", (terms.session_cap_megabytes or 0) * 1_000_000),
        ("WISPr-Redirection-URL", terms.garden_url),
    )


CHILLISPOT = Dialect(
    name="chillispot",
    rate_attributes=_rate_attributes,
    option_attributes=_option_attributes,
    says=frozenset({"session_cap", "garden_url"}),
    max_session_cap_megabytes=(2**32 - 1) // 1_000_000,
    live=Live(
        keys=("User-Name", "Acct-Session-Id"),
        changeable=frozenset(
            {
                "ChilliSpot-Bandwidth-Max-Up",
                "ChilliSpot-Bandwidth-Max-Down",
                "ChilliSpot-Max-Total-Octets",
                "Session-Timeout",
                "Idle-Timeout",
            }
        ),
    ),
)
