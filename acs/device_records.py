"""What is told of a CPE: to a run in short, to an operator in full. JSON-able but for times, and without a secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import Row, select
from typing_extensions import TypedDict

from acs.refused_first_sessions import RefusedFirstSession, told_of
from acs.tables import AcsDevice

DeviceState = Literal[
    "awaiting_first_inform",
    "queued",
    "applied",
    "verified",
    "accepted_unverifiable",
    "drifted",
    "faulted",
    "unreachable",
    "withdrawn",
]


class ProvisionedDevice(TypedDict):
    """The answer of ``provision_device``. ``state`` says how far it has come; a wish written down is not yet done."""

    device_serial: str
    template: str
    revision: str
    state: DeviceState
    device_row_id: int


class DeviceRecord(ProvisionedDevice):
    """All we know of one CPE, for an operator. Secrets are references."""

    tenant_id: str
    customer_id: int
    service_id: int | None
    data_model: str
    inputs: dict[str, str | int]
    reason: str
    details: list[dict[str, str | int | bool | None]]
    acs_name: str
    device_id: str | None
    plan: str | None
    rows: dict[str, str]
    """The rows that the CPE has chosen by what it reports, by selector."""
    inform_reason: str | None
    """Why a verified CPE goes on reporting often, if something keeps it from its interval."""
    applied_revision: str | None
    bound_at: datetime
    last_inform_at: datetime | None
    handed_out_at: datetime | None
    """When it was last told its settings in its first session (``acs.first_sessions``); whether it took them is in the
    state."""
    first_session_refused: RefusedFirstSession | None
    """When it was last told nothing in its first session, why, and what to do; None once it was verified since."""
    queued_at: datetime | None
    applied_at: datetime | None
    verified_at: datetime | None
    withdrawn_at: datetime | None


DEVICE = AcsDevice.__table__.c
RECORDS = select(
    DEVICE.id,
    DEVICE.tenant_id,
    DEVICE.serial,
    DEVICE.customer_id,
    DEVICE.service_id,
    DEVICE.template,
    DEVICE.data_model,
    DEVICE.inputs,
    DEVICE.revision,
    DEVICE.state,
    DEVICE.reason,
    DEVICE.details,
    DEVICE.acs_name,
    DEVICE.device_id,
    DEVICE.plan,
    DEVICE.rows,
    DEVICE.inform_reason,
    DEVICE.applied_revision,
    DEVICE.bound_at,
    DEVICE.last_inform_at,
    DEVICE.handed_out_at,
    DEVICE.refused_at,
    DEVICE.refused_why,
    DEVICE.refused_by,
    DEVICE.queued_at,
    DEVICE.applied_at,
    DEVICE.verified_at,
    DEVICE.withdrawn_at,
)
"""What a list of records is made of: not the parameters, which are long."""


def provisioned(device: AcsDevice | Row[*tuple[Any, ...]]) -> ProvisionedDevice:
    """The short form, as the contract has it."""
    return ProvisionedDevice(
        device_serial=device.serial,
        template=device.template,
        revision=device.revision,
        state=cast(DeviceState, device.state),
        device_row_id=device.id,
    )


def record_of(device: AcsDevice | Row[*tuple[Any, ...]]) -> DeviceRecord:
    """The long form, for an operator."""
    return DeviceRecord(
        **provisioned(device),
        tenant_id=device.tenant_id,
        customer_id=device.customer_id,
        service_id=device.service_id,
        data_model=device.data_model,
        inputs=dict(device.inputs),
        reason=device.reason,
        details=list(device.details),
        acs_name=device.acs_name,
        device_id=device.device_id,
        plan=device.plan,
        rows=dict(device.rows),
        inform_reason=device.inform_reason,
        applied_revision=device.applied_revision,
        bound_at=device.bound_at,
        last_inform_at=device.last_inform_at,
        handed_out_at=device.handed_out_at,
        first_session_refused=None
        if _is_over(device.refused_at, device.verified_at)
        else told_of(device.serial, device.refused_at, device.refused_why, device.refused_by),
        queued_at=device.queued_at,
        applied_at=device.applied_at,
        verified_at=device.verified_at,
        withdrawn_at=device.withdrawn_at,
    )


def _is_over(refused_at: datetime | None, verified_at: datetime | None) -> bool:
    """Whether a CPE that was told nothing has come by its settings all the same, so that nothing is to be done."""
    return refused_at is not None and verified_at is not None and verified_at > refused_at
