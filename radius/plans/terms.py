"""The terms of a plan, in no vendor's words. The dialects (``radius.dialects``) say them to each vendor's NAS."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from radius.attributes import MAX_INTEGER
from radius.encoder import Value, encode
from radius.errors import EncodingRefused
from radius.tables import Plan

Access = Literal["pppoe", "ipoe"]
SecondLogin = Literal["replace", "reject", "allow"]
CapCounts = Literal["both", "download"]
AtCap = Literal["tell", "throttle", "garden"]
WhereUntold = Literal["refuse_plan", "refuse_login"]

Option = Literal[
    "burst",
    "priority",
    "session_cap",
    "ipv6_pool",
    "ipv6_delegated_pool",
    "dns_ipv4",
    "dns_ipv6",
    "vrf",
    "garden_filter",
    "garden_url",
    "qos_profile",
]
"""What a plan may say and not every NAS can be told."""

MAX_RATE_KBPS = 400_000_000
MIN_INTERIM_SECONDS = 60
"""RFC 2869 s5.16: no interval below a minute."""
MAX_CAP_OCTETS = 10**16
MAX_DNS = 2
"""Vendors have a primary and a secondary."""

_NAME_AT_NAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_URL = re.compile(r"https?://[!-~]{1,230}")
_BURST = ("burst_download_kbps", "burst_upload_kbps", "burst_seconds")
_CAP = ("data_cap_octets", "at_cap", "cap_plan")
"""Terms of which one needs another."""
_LISTS = {"dns_ipv4": "ERX-Primary-Dns", "dns_ipv6": "ERX-Ipv6-Primary-Dns"}
"""Lists of name servers, each with an attribute that takes what may stand in it."""


@dataclass(frozen=True)
class Burst:
    """A subscriber who was slow may be faster for a while: up to these rates, in kbit/s, until the average over
    ``seconds`` reaches the plan's own rate.
    """

    download_kbps: int
    upload_kbps: int
    seconds: int


@dataclass(frozen=True)
class Rate:
    """How fast a subscriber may be, seen from the subscriber: download is what comes to it. Units: kbit/s (1000
    bit/s).

    ``priority`` is 1 (served first) to 8. ``qos_profile`` is the name of what was prepared at the NASes
    that have such profiles.
    """

    download_kbps: int
    upload_kbps: int
    burst: Burst | None = None
    priority: int | None = None
    qos_profile: str | None = None


@dataclass(frozen=True)
class PlanTerms:
    """The terms of a plan: rates in kbit/s, times in seconds, None (and empty) for no limit and for nothing said.

    ``session_cap_megabytes`` (10^6 octets, both directions) ends the session at its NAS; the next one begins at zero.
    The pools are those at the BNG; a subscriber who has an address or prefix of its own gets that one.
    ``second_login`` of one who is online already: *replace* lets it in, and a former session of the same line is over;
    *reject* refuses it, unless it is the same line; *allow* lets it in, and every session goes on.
    ``garden_filter`` names what keeps a line in a walled garden at the NAS, ``garden_url`` where its browser is sent.
    ``data_cap_octets`` may be used in a billing month, and ``data_cap_counts`` whether both directions or the download
    count. ``at_cap`` is what happens then: *tell* only tells of it, *throttle* and *garden* serve the line by
    ``cap_plan``, a plan, in place of this one until the month ends.
    ``where_untold`` is what happens where a NAS can't be told all of it: *refuse_plan* refuses such a pair as soon as
    there is one, *refuse_login* lets nobody in there who is served by it.
    """

    download_kbps: int
    upload_kbps: int
    burst_download_kbps: int | None = None
    burst_upload_kbps: int | None = None
    burst_seconds: int | None = None
    priority: int | None = None
    qos_profile: str | None = None
    session_timeout_seconds: int | None = None
    idle_timeout_seconds: int | None = None
    interim_interval_seconds: int = 300
    session_cap_megabytes: int | None = None
    access: Access = "pppoe"
    ipv4_pool: str | None = None
    ipv6_pool: str | None = None
    ipv6_delegated_pool: str | None = None
    dns_ipv4: tuple[str, ...] = ()
    dns_ipv6: tuple[str, ...] = ()
    vrf: str | None = None
    garden_filter: str | None = None
    garden_url: str | None = None
    second_login: SecondLogin = "replace"
    data_cap_octets: int | None = None
    data_cap_counts: CapCounts = "both"
    at_cap: AtCap = "tell"
    cap_plan: str | None = None
    where_untold: WhereUntold = "refuse_plan"

    @property
    def rate(self) -> Rate:
        burst = None
        if self.burst_download_kbps and self.burst_upload_kbps and self.burst_seconds:
            burst = Burst(self.burst_download_kbps, self.burst_upload_kbps, self.burst_seconds)
        return Rate(self.download_kbps, self.upload_kbps, burst, self.priority, self.qos_profile)

    @property
    def options(self) -> frozenset[Option]:
        """Which of the options this plan says."""
        said = {
            "burst": self.rate.burst,
            "session_cap": self.session_cap_megabytes,
            **{name: getattr(self, name) for name in get_args(Option) if hasattr(self, name)},
        }
        return frozenset(name for name in get_args(Option) if said[name])

    def faults(self, *, unknown: Collection[str] = ()) -> list[str]:
        """Everything wrong with these terms, in plain phrases. Whether one needs another is not said of those that are
        ``unknown``: something else stands here for them."""
        burst, cap = (not set(unknown).intersection(each) for each in (_BURST, _CAP))
        return [*self._numbers(), *self._burst(burst), *self._names(), *self._servers(), *self._cap(cap)]

    def _numbers(self) -> Iterator[str]:
        bounds = (
            ("download_kbps", 1, MAX_RATE_KBPS),
            ("upload_kbps", 1, MAX_RATE_KBPS),
            ("burst_download_kbps", 1, MAX_RATE_KBPS),
            ("burst_upload_kbps", 1, MAX_RATE_KBPS),
            ("burst_seconds", 1, 3600),
            ("priority", 1, 8),
            ("session_timeout_seconds", 60, MAX_INTEGER),
            ("idle_timeout_seconds", 60, MAX_INTEGER),
            ("interim_interval_seconds", MIN_INTERIM_SECONDS, 86_400),
            ("session_cap_megabytes", 1, 1_000_000_000),
            ("data_cap_octets", 1, MAX_CAP_OCTETS),
        )
        for name, low, high in bounds:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                yield f"{name} is {value}, not between {low} and {high}"

    def _burst(self, whole: bool) -> Iterator[str]:
        given = [getattr(self, name) for name in _BURST]
        if whole and any(value is not None for value in given) and None in given:
            yield "a burst needs burst_download_kbps, burst_upload_kbps and burst_seconds"
        for direction in ("download", "upload"):
            burst, rate = getattr(self, f"burst_{direction}_kbps"), getattr(self, f"{direction}_kbps")
            if burst is not None and burst < rate:
                yield f"burst_{direction}_kbps is {burst}, less than the {rate} of {direction}_kbps"

    def _names(self) -> Iterator[str]:
        if self.access not in get_args(Access):
            yield f"access is {self.access[:40]!r}, not {' or '.join(get_args(Access))}"
        if self.second_login not in get_args(SecondLogin):
            yield f"second_login is {self.second_login[:40]!r}, not {', '.join(get_args(SecondLogin))}"
        if self.where_untold not in get_args(WhereUntold):
            yield f"where_untold is {self.where_untold[:40]!r}, not {' or '.join(get_args(WhereUntold))}"
        for name in ("qos_profile", "ipv6_pool", "ipv6_delegated_pool", "vrf", "garden_filter"):
            value = getattr(self, name)
            if value is not None and not _NAME_AT_NAS.fullmatch(value):
                yield f"{name} needs 1 to 32 of A-Z a-z 0-9 . _ -"
        if self.ipv4_pool is not None:
            yield from _refused("ipv4_pool", "Framed-Pool", self.ipv4_pool)
        if self.garden_url is not None and not _URL.fullmatch(self.garden_url):
            yield "garden_url needs to be http:// or https:// and up to 230 characters that can be seen, no blank"

    def _cap(self, whole: bool) -> Iterator[str]:
        if self.data_cap_counts not in get_args(CapCounts):
            yield f"data_cap_counts is {self.data_cap_counts[:40]!r}, not {' or '.join(get_args(CapCounts))}"
        if self.at_cap not in get_args(AtCap):
            yield f"at_cap is {self.at_cap[:40]!r}, not {', '.join(get_args(AtCap))}"
        elif whole and self.at_cap == "tell" and self.cap_plan is not None:
            yield "cap_plan needs at_cap to be throttle or garden"
        elif whole and self.at_cap != "tell" and self.cap_plan is None:
            yield f"at_cap {self.at_cap} needs cap_plan, the plan that serves the line then"
        if whole and self.data_cap_octets is None and (self.at_cap != "tell" or self.cap_plan is not None):
            yield "at_cap and cap_plan need data_cap_octets"

    def _servers(self) -> Iterator[str]:
        for name, attribute in _LISTS.items():
            servers: tuple[str, ...] = getattr(self, name)
            if len(servers) > MAX_DNS:
                yield f"{name} has {len(servers)} servers, and NASes are told {MAX_DNS}"
            for server in servers:
                yield from _refused(name, attribute, server)
            if len(set(_spelled(attribute, servers))) < len(servers):
                yield f"{name} has the same server twice"


def in_one_spelling(terms: PlanTerms) -> PlanTerms:
    """The same terms with every name server as a NAS is told it, so that two spellings are not two plans."""
    lists = {name: _spelled(attribute, getattr(terms, name)) for name, attribute in _LISTS.items()}
    return replace(terms, dns_ipv4=lists["dns_ipv4"], dns_ipv6=lists["dns_ipv6"])


def _spelled(attribute: str, servers: tuple[str, ...]) -> tuple[str, ...]:
    """A server that is no address stays as it is."""
    spelled = []
    for server in servers:
        try:
            spelled.append(encode(attribute, server, place="reply").value)
        except EncodingRefused:
            spelled.append(server)
    return tuple(spelled)


def _refused(term: str, attribute: str, value: Value) -> Iterator[str]:
    try:
        encode(attribute, value, place="reply")
    except EncodingRefused as refused:
        yield f"{term}: {getattr(refused, 'reason', refused)}"


def terms_of(plan: Plan) -> PlanTerms:
    """The terms as they stand in our table."""
    columns = {field.name: getattr(plan, field.name) for field in fields(PlanTerms)}
    for name in _LISTS:
        columns[name] = tuple((columns[name] or "").split())
    return PlanTerms(**columns)


def columns_of(terms: PlanTerms) -> dict[str, object]:
    """The same terms as columns of our table."""
    columns = dict(vars(terms))
    for name in _LISTS:
        columns[name] = " ".join(columns[name])
    return columns
