"""Juniper (MX with Junos, ERX with JunosE): a service that is activated at login, with the rates as its parameters.

``ERX-Service-Activate:1`` names a dynamic service profile (a service definition on an ERX) and its parameters: first
the upload, which is its input, then the download. ``k`` is 1000 bit/s. The profile has to be prepared at the NAS; it is
the plan's ``qos_profile``, else ``rate``. A service that is not there ends the login, so nobody is online without a
limit.
"""

from __future__ import annotations

from radius.dialects.dialect import Attributes, Dialect, Live, each, first_and_second
from radius.plans.terms import PlanTerms, Rate


def _rate_attributes(rate: Rate) -> Attributes:
    service = rate.qos_profile or "rate"
    return (("ERX-Service-Activate:1", f"{service}({rate.upload_kbps}k,{rate.download_kbps}k)"),)


def _option_attributes(terms: PlanTerms) -> Attributes:
    return (
        *each(
            ("ERX-Virtual-Router-Name", terms.vrf),
            ("ERX-Ingress-Policy-Name", terms.garden_filter),
            ("ERX-IPv6-NdRa-Pool-Name", terms.ipv6_pool),
            ("ERX-IPv6-Delegated-Pool-Name", terms.ipv6_delegated_pool),
        ),
        *first_and_second(("ERX-Primary-Dns", "ERX-Secondary-Dns"), terms.dns_ipv4),
        *first_and_second(("ERX-Ipv6-Primary-Dns", "ERX-Ipv6-Secondary-Dns"), terms.dns_ipv6),
    )


JUNIPER = Dialect(
    name="juniper",
    rate_attributes=_rate_attributes,
    option_attributes=_option_attributes,
    says=frozenset({"qos_profile", "vrf", "garden_filter", "ipv6_pool", "ipv6_delegated_pool", "dns_ipv4", "dns_ipv6"}),
    prepared=True,
    live=Live(
        keys=("User-Name", "Acct-Session-Id"),
        changeable=frozenset(
            {
                "ERX-Service-Activate",
            }
        ),
        withdrawn_by={"ERX-Service-Activate": "ERX-Service-Deactivate"},
    ),
)
