"""Cisco (IOS XE and IOS XR as a BNG): the names of two policy maps, "in" for what comes from the subscriber.

Both families take a rate as a number too (``qos-policy-in=add-class(...)``), but one reads bit/s and the other kbit/s
there, so a number would be a thousandfold wrong at one of them. A name is the same for both. It is the plan's
``qos_profile`` with ``-up`` and ``-down``; without one it is made of the rate itself, as in ``up-20000k``, so that a
plan that changes its rate is never told by the name of its former one. The policy maps have to be prepared at the NAS.
"""

from __future__ import annotations

from radius.dialects.dialect import Attributes, Dialect, Live, each
from radius.plans.terms import PlanTerms, Rate


def _rate_attributes(rate: Rate) -> Attributes:
    up, down = f"up-{rate.upload_kbps}k", f"down-{rate.download_kbps}k"
    if rate.qos_profile is not None:
        up, down = f"{rate.qos_profile}-up", f"{rate.qos_profile}-down"
    return (
        ("Cisco-AVPair", f"ip:sub-qos-policy-in={up}"),
        ("Cisco-AVPair", f"ip:sub-qos-policy-out={down}"),
    )


def _option_attributes(terms: PlanTerms) -> Attributes:
    return each(
        ("Cisco-AVPair", terms.vrf and f"ip:vrf-id={terms.vrf}"),
        ("Cisco-AVPair", f"ip:dns-servers={' '.join(terms.dns_ipv4)}" if terms.dns_ipv4 else None),
        ("Framed-IPv6-Pool", terms.ipv6_pool),
        # ".in": the access list is for what comes from the subscriber
        ("Filter-Id", terms.garden_filter and f"{terms.garden_filter}.in"),
    )


CISCO = Dialect(
    name="cisco",
    rate_attributes=_rate_attributes,
    option_attributes=_option_attributes,
    says=frozenset({"qos_profile", "vrf", "dns_ipv4", "ipv6_pool", "garden_filter"}),
    prepared=True,
    live=Live(
        keys=("User-Name", "Acct-Session-Id"),
        changeable=frozenset(
            {
                "Cisco-AVPair ip:sub-qos-policy-in",
                "Cisco-AVPair ip:sub-qos-policy-out",
                "Session-Timeout",
                "Idle-Timeout",
            }
        ),
    ),
)
