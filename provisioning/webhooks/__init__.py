"""Outgoing webhooks: other systems are told, signed and at least once, when a run or a subscriber changes its state.

``recording`` writes what has happened beside it, in the same transaction. ``delivery`` sends it (``sending``, to where
``targets`` allows) until it was taken or given up (``retrying``), ``retention`` forgets it in the end, and
``subscriptions`` is the operator's side: who is told of what. What others see stands in ``docs/webhooks.md``.

Recipe, another type of event: its name in ``messages.EVENT_TYPES``, a ``fact_of_...`` beside the others, and a function
in the face of its own package that tells what a flush has changed, as ``workflows.run_changes`` does.
"""

from provisioning.webhooks.delivery import Deliveries
from provisioning.webhooks.errors import (
    MessageUnknown,
    TargetRefused,
    TargetUnresolved,
    WebhookDisabled,
    WebhookError,
    WebhookUnknown,
)
from provisioning.webhooks.failing import FailingWebhook, failing_webhooks
from provisioning.webhooks.messages import EVENT_TYPES
from provisioning.webhooks.recording import FactRecorder
from provisioning.webhooks.records import DeliveryRecord, WebhookRecord, WebhookWithSecret, impersonal_webhook
from provisioning.webhooks.retention import Retention
from provisioning.webhooks.sending import WebhookSender
from provisioning.webhooks.subscriptions import Webhooks
from provisioning.webhooks.targets import Targets

__all__ = [
    "EVENT_TYPES",
    "Deliveries",
    "DeliveryRecord",
    "FactRecorder",
    "FailingWebhook",
    "MessageUnknown",
    "Retention",
    "TargetRefused",
    "TargetUnresolved",
    "Targets",
    "WebhookDisabled",
    "WebhookError",
    "WebhookRecord",
    "WebhookSender",
    "WebhookUnknown",
    "WebhookWithSecret",
    "Webhooks",
    "failing_webhooks",
    "impersonal_webhook",
]
