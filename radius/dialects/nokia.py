"""Nokia (7750 SR): overrides, in kbit/s, of what a subscriber's profiles have; ``i`` is what comes from the subscriber.

The upload is ingress queue 1, the download the egress aggregate. The profiles, which have to be prepared at the NAS,
must have both; they are the NAS's default ones, or those that the plan's ``qos_profile`` names. An override of what a
profile lacks overrides nothing, without a word: that direction has no limit then, and no RADIUS server can see it. So
one line of each profile has to be measured. A walled garden is the number of an IPv4 filter here, and a VRF the service
id of a VPRN, as wholesale has it: that service needs a subscriber interface that belongs to this one's.
"""

from __future__ import annotations

import re

from radius.dialects.dialect import Attributes, Dialect, Live, each, first_and_second
from radius.encoder import Value
from radius.plans.terms import PlanTerms, Rate


def _rate_attributes(rate: Rate) -> Attributes:
    return (
        ("Alc-Subscriber-QoS-Override", f"i:q:1:pir={rate.upload_kbps}"),
        ("Alc-Subscriber-QoS-Override", f"e:r:rate={rate.download_kbps}"),
        *each(("Alc-Subsc-Prof-Str", rate.qos_profile), ("Alc-SLA-Prof-Str", rate.qos_profile)),
    )


def _option_attributes(terms: PlanTerms) -> Attributes:
    return (
        *each(
            ("Alc-SLAAC-IPv6-Pool", terms.ipv6_pool),
            ("Alc-Delegated-IPv6-Pool", terms.ipv6_delegated_pool),
            ("Alc-Retail-Serv-Id", _service_id(terms.vrf)),
            ("Alc-Subscriber-Filter", terms.garden_filter and f"Ingr-v4:{terms.garden_filter}"),
            ("Alc-Portal-Url", terms.garden_url),
        ),
        *first_and_second(("Alc-Primary-Dns", "Alc-Secondary-Dns"), terms.dns_ipv4),
        *first_and_second(("Alc-Ipv6-Primary-Dns", "Alc-Ipv6-Secondary-Dns"), terms.dns_ipv6),
    )


def _service_id(vrf: str | None) -> Value | None:
    """What is none is refused as it stands."""
    return int(vrf) if vrf is not None and re.fullmatch("[1-9][0-9]*", vrf) else vrf


NOKIA = Dialect(
    name="nokia",
    rate_attributes=_rate_attributes,
    option_attributes=_option_attributes,
    says=frozenset(
        {
            *("qos_profile", "ipv6_pool", "ipv6_delegated_pool", "vrf"),
            *("garden_filter", "garden_url", "dns_ipv4", "dns_ipv6"),
        }
    ),
    prepared=True,
    live=Live(
        keys=("Acct-Session-Id",),
        changeable=frozenset(
            {
                "Alc-Subscriber-QoS-Override",
                "Alc-Subsc-Prof-Str",
                "Alc-SLA-Prof-Str",
                "Alc-Subscriber-Filter",
                "Session-Timeout",
                "Idle-Timeout",
            }
        ),
    ),
)
