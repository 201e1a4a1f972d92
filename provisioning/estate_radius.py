"""The RADIUS part of the estate's file: rates, NASes, and how passwords are kept. What a rate and a NAS may say stands
once, in ``radius.PlanTerms`` and ``radius.CoaTerms``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import create_model

from provisioning.errors import Fault
from provisioning.estate_part import Part, attempt, faults_in, fields_of
from provisioning.nas_desk import sessions_left
from radius import (
    CoaTerms,
    PlanRefused,
    PlanTerms,
    RadiusService,
    RateNotExpressible,
    SessionReader,
    SeveralNotExpressible,
    TermsNotExpressible,
)


class _Rate(Part):
    """What FreeRADIUS tells a NAS of a plan, in no vendor's words (``radius.PlanTerms`` explains each). Rates are seen
    from the subscriber: download is what comes to him (kbit/s)."""

    plan: str

    @property
    def terms(self) -> PlanTerms:
        return PlanTerms(**self.model_dump(exclude={"plan"}))


class _Coa(Part):
    """How a NAS takes requests about its sessions; ``radius.CoaTerms`` explains each."""

    @property
    def terms(self) -> CoaTerms:
        return CoaTerms(**self.model_dump())


if TYPE_CHECKING:
    RateSpec: TypeAlias = _Rate
    CoaSpec: TypeAlias = _Coa
else:
    RateSpec = create_model("RateSpec", __base__=_Rate, __doc__=_Rate.__doc__, **fields_of(PlanTerms))
    CoaSpec = create_model("CoaSpec", __base__=_Coa, __doc__=_Coa.__doc__, **fields_of(CoaTerms))


class RadiusSpec(Part):
    """What holds for every subscriber: how FreeRADIUS keeps the passwords (cleartext, nt or ssha2-512)."""

    password_storage: str | None = None


class NasSpec(Part):
    """A NAS. Its RADIUS secret is made at random; ``firstlight keys reveal`` tells it for the NAS' configuration."""

    name: str
    address: str
    dialect: str
    coa_port: int = 3799
    login_methods: tuple[str, ...] = ("pap", "chap", "mschapv2")
    lines: bool = False
    calls_itself: tuple[str, ...] = ()
    coa: CoaSpec = CoaSpec()

    @property
    def definition(self) -> dict[str, Any]:
        """As ``RadiusService.define_nas`` takes it."""
        return {**self.model_dump(exclude={"coa"}), "coa": self.coa.terms}


async def write_rates_and_nases(
    faults: list[Fault],
    radius: RadiusService,
    sessions: SessionReader,
    *,
    rates: Sequence[RateSpec],
    nases: Sequence[NasSpec],
    password_storage: str | None,
    leave_sessions: bool,
) -> None:
    """Rates and NASes. What a NAS could not be told as they were may be told as they are now, so that is asked last.
    ``leave_sessions``: a NAS may get another address though sessions are open under its former one."""
    for rate in rates:
        where = f"rate {rate.plan}"
        await attempt(faults, where, lambda r=rate: radius.define_plan(name=r.plan, terms=r.terms, pairs_later=True))
    standing = {nas["name"]: nas for nas in await radius.nas_list()} if nases else {}
    await _write_nases(faults, radius, nases, password_storage)
    for nas in nases:
        if (before := standing.get(nas.name)) is not None:
            await attempt(
                faults,
                f"nas {nas.name}",
                lambda b=before, to=nas.address: sessions_left(sessions, b, to, leave=leave_sessions),
            )
    told_before = [name for name, nas in standing.items() if nas["lines"]]
    await attempt(faults, "nas", lambda: radius.refuse_lost_lines(told_before=told_before))
    if not (rates or nases):
        return
    try:
        await radius.refuse_unsayable_pairs()
    except SeveralNotExpressible as several:
        for error in several.refused:
            faults += faults_in(f"rate {error.plan}", error)
    except (RateNotExpressible, TermsNotExpressible, PlanRefused) as error:
        faults += faults_in(f"rate {error.plan}", error)


async def _write_nases(
    faults: list[Fault], radius: RadiusService, nases: Sequence[NasSpec], storage: str | None
) -> None:
    """NASes, and how passwords are kept. What does not go with the NASes as they were may go with them as they are
    now."""
    refused: list[Fault] = []
    where = "radius.password_storage"
    if storage is not None:
        await attempt(refused, where, lambda: radius.define_password_storage(storage=storage))
    for nas in nases:
        await attempt(faults, f"nas {nas.name}", lambda n=nas: radius.define_nas(**n.definition, pairs_later=True))
    if refused and storage is not None:
        await attempt(faults, where, lambda: radius.define_password_storage(storage=storage))
