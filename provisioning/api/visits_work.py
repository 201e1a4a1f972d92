"""``/visits/{visit_id}/...``: what is done there. Made for a page that works offline: every act carries its own key."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import Field, TypeAdapter, ValidationError

from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.own import require_own_visit
from provisioning.api.pages import Moment, Number
from provisioning.api.routes import Doors, Later
from provisioning.api.wishes import Wish
from provisioning.field import ActKind, PhotoRecord, SheetRecord, Sheets, VisitRecord, Visits
from provisioning.field_desk import TakenAct, moment_of
from provisioning.photo_files import MOST_BYTES, KeptPhoto
from provisioning.ticks import Ticks

doors = Doors(prefix="/visits", tags=["visits"])

NUMBER = TypeAdapter[int](Number)
Purpose = Literal["photo", "signature"]
PICTURE = {"requestBody": {"required": True, "content": {"image/jpeg": {}, "image/png": {}}}}


class Act(Wish):
    """One act at a visit. ``key``: given by whoever made it, for good; ``made_at``: by their clock.

    ``content`` of *record*: ``changes`` (splitter, drop_label, optical_dbm, note, signed_by) and ``seen``, what stood
    there when it was made; of *scanned*: ``serial``, ``port``, ``note``; of *no_access* and *not_feasible*: ``note``;
    of *rescheduled*: ``starts_at``, ``reason``, and ``seen_at``, for when the visit was as it was seen (one that was
    moved since stays); of *returned* (taken back from the customer): ``serial``, ``note``; of *done*: ``reason``, if it
    is done although not every tick is true.
    """

    key: str = Field(min_length=1, max_length=200)
    kind: ActKind
    made_at: Moment
    content: dict[str, Any] = Field(default_factory=dict)


@doors.get("/{visit_id}/sheet", permission="visits.read")
async def sheet(call: InCall, visit_id: Number) -> SheetRecord:
    """What is written down of a visit, and its photos."""
    await _own(call, visit_id)
    return await call.appliance.field_desk(call.db).sheet(visit_id)


@doors.get("/{visit_id}/ticks", permission="visits.read")
async def ticks(call: InCall, visit_id: Number) -> Ticks:
    """Bound, authorised, informed, configured, online: whether each was seen, when, by what, and why not yet."""
    await _own(call, visit_id)
    return await call.appliance.field_desk(call.db).ticks(visit_id)


async def ways_of_act(call: Call) -> Later | None:
    """To another time of a visit the ways are asked for while nobody is held and no transaction is open."""
    try:
        wish = Act.model_validate_json(await call.request.body())
        visit_id = NUMBER.validate_python(call.request.path_params["visit_id"])
    except ValidationError:
        return None  # the route names all faults
    starts_at = moment_of(wish.content.get("starts_at")) if wish.kind == "rescheduled" else None
    if starts_at is None:
        return None
    visit = await _own(call, visit_id)
    return await call.appliance.dispatch_desk(call.db).look_ahead(
        visit_id=visit_id, technician_id=visit["technician_id"], starts_at=starts_at
    )


@doors.post("/{visit_id}/acts", permission="visits.report", first=ways_of_act)
async def act(call: InCall, visit_id: Number, wish: Act) -> TakenAct:
    """Takes one act. The same one again, by its key, changes nothing more; a conflict is told, and nothing written."""
    seen = await _own(call, visit_id)
    desk = call.appliance.field_desk(call.db)
    before = await desk.sheet(visit_id)
    taken = await desk.act(
        visit_id=visit_id, key=wish.key, kind=wish.kind, content=wish.content, made_at=wish.made_at, by=call.by
    )
    if not taken["is_new"]:
        call.changes_nothing()
    call.tells(
        subject=f"visit/{visit_id}",
        customer_id=seen["customer_id"],
        run_id=taken["runs"][0] if taken["runs"] else None,
        reason=wish.content.get("reason") or wish.content.get("note"),
        before={"state": seen["state"], "sheet": before},
    )
    return taken


async def keep_photo(call: Call) -> Later | None:
    """The file is written, and synced, before the change begins: on SQLite everybody else who writes would wait."""
    try:
        visit_id = NUMBER.validate_python(call.request.path_params["visit_id"])
    except ValidationError:
        return None  # it is refused with the rest of what the address says
    await _own(call, visit_id)
    content = await call.request.body()
    await _sheets(call).refuse_if_full(visit_id, sha256(content).hexdigest())

    async def keep() -> None:
        call.request.state.kept_photo = await call.appliance.photos.keep(content)

    return keep


@doors.post(
    "/{visit_id}/photos",
    permission="visits.report",
    status_code=201,
    takes_json=False,
    most_bytes=MOST_BYTES,
    openapi_extra=PICTURE,
    first=keep_photo,
    responses={413: problem(WORDS[413])},
)
async def add_photo(
    call: InCall,
    visit_id: Number,
    purpose: Annotated[Purpose, Query()] = "photo",
    caption: Annotated[str | None, Query(max_length=200)] = None,
) -> PhotoRecord:
    """Keeps a picture, a JPEG or PNG, as the body. The same picture again is the same one."""
    seen = await _own(call, visit_id)
    kept: KeptPhoto = call.request.state.kept_photo
    call.tells(subject=f"visit/{visit_id}", customer_id=seen["customer_id"])
    return await _sheets(call).add_photo(
        visit_id=visit_id,
        purpose=purpose,
        sha256=kept.sha256,
        media_type=kept.media_type,
        size_bytes=kept.size_bytes,
        caption=caption,
    )


@doors.get("/{visit_id}/photos/{photo_id}", permission="visits.read", response_class=Response)
async def photo(call: InCall, visit_id: Number, photo_id: Number) -> Response:
    """One picture, as it was sent."""
    await _own(call, visit_id)
    found = await _sheets(call).photo(visit_id, photo_id)
    content = await call.appliance.photos.read(found["sha256"])
    return Response(content, media_type=found["media_type"])


async def _own(call: Call, visit_id: int) -> VisitRecord:
    visit = await Visits(call.db, tenant_id=call.tenant_id, now=call.appliance.clock).visit(visit_id)
    require_own_visit(call, visit)
    return visit


def _sheets(call: Call) -> Sheets:
    return Sheets(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
