"""MikroTik RouterOS: ``Mikrotik-Rate-Limit``, "rx/tx" seen from the router.

The router receives what the subscriber sends, so the first value is the upload (RouterOS documentation, RADIUS client:
"rx-rate[/tx-rate]", from the point of view of the router). ``k`` is 1000 bit/s. Behind it stand the burst's rate, its
threshold, its seconds and the priority; 0/0 is no burst. A limit of octets is 64 bits in two attributes.
"""

from __future__ import annotations

from radius.dialects.dialect import Attributes, Dialect, Live, each
from radius.plans.terms import PlanTerms, Rate

_GIGAWORD = 2**32


def _rate_attributes(rate: Rate) -> Attributes:
    words = [_pair(rate.upload_kbps, rate.download_kbps)]
    if rate.burst is not None:
        words += [_pair(rate.burst.upload_kbps, rate.burst.download_kbps), words[0]]
        words.append(f"{rate.burst.seconds}/{rate.burst.seconds}")
    elif rate.priority is not None:
        words += ["0/0", "0/0", "0/0"]
    if rate.priority is not None:
        words.append(str(rate.priority))
    return (("Mikrotik-Rate-Limit", " ".join(words)),)


def _pair(upload_kbps: int, download_kbps: int) -> str:
    return f"{upload_kbps}k/{download_kbps}k"


def _option_attributes(terms: PlanTerms) -> Attributes:
    gigawords, octets = divmod((terms.session_cap_megabytes or 0) * 1_000_000, _GIGAWORD)
    return each(
        ("Mikrotik-Total-Limit", octets),
        ("Mikrotik-Total-Limit-Gigawords", gigawords),
        ("Mikrotik-Delegated-IPv6-Pool", terms.ipv6_delegated_pool),
        ("Mikrotik-Address-List", terms.garden_filter),
    )


MIKROTIK = Dialect(
    name="mikrotik",
    rate_attributes=_rate_attributes,
    option_attributes=_option_attributes,
    says=frozenset({"burst", "priority", "session_cap", "ipv6_delegated_pool", "garden_filter"}),
    live=Live(
        keys=("User-Name", "NAS-IP-Address", "Acct-Session-Id", "Framed-IP-Address"),
        changeable=frozenset(
            {
                "Mikrotik-Rate-Limit",
                "Mikrotik-Address-List",
                "Mikrotik-Total-Limit",
                "Mikrotik-Total-Limit-Gigawords",
                "Session-Timeout",
                "Idle-Timeout",
            }
        ),
    ),
)
