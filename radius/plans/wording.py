"""A plan in the words of each NAS: what every one of them understands, and what only those of a dialect do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from radius.dialects import Dialect
from radius.encoder import EncodedAttribute, Value, encode_reply
from radius.errors import EncodingRefused, SeveralRefused, ValueRefused
from radius.plan_errors import RateNotExpressible, SeveralNotExpressible, TermsNotExpressible
from radius.plans.terms import Option, PlanTerms

_IN_NUMBERS: frozenset[Option] = frozenset({"qos_profile"})
"""What a dialect without words for it is told otherwise: it has no such profiles, and is told the rate itself."""
_IN_WORDS: dict[Option, str] = {
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
_BURST = ("burst_download_kbps", "burst_upload_kbps", "burst_seconds")
_TERMS: dict[Option, tuple[str, ...]] = {"burst": _BURST, "session_cap": ("session_cap_megabytes",)}
"""What an option is called among a plan's terms, where that is not its own name."""


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
        SeveralNotExpressible: both.
    """
    refused: list[RateNotExpressible | TermsNotExpressible] = []
    rate_kbps = max(terms.download_kbps, terms.upload_kbps)
    if dialect.max_kbps is not None and rate_kbps > dialect.max_kbps:
        refused.append(RateNotExpressible(plan, rate_kbps=rate_kbps, dialect=dialect.name, max_kbps=dialect.max_kbps))
        terms = replace(
            terms,
            download_kbps=min(terms.download_kbps, dialect.max_kbps),
            upload_kbps=min(terms.upload_kbps, dialect.max_kbps),
        )
    encoded, faults = _encoded(dialect, plan, terms)
    if faults:
        refused.append(TermsNotExpressible(plan, dialect=dialect.name, faults=faults))
    if len(refused) > 1:
        raise SeveralNotExpressible(refused)
    if refused:
        raise refused[0]
    return encoded


def _encoded(dialect: Dialect, plan: str, terms: PlanTerms) -> tuple[tuple[EncodedAttribute, ...], list[str]]:
    """The attributes that can be said, and everything besides the rate that cannot."""
    faults = [_IN_WORDS[option] for option in _missing(dialect, terms)]
    most, cap = dialect.max_session_cap_megabytes, terms.session_cap_megabytes
    if "session_cap" in dialect.says and most is not None and cap is not None and cap > most:
        faults.append(f"session_cap_megabytes of {cap}: {most} is the highest")
        terms = replace(terms, session_cap_megabytes=None)
    try:
        return encode_reply(plan, _items(dialect, terms)), faults
    except SeveralRefused as several:
        refused: tuple[EncodingRefused, ...] = several.refused
    except EncodingRefused as one:
        refused = (one,)
    return (), faults + [_fault(dialect, terms, one) for one in refused]


def _items(dialect: Dialect, terms: PlanTerms) -> list[tuple[str, Value]]:
    return [*dialect.rate_attributes(terms.rate), *dialect.option_attributes(terms)]


def _fault(dialect: Dialect, terms: PlanTerms, refused: EncodingRefused) -> str:
    """What of the plan an attribute could not carry, by the name that the plan has for it."""
    if not isinstance(refused, ValueRefused):
        return str(refused).rstrip(".")
    told = _values(dialect, terms, refused.attribute)
    named = [
        " and ".join(_TERMS.get(option, (option,)))
        for option in sorted(terms.options)
        if _values(dialect, _without(terms, option), refused.attribute) != told
    ]
    return f"{' or '.join(named) or 'the rate'} as it is ({refused.attribute}: {refused.reason})"


def _values(dialect: Dialect, terms: PlanTerms, attribute: str) -> list[Value]:
    return [value for name, value in _items(dialect, terms) if name == attribute]


def _without(terms: PlanTerms, option: Option) -> PlanTerms:
    bare = PlanTerms(terms.download_kbps, terms.upload_kbps)
    return replace(terms, **{name: getattr(bare, name) for name in _TERMS.get(option, (option,))})


def _missing(dialect: Dialect, terms: PlanTerms) -> Iterator[Option]:
    prepared = {"burst", "priority"} if dialect.prepared and terms.qos_profile is not None else set()
    for option in sorted(terms.options - dialect.says - _IN_NUMBERS):
        if option not in prepared:
            yield option
