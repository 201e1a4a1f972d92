"""A subscriber as others see it: one row for a list, or the one that is in somebody's hands."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Label, Row, and_, select

from radius.results import SubscriberView
from radius.subscribers.line_identity import line_of
from radius.tables import Plan, Subscriber, password_ref_of

SUBSCRIBER, PLAN, _OTHER = Subscriber.__table__.c, Plan.__table__.c, Plan.__table__.alias("other")


def _named(plan_id: ColumnElement[Any], label: str) -> Label[str]:
    mine = select(_OTHER.c.name).where(_OTHER.c.tenant_id == SUBSCRIBER.tenant_id, _OTHER.c.id == plan_id)
    return mine.scalar_subquery().label(label)


VIEWS = select(
    SUBSCRIBER.id,
    SUBSCRIBER.customer_id,
    SUBSCRIBER.service_id,
    SUBSCRIBER.username,
    PLAN.name.label("plan"),
    _named(SUBSCRIBER.garden_plan_id, "garden"),
    _named(SUBSCRIBER.capped_plan_id, "capped"),
    SUBSCRIBER.state,
    SUBSCRIBER.testing_until,
    SUBSCRIBER.framed_ipv4,
    SUBSCRIBER.framed_pool,
    SUBSCRIBER.ipv6_wan_prefix,
    SUBSCRIBER.delegated_prefix,
    SUBSCRIBER.framed_routes,
    SUBSCRIBER.framed_ipv6_routes,
    SUBSCRIBER.external_id,
    SUBSCRIBER.bound_station,
    SUBSCRIBER.bound_port,
    SUBSCRIBER.bound_circuit,
    SUBSCRIBER.bound_remote,
    SUBSCRIBER.login_by_line,
    SUBSCRIBER.password_hash_kind,
    SUBSCRIBER.origin,
    SUBSCRIBER.version,
    SUBSCRIBER.projected_version,
).join(Plan.__table__, and_(PLAN.tenant_id == SUBSCRIBER.tenant_id, PLAN.id == SUBSCRIBER.plan_id))


def subscriber_view(
    subscriber: Subscriber | Row[*tuple[Any, ...]], plan: str, garden: str | None, capped: str | None
) -> SubscriberView:
    return SubscriberView(
        subscriber_id=subscriber.id,
        customer_id=subscriber.customer_id,
        service_id=subscriber.service_id,
        username=subscriber.username,
        plan=plan,
        state=subscriber.state,
        garden=garden,
        capped=capped,
        testing_until=subscriber.testing_until,
        ipv4=subscriber.framed_ipv4,
        ipv4_pool=subscriber.framed_pool,
        ipv6_wan_prefix=subscriber.ipv6_wan_prefix,
        delegated_prefix=subscriber.delegated_prefix,
        routes=subscriber.framed_routes.splitlines(),
        ipv6_routes=subscriber.framed_ipv6_routes.splitlines(),
        external_id=subscriber.external_id,
        line=line_of(subscriber).said,
        login_by_line=subscriber.login_by_line,
        origin=subscriber.origin,
        password=password_ref_of(subscriber.id),
        password_hash_kind=subscriber.password_hash_kind,
        version=subscriber.version,
        projected=subscriber.projected_version == subscriber.version,
    )
