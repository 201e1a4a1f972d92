"""``/acs``: the ACSes themselves, and what they ask. What is changed at one is changed at the command line, since that
takes minutes."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import structlog
from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import TypedDict

from acs import (
    AcsUnknown,
    Asking,
    Differences,
    FirstSessionRefused,
    FirstSessions,
    FirstSessionsOff,
    PresetInstaller,
    RefusedFirstSessions,
)
from provisioning.access import subject_of
from provisioning.api.calls import InCall
from provisioning.api.routes import Doors
from provisioning.bootstrap import Appliance
from provisioning.configured import acs_baseline, acs_fleet
from provisioning.database_errors import as_database_error

doors = Doors(prefix="/acs", tags=["devices"])
log = structlog.get_logger(__name__)

MOST_BYTES = 4096
MOST_AT_ONCE = 8
"""First sessions that are answered at once; GenieACS takes 20 sessions of CPEs for each of its workers."""
MOST_NOTED_AT_ONCE = 4
"""Refusals that are written down at once; of a crowd the others stand in the log alone."""
AcsName = Annotated[str, Path(max_length=63)]


class FirstSession(BaseModel):
    """What the ACS says of the CPE whose session it is in; the code is the CPE's own."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    serial: str = Field(min_length=1, max_length=64)
    data_model: Literal["TR-181", "TR-098"]
    provisioning_code: str = Field(min_length=1, max_length=64)
    manufacturer: str | None = Field(default=None, max_length=256)
    product_class: str | None = Field(default=None, max_length=256)


class FirstSettings(TypedDict):
    """``settings`` is JSON text, the argument of our script at the ACS, with the secrets in clear."""

    revision: str
    settings: str


@doors.get("/{name}/differences", permission="devices.read")
async def differences(call: InCall, name: AcsName) -> Differences:
    """What that ACS has instead of the presets and scripts that it should have from us; nothing is changed."""
    appliance = call.appliance
    if appliance.settings.genieacs_nbi_url is None:
        raise AcsUnknown(name, ())
    async with acs_fleet(appliance.settings) as fleet:
        installer = PresetInstaller(
            appliance.database.begin,
            fleet[name],
            acs_name=name,
            tenant_id=call.tenant_id,
            now=appliance.clock,
            wanted=acs_baseline(appliance.settings, name),
        )
        return await installer.differences()


@doors.post(
    "/{name}/first-sessions",
    permission="devices.hand_out",
    keyed=False,
    most_bytes=MOST_BYTES,
    shared=True,
    most_at_once=MOST_AT_ONCE,
)
async def ask_in_first_session(call: InCall, name: AcsName, body: FirstSession) -> FirstSettings:
    """What a CPE in its very first session is to have: for the extension beside GenieACS, and for a CPE that has proven
    who it is. Whatever a CPE is refused for, the answer is the same; that an ACS is not to ask at all has a code of its
    own."""
    appliance = call.appliance
    if name not in appliance.settings.genieacs_first_session:
        raise FirstSessionsOff(name)
    sessions = FirstSessions(
        call.db,
        tenant_id=call.tenant_id,
        now=appliance.clock,
        secrets=appliance.vault,
        codes=appliance.provisioning_codes(call.db),
    )
    asking = Asking(
        acs_name=name,
        serial=body.serial,
        data_model=body.data_model,
        provisioning_code=body.provisioning_code,
        manufacturer=body.manufacturer,
        product_class=body.product_class,
    )
    try:
        told = await sessions.hand_out(asking)
    except FirstSessionRefused as refused:
        call.afterwards(partial(_note_refusal, call.request.app.state.refusing, appliance, name, refused))
        raise
    call.tells(
        subject=subject_of("device", told.serial), customer_id=told.customer_id, after={"revision": told.revision}
    )
    return FirstSettings(revision=told.revision, settings=told.argument)


async def _note_refusal(noting: set[str], appliance: Appliance, acs_name: str, refused: FirstSessionRefused) -> None:
    """After the answer, in a transaction of its own: whoever proves nothing learns nothing by the time that it takes,
    and no session of a CPE waits for it."""
    serial, why = refused.serial, refused.why
    if serial is None or why is None or serial in noting or len(noting) >= MOST_NOTED_AT_ONCE:
        return
    noting.add(serial)
    try:
        async with appliance.database.begin(shared=True) as db:
            refusals = RefusedFirstSessions(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            await refusals.note(serial=serial, acs_name=acs_name, why=why)
    except SQLAlchemyError as error:
        reason = str(as_database_error(error))
        log.warning("a refused first session could not be noted", serial=serial, why=why, reason=reason)
    finally:
        noting.discard(serial)
