"""What ``RadiusService`` and ``RadiusProjector`` answer: JSON-able dictionaries. Secrets appear as references only."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict

from radius.coa.disconnect import NasSaid
from radius.coa.tables import Act, ChangeState, SessionSaid
from radius.plans.terms import PlanTerms
from radius.states import Origin, State
from radius.subscribers.password_hashes import HashKind


class CreatedSubscriber(TypedDict):
    """The subscriber that a request made, in the state it has by now.

    ``radacct_id`` is our subscriber's id: the accounting table has no row before the first login, and none is ever
    faked. ``password`` is a reference such as ``secret:subscriber/42``.
    """

    radacct_id: int
    subscriber_id: int
    username: str
    password: str
    state: State


class SubscriberView(TypedDict):
    """A subscriber as we want it. ``projected`` is true when FreeRADIUS' tables show exactly this wish.

    ``garden`` is the plan by which a suspended one is served; None: its logins are refused. ``capped`` is the plan that
    serves one which has used up its data cap, unless it is suspended. ``routes`` and
    ``ipv6_routes`` as in ``FramedAddresses``. ``external_id`` is the ISP's own number of it. ``line`` is where it may
    log in from (``LineIdentity``; nothing: from anywhere), ``login_by_line`` whether that line does so by itself.
    ``origin``: what was *imported*, no run ends. ``password_hash_kind``: only a hash of its password is known (*nt*,
    *ssha2-512*), so nothing stands under ``password``.
    """

    subscriber_id: int
    customer_id: int
    service_id: int | None
    username: str
    plan: str
    state: State
    garden: str | None
    capped: str | None
    testing_until: datetime | None
    ipv4: str | None
    ipv4_pool: str | None
    ipv6_wan_prefix: str | None
    delegated_prefix: str | None
    routes: list[str]
    ipv6_routes: list[str]
    external_id: str | None
    line: dict[str, str]
    login_by_line: bool
    origin: Origin
    password: str
    password_hash_kind: HashKind | None
    version: int
    projected: bool


class DefinedPlan(TypedDict):
    """A plan as we want it; ``dataclasses.asdict`` makes its terms JSON-able."""

    plan_id: int
    name: str
    terms: PlanTerms
    version: int
    projected: bool


class ListedPlan(DefinedPlan):
    """A plan and how many subscribers that are not terminated are on it, and in it as a walled garden."""

    subscribers: int
    in_garden: int


class RenderedRow(TypedDict):
    """One row of ``radgroupreply``, or of ``radgroupcheck``."""

    table: str
    group: str
    attribute: str
    op: str
    value: str


class RenderedPlan(TypedDict):
    """What NASes of one dialect are told of a plan (``every``: what all of them are); ``faults`` say why none of that
    dialect can be."""

    dialect: str
    rows: list[RenderedRow]
    faults: list[str]


class UntoldPlan(TypedDict):
    """A plan that a NAS can't be told, and that wants nobody to be let in there then (``where_untold``); ``faults``
    say why not."""

    plan: str
    nas: str
    faults: list[str]


class AppliedPlan(TypedDict):
    """How many subscribers, with how many open sessions (None: nobody has looked), are being told of their plan."""

    plan: str
    subscribers: int
    sessions: int | None


class NasCoa(TypedDict):
    """How a NAS takes requests about its sessions, as ``CoaTerms``; no ``keys``: those of its dialect."""

    keys: list[str]
    event_timestamp: bool
    per_second: int | None
    may_end: bool


class DefinedNas(TypedDict):
    """A NAS as we want it. ``calls_itself``: by which other addresses (``NasTerms``). ``secret`` is a reference such as
    ``secret:nas/3``; ``projected_at`` is when FreeRADIUS' rows came to show what they show of it."""

    nas_id: int
    name: str
    address: str
    dialect: str
    coa_port: int
    login_methods: list[str]
    lines: bool
    calls_itself: list[str]
    coa: NasCoa
    secret: str
    version: int
    projected: bool
    projected_at: datetime | None


class ProjectedSubscriber(TypedDict):
    """What FreeRADIUS now has for a subscriber. ``changed`` is false when it had just that before."""

    subscriber_id: int
    username: str
    state: State
    version: int
    digest: str
    changed: bool


class Projection(TypedDict):
    """What FreeRADIUS now has for a plan or a NAS."""

    kind: str
    name: str
    version: int
    digest: str
    changed: bool


class SessionAnswer(TypedDict):
    """What became of the request to end one session. ``error_cause`` is the NAS' own number (RFC 5176 s3.5)."""

    session_id: str
    nas_address: str
    said: NasSaid
    error_cause: int | None
    reason: str


class Disconnection(TypedDict):
    """The sessions that were open, each with what its NAS said. None: nobody was online, and nobody was asked."""

    username: str
    sessions: list[SessionAnswer]


class SessionsEnded(TypedDict):
    """No session of this name is open any more: ``asked`` is what had to be asked for that now."""

    username: str
    asked: list[SessionAnswer]


class TreatedSession(TypedDict):
    """One open session of a change: what its NAS said last, and since when accounting shows it (None: not yet)."""

    session_id: str
    nas_address: str
    said: SessionSaid
    error_cause: int | None
    reason: str
    asked_at: datetime | None
    confirmed_at: datetime | None


class SessionChangeView(TypedDict):
    """A change that is committed, and how far the sessions that were open have followed.

    ``carried_at``: since when FreeRADIUS shows it to every login. ``next_at``: when pending sessions are looked at
    again.
    """

    change_id: int
    subscriber_id: int
    act: Act
    state: ChangeState
    attempts: int
    made_at: datetime
    carried_at: datetime | None
    settled_at: datetime | None
    next_at: datetime | None
    sessions: list[TreatedSession]
