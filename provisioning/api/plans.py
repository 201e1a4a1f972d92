"""``/plans``: rates, what NASes are told of them, and telling open sessions of a plan that was changed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, TypeAlias

from fastapi import Path, Query
from pydantic import Field, create_model

from provisioning.api.calls import InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.subscribers import SubscriberReason
from provisioning.estate_part import fields_of
from radius import AppliedPlan, DefinedPlan, ListedPlan, PlanTerms, PlanUnknown, RenderedPlan, UntoldPlan, tell_of_plan

AT_ONCE = 400
"""As many as one transaction of `firstlight plans apply` takes: nobody else may write on SQLite meanwhile."""

doors = Doors(prefix="/plans", tags=["plans"])

Name = Annotated[str, Path(max_length=64)]
OneDialect = Annotated[str | None, Query(max_length=64, description="Of NASes of this dialect alone")]


class _Definition(SubscriberReason):
    """The terms of a plan. Rates are seen from the subscriber: download is what comes to it (kbit/s)."""

    @property
    def terms(self) -> PlanTerms:
        return PlanTerms(**self.model_dump(exclude={"reason"}))


if TYPE_CHECKING:
    PlanDefinition: TypeAlias = _Definition
else:
    PlanDefinition = create_model(
        "PlanDefinition", __base__=_Definition, __doc__=_Definition.__doc__, **fields_of(PlanTerms)
    )


class PlanApplication(SubscriberReason):
    """How many subscribers are told at most; asked again, the next ones are."""

    limit: Annotated[int, Field(ge=1, le=AT_ONCE)] = AT_ONCE


@doors.get("", permission="plans.read")
async def list_(
    call: InCall,
    after: After = None,
    limit: Limit = 50,
) -> Page[ListedPlan]:
    """Plans by their numbers, each with how many subscribers it has."""
    radius = call.appliance.services(call.db).radius_service
    found = await radius.plans(after_id=row_of(after) or 0, limit=limit + 1)
    return page_of(call, found, [each["plan_id"] for each in found], limit)


@doors.get("/{name}", permission="plans.read")
async def show(call: InCall, name: Name) -> DefinedPlan:
    """One plan; who is on it: `GET /subscribers?plan=`."""
    return await call.appliance.services(call.db).radius_service.plan(name=name)


@doors.get("/{name}/rows", permission="plans.read", responses={404: problem(WORDS[404])})
async def render(call: InCall, name: Name, dialect: OneDialect = None) -> list[RenderedPlan]:
    """The rows that tell NASes of a plan, as FreeRADIUS has them."""
    return await call.appliance.services(call.db).radius_service.render_plan(name=name, dialect=dialect)


@doors.get("/{name}/untold", permission="plans.read", responses={404: problem(WORDS[404])})
async def untold(call: InCall, name: Name) -> list[UntoldPlan]:
    """The NASes that can't be told the plan, where nobody who is served by it is let in (`where_untold`), and why."""
    radius = call.appliance.services(call.db).radius_service
    await radius.plan(name=name)
    return await radius.untold_plans(plan=name)


@doors.post("/{name}/try", permission="plans.read")
async def try_(call: InCall, name: Name, wish: PlanDefinition, dialect: OneDialect = None) -> list[RenderedPlan]:
    """The rows that a plan of these terms would have; nothing is written."""
    call.changes_nothing()
    radius = call.appliance.services(call.db).radius_service
    return await radius.render_plan(name=name, terms=wish.terms, dialect=dialect)


@doors.post("/{name}/define", permission="plans.write")
async def define(call: InCall, name: Name, wish: PlanDefinition) -> DefinedPlan:
    """Makes a plan, or brings it to these terms: for every login once the worker has carried it over. Open sessions
    keep what they have until they are told. The same terms again change nothing."""
    radius = call.appliance.services(call.db).radius_service
    version = None
    with suppress(PlanUnknown):
        version = (await radius.plan(name=name))["version"]
    done = await radius.define_plan(name=name, terms=wish.terms)
    call.tells(subject=f"plan/{done['plan_id']}", reason=wish.reason)
    if version == done["version"]:
        call.changes_nothing()
    return done


@doors.post("/{name}/apply", permission="plans.write", responses={404: problem(WORDS[404])})
async def apply(call: InCall, name: Name, wish: PlanApplication) -> AppliedPlan:
    """Lets the open sessions of those be told who have not been since the plan was changed, some at a time:
    `/session-changes` says of each how far that is."""
    plan = await call.appliance.services(call.db).radius_service.plan(name=name)
    before = {"plan": name, "version": plan["version"]}
    call.tells(subject=f"plan/{plan['plan_id']}", reason=wish.reason, before=before)
    done = await tell_of_plan(
        call.db, tenant_id=call.tenant_id, plan=name, limit=wish.limit, now=call.appliance.clock()
    )
    if not done["subscribers"]:
        call.changes_nothing()
    return done
