"""FreeRADIUS, kept as we want it: subscribers, plans and NASes, and what the server needs to know of them.

What we want stands in our own tables (``RadiusService``, and ``SubscriberVerbs`` for what an operator does to a
subscriber that is served; one transaction, no network). ``RadiusProjector`` carries it into FreeRADIUS' own tables, as
often as it is asked to, and finds what differs there; ``SessionChanges`` carries it to the sessions that are open.
``SessionReader`` reads the sessions FreeRADIUS has written down, and ``SessionControl`` asks their NASes to end them.
``SessionLooks`` and ``UsageLooks`` answer operators; ``Reaper`` closes what has fallen silent, ``UsageCount`` splits
what was used by days, and ``SessionArchive`` keeps radacct small.
``LoginLog`` reads who was let in and who was not, ``Diagnoses`` says why somebody can't log in, and ``examine`` looks
for what is known to hurt in the server itself.
The server's configuration is ``deploy/freeradius``; a real server and a NAS for a lab are in ``radius.testing``.

``SubscriberImport`` and ``BulkProjector`` do the same for thousands from elsewhere.

Reading order: ``service`` (the verbs) -> ``projection`` (rows, pure) -> ``projector`` (carrying them over).

How to add

* a vendor's way to be told a plan: ``radius/dialects/__init__.py`` has the recipe;
* an attribute: its facts in ``attributes.toml``, then whoever renders it (``projection``, ``wording``) may use it;
* a state or a move between states: ``states``, and what it means for the rows in ``projection``;
* an invariant for ``firstlight check``: ``invariants``;
* a reason why a login is refused: a word in ``deploy/freeradius/raddb/login_log.conf``, its words in ``logins``, and
  what to do about it in ``diagnosis_of_logins``;
* a trap of a FreeRADIUS configuration for ``firstlight doctor``: ``raddb_checks``, and a seed in its test.
"""

from __future__ import annotations

from radius.adoption import Adoption, read_beside, read_radius_tables
from radius.archive import Archived, Kept, SessionArchive
from radius.bulk_projection import Bulk, BulkProjector
from radius.canary import AuthDoor
from radius.changes import SubscriberChange, subscriber_changes
from radius.dialects import Rate, dialect_named
from radius.disconnect import NasSaid
from radius.doctor import Examination, examine
from radius.doctor_wire import Patient
from radius.doors import nas_doors
from radius.drift import Drift
from radius.dynamic_authorization import Retransmission
from radius.errors import (
    AddressConflict,
    AttributeUnknown,
    DialectUnknown,
    EncodingRefused,
    IllegalMove,
    LookRefused,
    NasAddressTaken,
    NasNameTaken,
    NasRefused,
    NasUnknown,
    PasswordStorageRefused,
    PlanRefused,
    PlanUnknown,
    RadiusError,
    RateNotExpressible,
    RequestConflict,
    RequestRefused,
    SessionChangeUnknown,
    SessionsStillOpen,
    SeveralNotExpressible,
    SeveralRefused,
    SubscriberTerminated,
    SubscriberUnknown,
    TermsNotExpressible,
    TestingWindowOver,
    UsernameRefused,
    UsernameTaken,
    ValueRefused,
)
from radius.evidence import Diagnoses, DiagnosisTerms
from radius.findings import Diagnosis
from radius.freeradius_tables import ensure_freeradius_tables
from radius.import_errors import ImportRefused, ImportUnreadable
from radius.import_files import SubscriberFile, SubscriberLine, read_subscribers
from radius.importing import BroughtIn, Settled, SubscriberImport
from radius.invariants import (
    RADIUS_INVARIANTS,
    Finding,
    Invariant,
    addresses_not_as_allocated,
    drift_findings,
    states_not_as_billed,
    subscribers_nobody_wants,
    subscribers_of_ended_services,
)
from radius.line_identity import LineIdentity
from radius.logins import LoginLog, LoginView, UnknownNas, UnknownUser
from radius.nas_probe import Probe, probe_coa, probe_log, probe_login
from radius.nases import CoaTerms
from radius.password_storage import LOGIN_METHODS, PasswordStorage
from radius.plan_applying import PlanChanges, tell_of_plan
from radius.projection import FramedAddresses
from radius.projection_errors import (
    ForeignRows,
    ProjectionError,
    ProjectionRaced,
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
)
from radius.projector import RadiusProjector
from radius.raddb_checks import Trap
from radius.reaper import NasGuard, Reaped, Reaper
from radius.replies import ReplyRow, address_replies
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
)
from radius.service import RadiusService
from radius.session_changes import SessionChanges
from radius.session_control import SessionControl
from radius.session_looks import SessionLooks, SessionState, SessionView
from radius.sessions import Session, SessionReader
from radius.standing import live_username_of_service, states_of_customer
from radius.states import State
from radius.tables import RadiusBase
from radius.terms import PlanTerms
from radius.usage import UnsplitUsage, UsageLooks, UsageOfDay, UsageView, UsedOctets
from radius.usage_count import UsageCount
from radius.verb_errors import AccessUnfit, ExternalIdTaken, GardenUnfit, LineRefused, LineTaken
from radius.verbs import SubscriberVerbs

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
    "CoaTerms",
    "CreatedSubscriber",
    "DefinedNas",
    "DefinedPlan",
    "Diagnoses",
    "Diagnosis",
    "DiagnosisTerms",
    "DialectUnknown",
    "Disconnection",
    "Drift",
    "EncodingRefused",
    "Examination",
    "ExternalIdTaken",
    "Finding",
    "ForeignRows",
    "FramedAddresses",
    "GardenUnfit",
    "IllegalMove",
    "ImportRefused",
    "ImportUnreadable",
    "Invariant",
    "Kept",
    "LineIdentity",
    "LineRefused",
    "LineTaken",
    "ListedPlan",
    "LoginLog",
    "LoginView",
    "LookRefused",
    "NasAddressTaken",
    "NasGuard",
    "NasNameTaken",
    "NasRefused",
    "NasSaid",
    "NasUnknown",
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
    "SessionLooks",
    "SessionReader",
    "SessionState",
    "SessionView",
    "SessionsEnded",
    "SessionsStillOpen",
    "Settled",
    "SeveralNotExpressible",
    "SeveralRefused",
    "State",
    "SubscriberChange",
    "SubscriberFile",
    "SubscriberImport",
    "SubscriberLine",
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
    "dialect_named",
    "drift_findings",
    "ensure_freeradius_tables",
    "examine",
    "live_username_of_service",
    "nas_doors",
    "probe_coa",
    "probe_log",
    "probe_login",
    "read_beside",
    "read_radius_tables",
    "read_subscribers",
    "states_not_as_billed",
    "states_of_customer",
    "subscriber_changes",
    "subscribers_nobody_wants",
    "subscribers_of_ended_services",
    "tell_of_plan",
]
