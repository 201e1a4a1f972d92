"""FreeRADIUS, kept as we want it: subscribers, plans and NASes, and what the server needs to know of them.

What we want stands in our own tables (``RadiusService``, and ``SubscriberVerbs`` for what an operator does to a
subscriber that is served; one transaction, no network). ``RadiusProjector`` carries it into FreeRADIUS' own tables, as
often as it is asked to, and finds what differs there; ``SessionChanges`` carries it to the sessions that are open.
``SessionReader`` reads the sessions FreeRADIUS has written down, and ``SessionControl`` asks their NASes to end them.
The server's configuration is ``deploy/freeradius``; a real server and a NAS for a lab are in ``radius.testing``.

``SubscriberImport`` and ``BulkProjector`` do the same for thousands from elsewhere.

Reading order: ``service`` (the verbs) -> ``projection`` (rows, pure) -> ``projector`` (carrying them over).

How to add

* a vendor's way to be told a plan: ``radius/dialects/__init__.py`` has the recipe;
* an attribute: its facts in ``attributes.toml``, then whoever renders it (``projection``, ``wording``) may use it;
* a state or a move between states: ``states``, and what it means for the rows in ``projection``;
* an invariant for ``firstlight check``: ``invariants``.
"""

from __future__ import annotations

from radius.adoption import Adoption, read_beside, read_radius_tables
from radius.bulk_projection import Bulk, BulkProjector
from radius.changes import SubscriberChange, subscriber_changes
from radius.dialects import Rate, dialect_named
from radius.disconnect import NasSaid
from radius.drift import Drift
from radius.dynamic_authorization import Retransmission
from radius.errors import (
    AddressConflict,
    AttributeUnknown,
    DialectUnknown,
    EncodingRefused,
    IllegalMove,
    NasAddressTaken,
    NasRefused,
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
from radius.nases import CoaTerms
from radius.password_storage import PasswordStorage
from radius.projection import FramedAddresses
from radius.projection_errors import (
    ForeignRows,
    ProjectionError,
    ProjectionRaced,
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
)
from radius.projector import RadiusProjector
from radius.replies import ReplyRow, address_replies
from radius.results import (
    CreatedSubscriber,
    DefinedNas,
    DefinedPlan,
    Disconnection,
    ProjectedSubscriber,
    Projection,
    SessionAnswer,
    SessionChangeView,
    SessionsEnded,
    SubscriberView,
    TreatedSession,
)
from radius.service import RadiusService
from radius.session_changes import SessionChanges
from radius.session_control import SessionControl
from radius.sessions import Session, SessionReader
from radius.standing import live_username_of_service, states_of_customer
from radius.states import State
from radius.tables import RadiusBase
from radius.terms import PlanTerms
from radius.verbs import SubscriberVerbs

__all__ = [
    "RADIUS_INVARIANTS",
    "AddressConflict",
    "Adoption",
    "AttributeUnknown",
    "BroughtIn",
    "Bulk",
    "BulkProjector",
    "CoaTerms",
    "CreatedSubscriber",
    "DefinedNas",
    "DefinedPlan",
    "DialectUnknown",
    "Disconnection",
    "Drift",
    "EncodingRefused",
    "Finding",
    "ForeignRows",
    "FramedAddresses",
    "IllegalMove",
    "ImportRefused",
    "ImportUnreadable",
    "Invariant",
    "NasAddressTaken",
    "NasRefused",
    "NasSaid",
    "PasswordStorage",
    "PasswordStorageRefused",
    "PlanRefused",
    "PlanTerms",
    "PlanUnknown",
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
    "ReplyRow",
    "RequestConflict",
    "RequestRefused",
    "Retransmission",
    "Session",
    "SessionAnswer",
    "SessionChangeUnknown",
    "SessionChangeView",
    "SessionChanges",
    "SessionControl",
    "SessionReader",
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
    "TreatedSession",
    "UsernameRefused",
    "UsernameTaken",
    "ValueRefused",
    "address_replies",
    "addresses_not_as_allocated",
    "dialect_named",
    "drift_findings",
    "ensure_freeradius_tables",
    "live_username_of_service",
    "read_beside",
    "read_radius_tables",
    "read_subscribers",
    "states_not_as_billed",
    "states_of_customer",
    "subscriber_changes",
    "subscribers_nobody_wants",
    "subscribers_of_ended_services",
]
