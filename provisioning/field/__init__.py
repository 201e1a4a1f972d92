"""Field work: who visits whom and when, and what came of it.

``Visits`` is the calendar: it books a visit only when the technician is free (the database refuses anything else),
keeps what is reported from the field and knows each report again when it arrives twice. An order and the installation
that belongs to it share one visit (``claims``). ``Technicians`` is the list of people. Both write only the ``db``
they are given; the caller commits. ``Planning`` keeps when technicians work, ``Jobs`` what there is to do, and
``Search`` finds who can come when, the best first, and says why.

To add an outcome of a visit: name it in ``workflows.services.VisitState`` and in ``tables.VisitOutcome`` (and in the
CHECK), and say in ``reporting.ALLOWED`` from which states it may follow. A state in which the technician is still
needed also goes into ``tables.LIVE_STATES`` and into the four rules below it.
"""

from provisioning.field.alternatives import Alternatives
from provisioning.field.choice_errors import (
    InvitationOver,
    InvitationUnknown,
    NoTimeAwaited,
    NoTimeChosen,
    NoVisitAwaited,
    VisitNotMovable,
)
from provisioning.field.claims import Whose
from provisioning.field.customer_moves import NO_MOVES, CustomerMoves, MoveTerms, Standing, WhyNot
from provisioning.field.errors import (
    CancelRefused,
    FeedUnknown,
    FieldError,
    HoldEnds,
    JobUnknown,
    LeaveUnknown,
    NobodyFree,
    OutsideHours,
    RosterCollides,
    SkillMissing,
    SkillsNeeded,
    SlotRefused,
    TechnicianBusy,
    TechnicianConflict,
    TechnicianUnknown,
    VisitChanged,
    VisitMoving,
    VisitNotBegun,
    VisitOver,
    VisitUnknown,
)
from provisioning.field.feed_tables import CalendarFeed, FormerTechnician
from provisioning.field.feeds import FeedRecord, Feeds, MadeFeed
from provisioning.field.fitting import Asked, Fitting, Override, Task
from provisioning.field.invitations import InvitationRecord, Invitations, VisitInvitation, place_of_invitation
from provisioning.field.jobs import JobRecord, Jobs
from provisioning.field.known_visits import KnownVisits
from provisioning.field.osrm import Osrm
from provisioning.field.planning import LeaveRecord, PlannedTechnician, Planning
from provisioning.field.planning_tables import TechnicianLeave, VisitJob
from provisioning.field.purposes import JOINING, OF_SIGNAL, VISIT, Joining
from provisioning.field.record_tables import ActKind, JobSheet, VisitAct, VisitPhoto
from provisioning.field.records import ReportedVisit, VisitRecord
from provisioning.field.search import Search, SlotOffer
from provisioning.field.serials import normalise_serial
from provisioning.field.sheets import PhotoRecord, SheetRecord, Sheets, read_made_at
from provisioning.field.stock import VanStock
from provisioning.field.stock_records import StockHistory, StockItem, StockMovement
from provisioning.field.stock_tables import IN_A_VAN, StockState, VanItem, VanMovement
from provisioning.field.tables import (
    CAME_TO_NOTHING,
    IN_VAIN,
    LIVE_STATES,
    Technician,
    Visit,
    VisitBooking,
    VisitOutcome,
    VisitPurpose,
    VisitReport,
)
from provisioning.field.technicians import TechnicianRecord, Technicians, hold_technicians
from provisioning.field.travel import Place, place_of, read_place
from provisioning.field.visits import Visits
from provisioning.field.ways import AS_THE_CROW_FLIES, Asking, Ways
from provisioning.field.work_errors import (
    NotDone,
    PhotosFull,
    PhotoUnknown,
    SheetChanged,
    StockElsewhere,
    StockInstalled,
    StockMissing,
    StockUnknown,
)

__all__ = [
    "AS_THE_CROW_FLIES",
    "CAME_TO_NOTHING",
    "IN_A_VAN",
    "IN_VAIN",
    "JOINING",
    "LIVE_STATES",
    "NO_MOVES",
    "OF_SIGNAL",
    "VISIT",
    "ActKind",
    "Alternatives",
    "Asked",
    "Asking",
    "CalendarFeed",
    "CancelRefused",
    "CustomerMoves",
    "FeedRecord",
    "FeedUnknown",
    "Feeds",
    "FieldError",
    "Fitting",
    "FormerTechnician",
    "HoldEnds",
    "InvitationOver",
    "InvitationRecord",
    "InvitationUnknown",
    "Invitations",
    "JobRecord",
    "JobSheet",
    "JobUnknown",
    "Jobs",
    "Joining",
    "KnownVisits",
    "LeaveRecord",
    "LeaveUnknown",
    "MadeFeed",
    "MoveTerms",
    "NoTimeAwaited",
    "NoTimeChosen",
    "NoVisitAwaited",
    "NobodyFree",
    "NotDone",
    "Osrm",
    "OutsideHours",
    "Override",
    "PhotoRecord",
    "PhotoUnknown",
    "PhotosFull",
    "Place",
    "PlannedTechnician",
    "Planning",
    "ReportedVisit",
    "RosterCollides",
    "Search",
    "SheetChanged",
    "SheetRecord",
    "Sheets",
    "SkillMissing",
    "SkillsNeeded",
    "SlotOffer",
    "SlotRefused",
    "Standing",
    "StockElsewhere",
    "StockHistory",
    "StockInstalled",
    "StockItem",
    "StockMissing",
    "StockMovement",
    "StockState",
    "StockUnknown",
    "Task",
    "Technician",
    "TechnicianBusy",
    "TechnicianConflict",
    "TechnicianLeave",
    "TechnicianRecord",
    "TechnicianUnknown",
    "Technicians",
    "VanItem",
    "VanMovement",
    "VanStock",
    "Visit",
    "VisitAct",
    "VisitBooking",
    "VisitChanged",
    "VisitInvitation",
    "VisitJob",
    "VisitMoving",
    "VisitNotBegun",
    "VisitNotMovable",
    "VisitOutcome",
    "VisitOver",
    "VisitPhoto",
    "VisitPurpose",
    "VisitRecord",
    "VisitReport",
    "VisitUnknown",
    "Visits",
    "Ways",
    "Whose",
    "WhyNot",
    "hold_technicians",
    "normalise_serial",
    "place_of",
    "place_of_invitation",
    "read_made_at",
    "read_place",
]
