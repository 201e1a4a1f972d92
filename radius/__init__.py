"""FreeRADIUS, kept as we want it: subscribers, plans and NASes, and what the server needs to know of them.

What we want stands in our own tables (``RadiusService``, and ``SubscriberVerbs`` for what an operator does to a
subscriber that is served; one transaction, no network). ``RadiusProjector`` carries it into FreeRADIUS' own tables, as
often as it is asked to, and finds what differs there; ``SessionChanges`` carries it to the sessions that are open,
``ReopenedSessions`` to those that were closed too early.
``SessionReader`` reads the sessions FreeRADIUS has written down by their names, ``OwnSessions`` those of one
subscriber, whoever else has had its name, and ``SessionControl`` asks their NASes to end them.
``SessionLooks`` and ``UsageLooks`` answer operators; ``Reaper`` closes what has fallen silent, ``UsageCount`` splits
what was used by days, and ``SessionArchive`` keeps radacct small.
``StationBook`` keeps by MAC address who has logged in, for ``StationLooks``; ``SubscriberSearch`` finds subscribers by
whatever of them is known.
``DataCaps`` looks at what was used of a billing month, and brings subscribers to what their plans say of that.
``LoginLog`` reads who was let in and who was not, ``Diagnoses`` says why somebody can't log in, and ``examine`` looks
for what is known to hurt in the server itself.
The server's configuration is ``deploy/freeradius``; a real server and a NAS for a lab are in ``radius.testing``.

``SubscriberImport`` and ``BulkProjector`` do the same for thousands from elsewhere.

Reading order: ``service`` (the verbs) -> ``projection/projection`` (rows, pure) -> ``projection/projector`` (carrying
them over). Each folder says in its first line what it is for.

How to add

* a vendor's way to be told a plan: ``radius/dialects/__init__.py`` has the recipe;
* an attribute: its facts in ``attributes.toml``, then whoever renders it (``projection``, ``plans/wording``)
  may use it;
* a state or a move between states: ``states``, and what it means for the rows in ``projection/projection``;
* an invariant for ``firstlight check``: ``invariants``;
* a reason why a login is refused: a word in ``deploy/freeradius/raddb/login_log.conf``, its words in
  ``logins/views``, and what to do about it in ``logins/diagnosis_of_logins``;
* a trap of a FreeRADIUS configuration for ``firstlight doctor``: ``doctor/traps``, and a seed in its test.
"""

from __future__ import annotations

from radius.caps.caps import DataCaps, DataCapView
from radius.caps.periods import CapPeriod
from radius.coa.behind import SessionsBehind, sessions_behind
from radius.coa.disconnect import NasSaid
from radius.coa.doors import nas_doors
from radius.coa.dynamic_authorization import Retransmission
from radius.coa.lanes import NasLanes
from radius.coa.namesakes import SessionMark
from radius.coa.reopened import ReopenedSessions
from radius.coa.session_changes import SessionChanges
from radius.coa.session_control import SessionControl
from radius.commands import as_argument, command_about
from radius.dialects import Rate, SessionKey, dialect_named
from radius.doctor.examination import Examination, examine
from radius.doctor.traps import Trap
from radius.doctor.wire import Patient
from radius.errors import (
    AddressConflict,
    AttributeUnknown,
    EncodingRefused,
    IllegalMove,
    LoginFolderUnusable,
    LookRefused,
    PasswordStorageRefused,
    RadiusError,
    RequestConflict,
    RequestRefused,
    SessionChangeUnknown,
    SessionsStillOpen,
    SeveralRefused,
    SubscriberRenamed,
    SubscriberTerminated,
    SubscriberUnknown,
    TestingWindowOver,
    UsernameRefused,
    UsernameTaken,
    ValueRefused,
)
from radius.given_twice import DoubledAddress, doubled_addresses, doubled_findings
from radius.importing.adoption import Adoption, read_beside, read_radius_tables
from radius.importing.errors import ImportRefused, ImportUnreadable
from radius.importing.files import SubscriberFile, SubscriberLine, read_subscribers
from radius.importing.importing import BroughtIn, Settled, SubscriberImport
from radius.importing.pace import GivingWay
from radius.importing.projecting import Bulk, BulkProjector
from radius.invariants import (
    RADIUS_INVARIANTS,
    Finding,
    Invariant,
    addresses_not_as_allocated,
    drift_findings,
    lines_that_no_nas_tells_of,
    states_not_as_billed,
    subscribers_nobody_wants,
    subscribers_of_ended_services,
)
from radius.known import known_are, meant
from radius.logins.carrying import LoginCarrier
from radius.logins.evidence import Diagnoses, DiagnosisTerms
from radius.logins.findings import Diagnosis
from radius.logins.logins import LoginLog
from radius.logins.server_log import unknown_clients
from radius.logins.views import LoginsAlike, LoginView, UnknownNas, UnknownUser
from radius.nas.adopting import secret_to_adopt
from radius.nas.called import how_called
from radius.nas.canary import AuthDoor
from radius.nas.finding import FoundNas, NasSearch
from radius.nas.probe import Probe, probe_coa, probe_log, probe_login
from radius.nas.silence import NasSilence, note_silence
from radius.nas.terms import CoaChange, CoaTerms, NasChange
from radius.nas_errors import (
    DialectUnknown,
    NasAddressTaken,
    NasNameTaken,
    NasNotSilent,
    NasRefused,
    NasSessionsOpen,
    NasUnknown,
    NothingToAdopt,
)
from radius.plan_errors import PlanRefused, PlanUnknown, RateNotExpressible, SeveralNotExpressible, TermsNotExpressible
from radius.plans.applying import PlanChanges, tell_of_plan
from radius.plans.looks import said_by_plans
from radius.plans.plans import plan_faults
from radius.plans.terms import PlanTerms
from radius.projection.drift import Drift
from radius.projection.freeradius_tables import ensure_freeradius_tables
from radius.projection.projection import FramedAddresses
from radius.projection.projector import RadiusProjector
from radius.projection.replies import ReplyRow, address_replies
from radius.projection.shown import ShownSubscriber, SubscriberRows
from radius.projection.taking_away import is_left_by_others
from radius.projection_errors import (
    ForeignRows,
    ProjectionError,
    ProjectionRaced,
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
)
from radius.results import (
    AppliedPlan,
    CreatedSubscriber,
    DefinedNas,
    DefinedPlan,
    Disconnection,
    ListedPlan,
    ProjectedSubscriber,
    Projection,
    RenderedPlan,
    RenderedRow,
    SessionAnswer,
    SessionChangeView,
    SessionsEnded,
    SubscriberView,
    TreatedSession,
    UntoldPlan,
)
from radius.service import RadiusService
from radius.sessions.archive import Archived, Kept, SessionArchive
from radius.sessions.clocks import wrong_clock_of
from radius.sessions.closing import SilentSessions
from radius.sessions.looks import SessionLooks, SessionState, SessionView
from radius.sessions.losses import LostSession, SessionLosses
from radius.sessions.own_sessions import OwnSessions
from radius.sessions.reaper import NasGuard, Reaped, Reaper
from radius.sessions.sessions import Session, SessionReader
from radius.sessions.stations import OnlineView, StationBook, StationLooks, StationView
from radius.sessions.usage_count import UsageCount
from radius.sessions.usage_looks import UnsplitUsage, UsageLooks, UsageOfDay, UsageView, UsedOctets
from radius.states import State
from radius.subscribers.cap_verbs import CapCrossing
from radius.subscribers.changes import SubscriberChange, subscriber_changes
from radius.subscribers.finding import SubscriberSearch
from radius.subscribers.line_identity import LineIdentity
from radius.subscribers.name_holders import HeldName
from radius.subscribers.password_storage import LOGIN_METHODS, PasswordStorage
from radius.subscribers.standing import live_username_of_service, states_of_customer
from radius.subscribers.verbs import SubscriberVerbs
from radius.tables import RadiusBase, hash_ref_beside
from radius.verb_errors import AccessUnfit, ExternalIdTaken, GardenUnfit, LineRefused, LineTaken, NoDataCap

__all__ = [
    "LOGIN_METHODS",
    "RADIUS_INVARIANTS",
    "AccessUnfit",
    "AddressConflict",
    "Adoption",
    "AppliedPlan",
    "Archived",
    "AttributeUnknown",
    "AuthDoor",
    "BroughtIn",
    "Bulk",
    "BulkProjector",
    "CapCrossing",
    "CapPeriod",
    "CoaChange",
    "CoaTerms",
    "CreatedSubscriber",
    "DataCapView",
    "DataCaps",
    "DefinedNas",
    "DefinedPlan",
    "Diagnoses",
    "Diagnosis",
    "DiagnosisTerms",
    "DialectUnknown",
    "Disconnection",
    "DoubledAddress",
    "Drift",
    "EncodingRefused",
    "Examination",
    "ExternalIdTaken",
    "Finding",
    "ForeignRows",
    "FoundNas",
    "FramedAddresses",
    "GardenUnfit",
    "GivingWay",
    "HeldName",
    "IllegalMove",
    "ImportRefused",
    "ImportUnreadable",
    "Invariant",
    "Kept",
    "LineIdentity",
    "LineRefused",
    "LineTaken",
    "ListedPlan",
    "LoginCarrier",
    "LoginFolderUnusable",
    "LoginLog",
    "LoginView",
    "LoginsAlike",
    "LookRefused",
    "LostSession",
    "NasAddressTaken",
    "NasChange",
    "NasGuard",
    "NasLanes",
    "NasNameTaken",
    "NasNotSilent",
    "NasRefused",
    "NasSaid",
    "NasSearch",
    "NasSessionsOpen",
    "NasSilence",
    "NasUnknown",
    "NoDataCap",
    "NothingToAdopt",
    "OnlineView",
    "OwnSessions",
    "PasswordStorage",
    "PasswordStorageRefused",
    "Patient",
    "PlanChanges",
    "PlanRefused",
    "PlanTerms",
    "PlanUnknown",
    "Probe",
    "ProjectedSubscriber",
    "Projection",
    "ProjectionError",
    "ProjectionRaced",
    "RadiusBase",
    "RadiusDatabaseUnavailable",
    "RadiusDatabaseUnfit",
    "RadiusError",
    "RadiusProjector",
    "RadiusService",
    "Rate",
    "RateNotExpressible",
    "Reaped",
    "Reaper",
    "RenderedPlan",
    "RenderedRow",
    "ReopenedSessions",
    "ReplyRow",
    "RequestConflict",
    "RequestRefused",
    "Retransmission",
    "Session",
    "SessionAnswer",
    "SessionArchive",
    "SessionChangeUnknown",
    "SessionChangeView",
    "SessionChanges",
    "SessionControl",
    "SessionKey",
    "SessionLooks",
    "SessionLosses",
    "SessionMark",
    "SessionReader",
    "SessionState",
    "SessionView",
    "SessionsBehind",
    "SessionsEnded",
    "SessionsStillOpen",
    "Settled",
    "SeveralNotExpressible",
    "SeveralRefused",
    "ShownSubscriber",
    "SilentSessions",
    "State",
    "StationBook",
    "StationLooks",
    "StationView",
    "SubscriberChange",
    "SubscriberFile",
    "SubscriberImport",
    "SubscriberLine",
    "SubscriberRenamed",
    "SubscriberRows",
    "SubscriberSearch",
    "SubscriberTerminated",
    "SubscriberUnknown",
    "SubscriberVerbs",
    "SubscriberView",
    "TermsNotExpressible",
    "TestingWindowOver",
    "Trap",
    "TreatedSession",
    "UnknownNas",
    "UnknownUser",
    "UnsplitUsage",
    "UntoldPlan",
    "UsageCount",
    "UsageLooks",
    "UsageOfDay",
    "UsageView",
    "UsedOctets",
    "UsernameRefused",
    "UsernameTaken",
    "ValueRefused",
    "address_replies",
    "addresses_not_as_allocated",
    "as_argument",
    "command_about",
    "dialect_named",
    "doubled_addresses",
    "doubled_findings",
    "drift_findings",
    "ensure_freeradius_tables",
    "examine",
    "hash_ref_beside",
    "how_called",
    "is_left_by_others",
    "known_are",
    "lines_that_no_nas_tells_of",
    "live_username_of_service",
    "meant",
    "nas_doors",
    "note_silence",
    "plan_faults",
    "probe_coa",
    "probe_log",
    "probe_login",
    "read_beside",
    "read_radius_tables",
    "read_subscribers",
    "said_by_plans",
    "secret_to_adopt",
    "sessions_behind",
    "states_not_as_billed",
    "states_of_customer",
    "subscriber_changes",
    "subscribers_nobody_wants",
    "subscribers_of_ended_services",
    "tell_of_plan",
    "unknown_clients",
    "wrong_clock_of",
]
