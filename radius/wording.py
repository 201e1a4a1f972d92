"""A plan in the words of each NAS: what every one of them understands, and what only those of a dialect do."""

from __future__ import annotations

from collections.abc import Iterator

from radius.dialects import Dialect
from radius.encoder import EncodedAttribute, Value, encode_reply
from radius.errors import EncodingRefused, RateNotExpressible, TermsNotExpressible
from radius.terms import PlanTerms

_IN_WORDS = {
    "burst": "a burst",
    "priority": "a priority",
    "session_cap": "how much a session may transfer",
    "ipv6_pool": "the pool of a line's own IPv6 prefix",
    "ipv6_delegated_pool": "the pool of delegated IPv6 prefixes",
    "dns_ipv4": "IPv4 name servers",
    "dns_ipv6": "IPv6 name servers",
    "vrf": "a VRF",
    "garden_filter": "the filter of a walled garden",
    "garden_url": "the address of a walled garden's page",
}


def common_words(plan: str, terms: PlanTerms) -> tuple[EncodedAttribute, ...]:
    """What every NAS is told alike.

    Raises:
        EncodingRefused: FreeRADIUS or a NAS could not take it.
    """
    items: list[tuple[str, Value]] = [("Service-Type", "Framed-User")]
    if terms.access == "pppoe":
        items.append(("Framed-Protocol", "PPP"))
    items.append(("Acct-Interim-Interval", terms.interim_interval_seconds))
    for attribute, value in (
        ("Session-Timeout", terms.session_timeout_seconds),
        ("Idle-Timeout", terms.idle_timeout_seconds),
        ("Framed-Pool", terms.ipv4_pool),
    ):
        if value is not None:
            items.append((attribute, value))
    return encode_reply(plan, items)


def words_of(dialect: Dialect, plan: str, terms: PlanTerms) -> tuple[EncodedAttribute, ...]:
    """The plan as a NAS of that dialect is told it.

    Raises:
        RateNotExpressible: the dialect has no number for such a rate.
        TermsNotExpressible: it has no words for something else of the plan; all of that at once.
    """
    rate_kbps = max(terms.download_kbps, terms.upload_kbps)
    if dialect.max_kbps is not None and rate_kbps > dialect.max_kbps:
        raise RateNotExpressible(plan, rate_kbps=rate_kbps, dialect=dialect.name, max_kbps=dialect.max_kbps)
    missing = [_IN_WORDS[option] for option in _missing(dialect, terms)]
    try:
        encoded = encode_reply(plan, [*dialect.rate_attributes(terms.rate), *dialect.option_attributes(terms)])
    except EncodingRefused as refused:
        faults = getattr(refused, "faults", (str(refused),))
        raise TermsNotExpressible(plan, dialect=dialect.name, faults=[*missing, *faults]) from refused
    if missing:
        raise TermsNotExpressible(plan, dialect=dialect.name, faults=missing)
    return encoded


def _missing(dialect: Dialect, terms: PlanTerms) -> Iterator[str]:
    prepared = {"burst", "priority"} if dialect.prepared and terms.qos_profile is not None else set()
    for option in sorted(terms.options - dialect.says):
        if option not in prepared:
            yield option
