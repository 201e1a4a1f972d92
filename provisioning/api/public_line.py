"""``POST /webhooks/line``: the ISP's own OLT system answers what it was told by the adapter *webhook*.

Signed as Standard Webhooks 1.0 has it, under the secret that both sides share; the same message again is the same
answer. It must name the line order and the serial that it was given.
"""

from __future__ import annotations

import re
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from acs import canonical_serial, is_serial
from provisioning.access import subject_of
from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, inlined, problem
from provisioning.api.routes import PUBLIC, Doors
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import faults_of
from provisioning.line import ANSWER_PATH, LineOrderRow, LineOrderUnknown, line_order_as_it_is
from provisioning.signatures import ID, SIGNATURE, TIMESTAMP, SignatureRefused, verified_id
from provisioning.taken_messages import take_message
from workflows.services import LineState

DOOR = "line"
MOST_BYTES = 16 * 1024
SYSTEM = "OLT system"
"""Who says so, in a run's log."""

doors = Doors(tags=["line"])

_ORDER = re.compile(r"(?P<tenant>.+)\.(?P<number>[1-9][0-9]{0,17})")


class LineCallback(BaseModel):
    """What became of a line order. ``order`` and ``serial`` as they were given; a refusal has a ``reason``, a line that
    is on the OLT the ``port`` where it came up."""

    model_config = ConfigDict(extra="forbid", strict=True)

    order: str = Field(min_length=1, max_length=100)
    serial: str = Field(min_length=1, max_length=64)
    result: Literal["authorised", "refused", "removed"]
    port: str | None = Field(default=None, max_length=64)
    onu_id: int | None = None
    received_power_dbm: float | None = Field(default=None, allow_inf_nan=False)
    reason: str | None = Field(default=None, max_length=500)


class LineHeard(TypedDict):
    """How the line order stands now."""

    order: str
    state: LineState


_CALLBACK = TypeAdapter(LineCallback)
_HEADERS = [
    {"name": name, "in": "header", "required": True, "description": words, "schema": {"type": "string"}}
    for name, words in (
        (ID, "The message's number, the same when it is sent again"),
        (TIMESTAMP, "When it is sent, Unix seconds"),
        (SIGNATURE, "`v1,` and the signature in base64; several with a blank between them"),
    )
]


async def _believed(call: Call) -> None:
    """Raises: SignatureRefused."""
    _verified(call, await call.request.body())


@doors.post(
    ANSWER_PATH,
    permission=PUBLIC,
    first=_believed,
    most_bytes=MOST_BYTES,
    responses={status: problem(WORDS[status]) for status in (400, 404, 409, 413, 422, 503)},
    openapi_extra={
        "parameters": _HEADERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inlined(_CALLBACK.json_schema())}},
        },
    },
)
async def answer(call: InCall) -> LineHeard:
    """The OLT system says what became of a line order."""
    body = await call.request.body()
    message_id = _verified(call, body)
    said = _read(body)
    row = await _order(call, said)
    is_new = await take_message(
        call.db, tenant_id=call.tenant_id, door=DOOR, message_id=message_id, body=body, now=call.appliance.clock()
    )
    if is_new:
        told = await _tell(call, row.id, said)
        call.tells(run_id=told[0] if told else None, before={"state": row.state})
    else:
        call.changes_nothing()
    call.tells(actor=SYSTEM, subject=subject_of("line_order", row.id), customer_id=row.customer_id)
    row = await line_order_as_it_is(call.db, call.tenant_id, row.id)
    return LineHeard(order=said.order, state=cast("LineState", row.state))


def _verified(call: Call, body: bytes) -> str:
    secrets = [secret.get_secret_value() for secret in call.appliance.settings.line_webhook_secrets()]
    if not secrets:
        raise SignatureRefused("no OLT system is set up here, so nobody's signature is known")
    return verified_id(call.request.headers, body, secrets, now=call.appliance.clock())


def _read(body: bytes) -> LineCallback:
    what = "The answer"
    try:
        said = _CALLBACK.validate_json(body)
    except ValidationError as exc:
        raise InvalidRequest(what, faults_of(exc, whole="body")) from None
    faults = []
    if said.result == "authorised" and said.port is None:
        faults.append(Fault("port", "is missing: where did the ONT come up?"))
    if said.result == "refused" and not (said.reason or "").strip():
        faults.append(Fault("reason", "is missing: why not?"))
    if faults:
        raise InvalidRequest(what, faults)
    return said


async def _order(call: Call, said: LineCallback) -> LineOrderRow:
    """The order that is meant, if it was given to that system, for that very serial."""
    named = _ORDER.fullmatch(said.order)
    if named is None or named["tenant"] != call.tenant_id:
        raise InvalidRequest("The answer", [Fault("order", "is none that was given to you")])
    row = await line_order_as_it_is(call.db, call.tenant_id, int(named["number"]))
    if row.adapter != "webhook":
        raise LineOrderUnknown(row.id)
    if not is_serial(said.serial) or canonical_serial(said.serial) != row.device_serial:
        raise InvalidRequest("The answer", [Fault("serial", f"is not that of line order {said.order}")])
    return row


async def _tell(call: Call, line_order_id: int, said: LineCallback) -> list[int]:
    """The runs that were told."""
    desk = call.appliance.line_desk(call.db)
    if said.result == "removed":
        return await desk.removed(line_order_id=line_order_id, by=SYSTEM)
    if said.result == "refused":
        return await desk.refuse(line_order_id=line_order_id, reason=said.reason or "", by=SYSTEM)
    return await desk.answer(
        line_order_id=line_order_id,
        actual_port=said.port or "",
        onu_id=said.onu_id,
        received_power_dbm=said.received_power_dbm,
        by=SYSTEM,
    )
