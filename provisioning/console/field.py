"""``/field``: a technician's day, on a phone, also where nothing reaches it.

The page is a shell that holds nobody's data, kept by its service worker. Its script fetches the day, keeps it on the
device, and sends what was done there act by act, under the keys that it gave them: the doors of the API itself,
behind the cookie of the console. Here stands only what is shown.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta

from fastapi import Response
from fastapi.responses import JSONResponse
from typing_extensions import TypedDict

from provisioning.api import PUBLIC, Call, InCall, visits_work
from provisioning.api.calls import etag_of
from provisioning.api.own import require_own_visit
from provisioning.api.pages import Number
from provisioning.console.assets import address_of, assets
from provisioning.console.doors import ConsoleDoors, ScriptDoors, signed_in
from provisioning.console.pages import HEADERS, policy, show, today
from provisioning.console.words import mark, state, tone
from provisioning.days import begin_of, day_of, end_of
from provisioning.field import LIVE_STATES, SheetRecord, StockItem, VisitRecord, Visits
from provisioning.photo_files import MOST_BYTES
from provisioning.ticks import Ticks

PAGE = "/field"
WORKER = "field-worker.js"
LOADS = (
    *("pico.min.css", "console.css", "field.css", "icon.svg", "icon-192.png", "zxing.min.js", "zxing_reader.wasm"),
    *("forget.js", "field-store.js", "field-send.js", "field-scan.js", "field-forms.js", "field-job.js", "field.js"),
)
ALLOWS = {"script-src": "'self' 'wasm-unsafe-eval'", "manifest-src": "'self'", "worker-src": "'self'"}
"""A barcode reader in WebAssembly, where the browser has none of its own; a manifest, and a worker."""
MOST_JOBS = 100
LATE = timedelta(days=3)
"""How long a visit that should be over stays among its technician's jobs, as long as nobody has reported from it."""

doors = ConsoleDoors(name="field")
scripted = ScriptDoors(name="visits")


class Whom(TypedDict):
    """Whom the technician goes to, and how to ring them."""

    name: str
    phone: str | None


class Shown(TypedDict):
    """A state in words, with its sign and the class of its colour."""

    words: str
    mark: str
    tone: str


class Job(TypedDict):
    """One visit, as the page shows it. ``etag`` goes with moving it; its day and times are the ISP's own.

    ``from_van``: whether what was scanned was in the technician's van; None where nobody can tell.
    """

    visit: VisitRecord
    etag: str
    day: str
    begins: str
    ends: str
    arrives_until: str
    state: Shown
    customer: Whom | None
    sheet: SheetRecord
    ticks: Ticks
    from_van: bool | None


class Day(TypedDict):
    """A technician's day, after what is late. ``owner``: whose acts these are; ``total``: of how many jobs these are
    the first; ``stock``: what is in their own van."""

    owner: str
    form_token: str
    day: str
    zone: str
    most_photo_bytes: int
    jobs: list[Job]
    total: int
    stock: list[StockItem]


@doors.page(PAGE, permission="visits.report")
async def page(call: InCall) -> Response:
    """The shell; the same for everybody."""
    return _shell(call)


@doors.page(f"{PAGE}/worker.js", permission=PUBLIC)
async def worker(call: InCall) -> Response:
    """The service worker: it keeps the shell and what it loads, anew whenever any of it has changed."""
    kept = [PAGE, *(address_of(name) for name in LOADS)]
    whole = json.dumps([kept, policy(ALLOWS), bytes(_shell(call).body).decode()])
    version = hashlib.sha256(whole.encode()).hexdigest()[:12]
    head = f"const KEPT = {json.dumps(kept)};\nconst VERSION = {json.dumps(version)};\n"
    headers = {**HEADERS, "Content-Security-Policy": policy(ALLOWS), "Service-Worker-Allowed": PAGE}
    return Response(head.encode() + assets()[WORKER].content, media_type=assets()[WORKER].media_type, headers=headers)


@doors.page(f"{PAGE}/manifest.webmanifest", permission=PUBLIC)
async def manifest(call: InCall) -> Response:
    """What a phone needs to know to put the page among its programs (W3C Web Application Manifest)."""
    icons = [(f"icon-{size}.png", f"{size}x{size}", "image/png") for size in (192, 512)]
    content = {
        "id": PAGE,
        "name": f"{call.appliance.isp_name}: today's jobs",
        "short_name": "Jobs",
        "start_url": PAGE,
        "scope": PAGE,
        "display": "standalone",
        "background_color": "#14507a",
        "theme_color": "#14507a",
        "icons": [
            *({"src": address_of(name), "sizes": sizes, "type": kind} for name, sizes, kind in icons),
            {"src": address_of("icon.svg"), "sizes": "any", "type": "image/svg+xml"},
        ],
    }
    return JSONResponse(content, media_type="application/manifest+json", headers=HEADERS)


@scripted.get(f"{PAGE}/day", permission="visits.report")
async def jobs(call: InCall) -> Day:
    """Today's jobs: a technician's own, after those of late that are not at their end; or everybody's for who is
    none."""
    day, zone = today(call), call.appliance.zone
    begins, ends = begin_of(day, zone), end_of(day, zone)
    technician, calendar = call.caller.technician_id, _visits(call)
    found = await calendar.visits(starts_at=begins, ends_at=ends, technician_id=technician, limit=MOST_JOBS)
    late = await _late(calendar, technician, begins) if technician is not None else []
    return Day(
        owner=call.caller.name,
        form_token=signed_in(call.request).form_token,
        day=day.isoformat(),
        zone=str(zone),
        most_photo_bytes=MOST_BYTES,
        jobs=[await _job(call, visit) for visit in (*late, *found)],
        total=len(late) + await calendar.count(starts_at=begins, ends_at=ends, technician_id=technician),
        stock=[] if technician is None else await call.appliance.van_stock(call.db).stock(technician),
    )


@scripted.get(f"{PAGE}/visits/{{visit_id}}", permission="visits.report")
async def one(call: InCall, visit_id: Number) -> Job:
    """One job, as it stands now."""
    visit = await _visits(call).visit(visit_id)
    require_own_visit(call, visit)
    return await _job(call, visit)


# What is done there is the API's, whole: one transaction, the visit's owner, the act's own key, the audit.
_POST = {"permission": "visits.report", "keyed": False}
scripted.post(f"{PAGE}/visits/{{visit_id}}/acts", **_POST, first=visits_work.ways_of_act)(visits_work.act)
scripted.post(
    f"{PAGE}/visits/{{visit_id}}/photos",
    **_POST,
    status_code=201,
    takes_json=False,
    most_bytes=MOST_BYTES,
    first=visits_work.keep_photo,
)(visits_work.add_photo)


def _shell(call: Call) -> Response:
    return show(call, "field.html.j2", "Today's jobs", allows=ALLOWS)


async def _job(call: Call, visit: VisitRecord) -> Job:
    desk = call.appliance.field_desk(call.db)
    return Job(
        visit=visit,
        etag=etag_of(*visit.values()),
        day=day_of(visit["starts_at"], call.appliance.zone).isoformat(),
        begins=_clock(call, visit["starts_at"]),
        ends=_clock(call, visit["ends_at"]),
        arrives_until=_clock(call, visit["arrives_until"]),
        state=Shown(words=state(visit["state"]), mark=mark(visit["state"]), tone=tone(visit["state"])),
        customer=await _whom(call, visit),
        sheet=await desk.sheet(visit["visit_id"]),
        ticks=await desk.ticks(visit["visit_id"]),
        from_van=await call.appliance.van_stock(call.db).is_from_van(visit),
    )


async def _whom(call: Call, visit: VisitRecord) -> Whom | None:
    """For who may see customers; and for the technician who is sent to their door today, or is late there."""
    day, zone = today(call), call.appliance.zone
    begins, ends = begin_of(day, zone), end_of(day, zone)
    is_sent = visit["technician_id"] == call.caller.technician_id
    since = begins - LATE if visit["state"] in LIVE_STATES else begins
    is_theirs = is_sent and visit["starts_at"] < ends and visit["ends_at"] > since
    if "customers.read" not in call.caller.permissions and not is_theirs:
        return None
    found = await call.appliance.customers(call.db).customers(customer_id=visit["customer_id"], limit=1)
    return Whom(name=found[0]["name"], phone=found[0]["phone"]) if found else None


async def _late(calendar: Visits, technician_id: int, until: datetime) -> list[VisitRecord]:
    """What of the days before this moment still needs its technician."""
    found = await calendar.visits(
        starts_at=until - LATE, ends_at=until, technician_id=technician_id, states=LIVE_STATES
    )
    return [visit for visit in found if visit["ends_at"] <= until]


def _clock(call: Call, at: datetime) -> str:
    return at.astimezone(call.appliance.zone).strftime("%H:%M")


def _visits(call: Call) -> Visits:
    return Visits(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
