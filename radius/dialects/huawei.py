"""Huawei (NetEngine, ME60): four integers in bit/s, "input" for what comes from the subscriber.

The peak rate is the average rate: between the two a subscriber would be faster than its plan. A 32-bit integer ends at
4 294 967 295 bit/s, so this dialect cannot say 10 Gbit/s.

A plan's ``qos_profile`` is named besides them, for what only a profile prepared at the NAS can hold; in lower case,
since the NAS lowers the name it is told unless it was set up otherwise. One IPv6 name server can be told, not two.
"""

from __future__ import annotations

from radius.dialects.dialect import Attributes, Dialect, Live, each, first_and_second
from radius.plans.terms import PlanTerms, Rate


def _rate_attributes(rate: Rate) -> Attributes:
    up, down = rate.upload_kbps * 1000, rate.download_kbps * 1000
    return (
        ("Huawei-Input-Average-Rate", up),
        ("Huawei-Input-Peak-Rate", up),
        ("Huawei-Output-Average-Rate", down),
        ("Huawei-Output-Peak-Rate", down),
        *each(("Huawei-Qos-Profile-Name", rate.qos_profile)),
    )


def _option_attributes(terms: PlanTerms) -> Attributes:
    return (
        *each(
            ("Huawei-VPN-Instance", terms.vrf),
            ("Framed-IPv6-Pool", terms.ipv6_pool),
            ("Huawei-Delegated-IPv6-Prefix-Pool", terms.ipv6_delegated_pool),
            ("Filter-Id", terms.garden_filter),
            ("Huawei-PortalURL", terms.garden_url),
        ),
        *first_and_second(("Huawei-Primary-DNS", "Huawei-Secondary-DNS"), terms.dns_ipv4),
        *(("Huawei-DNS-Server-IPv6-address", server) for server in terms.dns_ipv6),
    )


HUAWEI = Dialect(
    name="huawei",
    rate_attributes=_rate_attributes,
    max_kbps=(2**32 - 1) // 1000,
    option_attributes=_option_attributes,
    says=frozenset(
        {
            "qos_profile",
            "vrf",
            "ipv6_pool",
            "ipv6_delegated_pool",
            "garden_filter",
            "garden_url",
            "dns_ipv4",
            "dns_ipv6",
        }
    ),
    live=Live(
        keys=("User-Name", "Acct-Session-Id"),
        changeable=frozenset(
            {
                "Huawei-Input-Average-Rate",
                "Huawei-Input-Peak-Rate",
                "Huawei-Output-Average-Rate",
                "Huawei-Output-Peak-Rate",
                "Session-Timeout",
                "Idle-Timeout",
            }
        ),
    ),
)
