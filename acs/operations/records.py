"""What is told of an operation, and what each kind of them is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from typing_extensions import TypedDict

from acs.operations.tables import AcsOperation

OperationKind = Literal[
    "refresh", "get", "set", "reboot", "factory_reset", "firmware", "ping", "download", "wifi", "swap", "move"
]
OperationState = Literal["requested", "queued", "done", "faulted", "expired", "partial", "unknown", "cancelled"]
"""* requested: written down; nothing is at the ACS yet.
* queued: it waits for the CPE's session, or its effect is awaited.
* done: proven by what the CPE has shown since.
* faulted: the CPE, or the ACS, said no.
* expired: its time is over, and it was not done.
* partial: its first part was done, and the rest was not before it ended; the reason says what.
* unknown: it may have happened. While it has not ended its effect is looked for.
* cancelled: taken back before it ran.
"""


class OperationRecord(TypedDict):
    """One operation, for an operator. Without a secret."""

    operation_id: int
    device_serial: str
    customer_id: int | None
    kind: OperationKind
    arguments: dict[str, Any]
    state: OperationState
    reason: str
    result: dict[str, Any] | None
    requested_by: str
    requested_at: datetime
    queued_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KindFacts:
    """``within``: how long it waits for the CPE, unless told otherwise. ``settling``: how long its effect is awaited
    beyond that once the CPE has taken it. ``exclusive``: no two such operations at one time on one CPE."""

    within: timedelta
    settling: timedelta = timedelta(minutes=5)
    exclusive: bool = False


KINDS: Mapping[OperationKind, KindFacts] = {
    "refresh": KindFacts(timedelta(days=1)),
    "get": KindFacts(timedelta(days=1)),
    "set": KindFacts(timedelta(days=1)),
    "reboot": KindFacts(timedelta(hours=4), timedelta(minutes=15), exclusive=True),
    "factory_reset": KindFacts(timedelta(hours=4), timedelta(hours=1), exclusive=True),
    # GenieACS waits an hour for TransferComplete (DOWNLOAD_TIMEOUT)
    "firmware": KindFacts(timedelta(hours=12), timedelta(minutes=75), exclusive=True),
    "ping": KindFacts(timedelta(minutes=30), exclusive=True),
    "download": KindFacts(timedelta(minutes=30), exclusive=True),
    "wifi": KindFacts(timedelta(days=30)),
    "swap": KindFacts(timedelta(days=30)),
    "move": KindFacts(timedelta(days=30)),
}
LONGEST = timedelta(days=30)
ALWAYS_OURS: tuple[OperationKind, ...] = ("wifi", "swap", "move")
"""What the CPE is to have has changed with these already, and waits for it as long as they do."""


def record_of_operation(row: AcsOperation) -> OperationRecord:
    """What is told of the row."""
    return OperationRecord(
        operation_id=row.id,
        device_serial=row.device_serial,
        customer_id=row.customer_id,
        kind=cast(OperationKind, row.kind),
        arguments=dict(row.arguments),
        state=cast(OperationState, row.state),
        reason=row.reason,
        result=row.result,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        queued_at=row.queued_at,
        ended_at=row.ended_at,
        expires_at=row.expires_at,
    )
