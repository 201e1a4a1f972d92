"""What can go wrong with outgoing webhooks. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from provisioning.errors import ProvisioningError


class WebhookError(ProvisioningError):
    """Something is wrong with an outgoing webhook."""

    code = "webhook.error"


class WebhookUnknown(WebhookError):
    """No such webhook."""

    code = "webhook.unknown"

    def __init__(self, webhook_id: int) -> None:
        self.webhook_id = webhook_id
        super().__init__(f"There is no webhook {webhook_id}.")


class WebhookDisabled(WebhookError):
    """The webhook is disabled, so nothing could be sent to it."""

    code = "webhook.disabled"

    def __init__(self, webhook_id: int, reason: str | None) -> None:
        self.webhook_id = webhook_id
        super().__init__(f"Webhook {webhook_id} is disabled ({reason or 'no reason given'}); enable it first.")


class MessageUnknown(WebhookError):
    """No such message, or none that this webhook is told."""

    code = "webhook.message_unknown"

    def __init__(self, message_id: str, webhook_id: int) -> None:
        self.message_id = message_id
        super().__init__(f"There is no message {message_id} of a type that webhook {webhook_id} is told.")


class TargetRefused(WebhookError):
    """The webhook's address leads where nothing may be sent."""

    code = "webhook.target_refused"

    def __init__(self, host: str, reason: str) -> None:
        self.host = host
        super().__init__(f"Nothing is sent to {host}: {reason}.")


class TargetUnresolved(WebhookError):
    """The webhook's host has no address at present."""

    code = "webhook.target_unresolved"
    transient = True

    def __init__(self, host: str, reason: str) -> None:
        self.host = host
        super().__init__(f"{host} has no address at present ({reason}).")
