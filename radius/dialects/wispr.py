"""WISPr (hotspots, many small BNGs): two integers in bit/s, named from the subscriber's side.

A 32-bit integer ends at 4 294 967 295 bit/s (RFC 2865 s5), so this dialect cannot say 10 Gbit/s.
"""

from __future__ import annotations

from radius.dialects.dialect import Attributes, Dialect, Live, each
from radius.plans.terms import PlanTerms, Rate


def _rate_attributes(rate: Rate) -> Attributes:
    return (
        ("WISPr-Bandwidth-Max-Up", rate.upload_kbps * 1000),
        ("WISPr-Bandwidth-Max-Down", rate.download_kbps * 1000),
    )


def _option_attributes(terms: PlanTerms) -> Attributes:
    return each(("WISPr-Redirection-URL", terms.garden_url))


WISPR = Dialect(
    name="wispr",
    rate_attributes=_rate_attributes,
    max_kbps=(2**32 - 1) // 1000,
    option_attributes=_option_attributes,
    says=frozenset({"garden_url"}),
    live=Live(
        keys=("User-Name", "NAS-IP-Address", "Acct-Session-Id", "Framed-IP-Address"),
        changeable=frozenset(
            {
                "WISPr-Bandwidth-Max-Up",
                "WISPr-Bandwidth-Max-Down",
                "Session-Timeout",
                "Idle-Timeout",
            }
        ),
    ),
)
