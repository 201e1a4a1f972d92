"""``/nas``: who may ask FreeRADIUS, with which secret, and whether the two understand each other.

What is changed is carried over to FreeRADIUS by the worker, within half a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal, cast

from fastapi import Path, Response
from pydantic import Field

from provisioning.api.calls import Call, InCall
from provisioning.api.misfits import as_read
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import Page
from provisioning.api.routes import Doors
from provisioning.api.wishes import Reason, Wish
from provisioning.nas_desk import NasWithSecret, SecretTakenUp, coa_said, in_audit, taken_up
from provisioning.nas_probes import probe
from radius import CoaChange, CoaTerms, DefinedNas, NasChange, Probe, SessionKey, UntoldPlan

doors = Doors(prefix="/nas", tags=["nas"])

Name = Annotated[str, Path(max_length=64)]
Why = Annotated[Reason, Field(description="Why, for the audit: a secret is shown")]
TERMS = frozenset({"address", "dialect", "coa_port", "login_methods", "lines", "calls_itself", "coa"})
Method = Literal["pap", "chap", "mschapv2"]


CallsItself = Annotated[
    tuple[Annotated[str, Field(min_length=2, max_length=45)], ...],
    Field(
        max_length=2,
        description="What it says in NAS-IP-Address, NAS-IPv6-Address; none: its address",
    ),
]


class Coa(Wish):
    """How it takes requests about its sessions (RFC 5176). null: as it is, or the usual."""

    keys: Annotated[
        tuple[SessionKey, ...] | None, Field(max_length=4, description="What names a session; none: as its dialect")
    ] = None
    event_timestamp: bool | None = None
    per_second: Annotated[int | None, Field(ge=0, le=10_000, description="At most; 0: no limit")] = None
    may_end: Annotated[bool | None, Field(description="Whether a session that it refuses to change is ended")] = None

    @property
    def said(self) -> CoaChange:
        return coa_said(**self.model_dump())


class NewNas(Wish):
    """A NAS: the IPv4 address its packets come from, and in whose words it is told a plan."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    address: Annotated[str, Field(min_length=7, max_length=15)]
    dialect: Annotated[str, Field(min_length=1, max_length=32)]
    coa_port: Annotated[int, Field(ge=1, le=65535)] = 3799
    login_methods: Annotated[tuple[Method, ...], Field(min_length=1, max_length=3)] = ("pap", "chap", "mschapv2")
    lines: Annotated[bool, Field(description="It tells of lines that log in by themselves (IPoE)")] = False
    calls_itself: CallsItself = ()
    coa: Coa = Coa()
    reason: Why


class NasToChange(Wish):
    """What shall be otherwise; null: as it is."""

    address: Annotated[str | None, Field(min_length=7, max_length=15)] = None
    dialect: Annotated[str | None, Field(min_length=1, max_length=32)] = None
    coa_port: Annotated[int | None, Field(ge=1, le=65535)] = None
    login_methods: Annotated[tuple[Method, ...] | None, Field(min_length=1, max_length=3)] = None
    lines: bool | None = None
    calls_itself: CallsItself | None = None
    coa: Coa = Coa()
    leave_sessions: Annotated[
        bool,
        Field(description="Another address also where sessions are open under its own: no CoA reaches them any more"),
    ] = False
    reason: Reason

    @property
    def said(self) -> NasChange:
        terms = self.model_dump(exclude={"coa", "reason", "leave_sessions"}, exclude_none=True)
        return cast(NasChange, terms | {"coa": self.coa.said})


class NasSecretRotation(Wish):
    """Why."""

    reason: Why


class NasAdoption(Wish):
    """Why."""

    reason: Reason


class NasRemoval(Wish):
    """Why."""

    leave_sessions: Annotated[
        bool, Field(description="Also where sessions are open under its address: nothing reaches them any more")
    ] = False
    reason: Reason


class NasRemoved(Wish):
    """As it was. ``sessions_left``: how many sessions are open under its address. No suspension and no other plan
    reaches them, nor does FreeRADIUS hear when they end."""

    nas: DefinedNas
    sessions_left: int


class NasState(Wish):
    """A NAS as it shall be, and from when on FreeRADIUS goes by what its rows say of it now."""

    nas: DefinedNas
    taken_up: SecretTakenUp


class ChangedState(NasState):
    """``sessions_left``: how many sessions are open under an address that it has no longer. No suspension and no other
    plan reaches them before their next login. ``sessions_to_be_found``: how many under what it is newly said to call
    itself, each of which is found with its next interim; what a restart of the NAS ends before that, `POST
    /sessions/close` of that address closes."""

    sessions_left: int
    sessions_to_be_found: int


class AdoptedNas(NasState):
    """``is_new``: it was taken over just now; false: its row at FreeRADIUS is Firstlight's already."""

    is_new: bool


class ShownNas(NasState):
    """``secret``: shown this once; null where the same request is answered again, or nothing was made."""

    is_new: bool
    secret: str | None


async def _misfits_of_new(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    radius = call.appliance.services(call.db).radius_service
    return await radius.nas_faults_by_part(name=sound.get("name"), said=_terms(NewNas, sound), is_new=True)


async def _misfits(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    name, radius = call.request.path_params["name"], call.appliance.services(call.db).radius_service
    return await radius.nas_faults_by_part(name=name, said=_terms(NasToChange, sound), is_new=False)


def _terms(shape: type[Wish], sound: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in as_read(shape, sound).items() if name in TERMS and value is not None}
    return said | ({"coa": said["coa"].said} if "coa" in said else {})


@doors.get("", permission="nas.read")
async def list_(call: InCall) -> Page[DefinedNas]:
    """Every NAS by its name: one page."""
    return Page(items=await call.appliance.services(call.db).radius_service.nas_list())


@doors.post("", permission="nas.write", status_code=201, misfits=_misfits_of_new)
async def add(call: InCall, wish: NewNas, response: Response) -> ShownNas:
    """Adds a NAS with a secret of its own, which is shown this once. The same NAS again changes nothing, and is
    answered 200."""
    desk = call.appliance.nas_desk(call.db)
    coa = replace(CoaTerms(), **wish.coa.said)
    added = await desk.add(**wish.model_dump(exclude={"coa"}), coa=coa, by=call.by)
    response.headers["Location"] = call.address(f"nas/{added['nas']['name']}")
    if not added["is_new"]:
        call.changes_nothing()
        response.status_code = 200
    return _shown(call, added, wish.reason)


@doors.get("/{name}", permission="nas.read")
async def show(call: InCall, name: Name) -> NasState:
    """One NAS."""
    nas = await call.appliance.services(call.db).radius_service.nas_named(name=name)
    return NasState(nas=nas, taken_up=_taken_up(call, nas))


@doors.get("/{name}/untold", permission="nas.read", responses={404: problem(WORDS[404])})
async def untold(call: InCall, name: Name) -> list[UntoldPlan]:
    """The plans that this NAS can't be told, of which nobody is let in here (`where_untold`), and why."""
    radius = call.appliance.services(call.db).radius_service
    await radius.nas_named(name=name)
    return await radius.untold_plans(nas=name)


@doors.post("/{name}/change", permission="nas.write", responses={404: problem(WORDS[404])}, misfits=_misfits)
async def change(call: InCall, name: Name, wish: NasToChange) -> ChangedState:
    """Brings it to what is said of it; the rest stays as it is, its secret too. The same again changes nothing. Another
    address is refused while sessions are open under its own, unless `leave_sessions`."""
    changed = await call.appliance.nas_desk(call.db).change(name, wish.said, leave_sessions=wish.leave_sessions)
    before, nas = changed["before"], changed["nas"]
    after = {"nas": in_audit(nas), "sessions_left": changed["sessions_left"]}
    call.tells(subject=f"nas/{nas['nas_id']}", reason=wish.reason, before=in_audit(before), after=after)
    if nas["version"] == before["version"]:
        call.changes_nothing()
    return ChangedState(
        nas=nas,
        taken_up=_taken_up(call, nas),
        sessions_left=changed["sessions_left"],
        sessions_to_be_found=changed["sessions_to_be_found"],
    )


@doors.post("/{name}/rotate-secret", permission="nas.write", responses={404: problem(WORDS[404])}, misfits=_misfits)
async def rotate_secret(call: InCall, name: Name, wish: NasSecretRotation) -> ShownNas:
    """Gives it another secret, which is shown this once; `taken_up` of the NAS says when FreeRADIUS goes by it."""
    rotated = await call.appliance.nas_desk(call.db).rotate_secret(name, by=call.by, reason=wish.reason)
    return _shown(call, rotated, wish.reason, before={"nas": name})


@doors.post("/{name}/adopt", permission="nas.write", responses={404: problem(WORDS[404])}, misfits=_misfits)
async def adopt(call: InCall, name: Name, wish: NasAdoption) -> AdoptedNas:
    """Takes over a NAS that FreeRADIUS knows from before, with the secret that it has there, which isn't shown. The
    same again changes nothing."""
    nas, is_new = await call.appliance.nas_desk(call.db).adopt(name)
    call.tells(subject=f"nas/{nas['nas_id']}", reason=wish.reason, after={"nas": nas["name"], "adopted": True})
    if not is_new:
        call.changes_nothing()
    return AdoptedNas(nas=nas, taken_up=_taken_up(call, nas), is_new=is_new)


@doors.post("/{name}/remove", permission="nas.write", responses={404: problem(WORDS[404])}, misfits=_misfits)
async def remove(call: InCall, name: Name, wish: NasRemoval) -> NasRemoved:
    """Removes it and its secret; its name and address are free at once. The worker takes it away from FreeRADIUS,
    which answers it for as long as it remembers a NAS after that. Refused while sessions are open under its address,
    unless `leave_sessions`."""
    removed = await call.appliance.nas_desk(call.db).remove(name, leave_sessions=wish.leave_sessions)
    nas, left = removed["nas"], removed["sessions_left"]
    call.tells(
        subject=f"nas/{nas['nas_id']}",
        reason=wish.reason,
        before=in_audit(nas),
        after={"nas": nas["name"], "removed": True, "sessions_left": left},
    )
    return NasRemoved(nas=nas, sessions_left=left)


@doors.get("/{name}/test", permission="nas.write")
async def test(call: InCall, name: Name) -> Page[Probe]:
    """Asks FreeRADIUS as this NAS, and this NAS about a session of nobody; takes seconds where nobody answers."""
    return Page(items=await probe(call.appliance, name))


def _shown(call: Call, made: NasWithSecret, reason: str, before: dict[str, str] | None = None) -> ShownNas:
    call.shows_once("secret")
    nas = made["nas"]
    after = {"nas": nas["name"], "is_new": made["is_new"]}
    call.tells(subject=f"nas/{nas['nas_id']}", reason=reason, before=before, after=after)
    return ShownNas(nas=nas, taken_up=_taken_up(call, nas), is_new=made["is_new"], secret=made["secret"])


def _taken_up(call: Call, nas: DefinedNas) -> SecretTakenUp:
    return taken_up(nas, remembered=timedelta(seconds=call.appliance.settings.radius_nas_lifetime_seconds))
