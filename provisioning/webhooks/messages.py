"""What is told, and how: a fact of ours as a CloudEvent (version 1.0.2, JSON, structured mode).

``data`` has numbers and states alone; whoever wants more asks the API for it, under a permission of their own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloudevents.core.bindings.http import to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from radius import SubscriberChange
from workflows import PublishedEvent, RunChange

RUN_CHANGED = "run.state_changed"
SUBSCRIBER_CHANGED = "subscriber.state_changed"
EVENT_TYPES: tuple[str, ...] = (
    RUN_CHANGED,
    SUBSCRIBER_CHANGED,
    "campaign.completed",
    "campaign.stopped",
    "device.handed_over",
    "device.operation_ended",
    "lead.qualified",
    "nas.heard_again",
    "nas.silent",
    "partner.customer.created",
    "partner.domain_found_again",
    "partner.domain_lost",
    "partner.domain_missing",
    "pool.critical",
    "pool.exhausted",
    "pool.recovered",
    "pool.running_low",
    "quote.accepted",
    "service.termination_requested",
    "subscriber.data_cap_lifted",
    "subscriber.data_cap_reached",
    "subscriber.data_cap_warning",
    "subscription.expiring",
    "ticket.installation_approved",
)
"""All that a webhook can be told."""

SEQUENCE_DIGITS = 20


@dataclass(frozen=True)
class Fact:
    """Something that has happened. ``subject`` is what it happened to, like ``run/7``."""

    type: str
    subject: str
    data: dict[str, Any]


def fact_of_run(change: RunChange) -> Fact:
    return Fact(
        RUN_CHANGED,
        f"run/{change.run_id}",
        {
            "run_id": change.run_id,
            "journey": change.journey,
            "customer_id": change.customer_id,
            "state": change.state,
            "previous_state": change.previous,
            "step": change.step,
            "reason_code": change.reason_code,
        },
    )


def fact_of_subscriber(change: SubscriberChange) -> Fact:
    return Fact(
        SUBSCRIBER_CHANGED,
        f"subscriber/{change.subscriber_id}",
        {
            "subscriber_id": change.subscriber_id,
            "customer_id": change.customer_id,
            "service_id": change.service_id,
            "state": change.state,
            "previous_state": change.previous,
        },
    )


def fact_of_event(event: PublishedEvent) -> Fact:
    """Of an event's data only the numbers of what it is about: ``customer_id``, ``quote_id``."""
    told = event.data if isinstance(event.data, Mapping) else {}
    numbers = {
        name: value
        for name, value in told.items()
        if name.endswith("_id") and isinstance(value, int) and not isinstance(value, bool)
    }
    return Fact(event.type, event.subject, {"event_id": event.event_id, **numbers})


def new_message_id() -> str:
    return f"msg_{secrets.token_hex(16)}"


def source_of(tenant_id: str) -> str:
    """Where the messages of a tenant come from (CloudEvents: ``source``)."""
    return f"urn:firstlight:{tenant_id}"


@dataclass(frozen=True)
class Told:
    """A message as it is kept."""

    row: int
    tenant_id: str
    message_id: str
    type: str
    subject: str
    data: Mapping[str, Any]
    occurred_at: datetime


def body_of(message: Told) -> tuple[str, bytes]:
    """Media type and body; the same for every copy of the message.

    ``sequence`` (an extension) tells what came before what: it compares as text, and has gaps.
    """
    event = CloudEvent(
        {
            "specversion": "1.0",
            "id": message.message_id,
            "source": source_of(message.tenant_id),
            "type": message.type,
            "subject": message.subject,
            "time": message.occurred_at,
            "datacontenttype": "application/json",
            "sequence": f"{message.row:0{SEQUENCE_DIGITS}d}",
        },
        dict(message.data),
    )
    structured = to_structured(event, JSONFormat())
    return structured.headers["content-type"], structured.body
