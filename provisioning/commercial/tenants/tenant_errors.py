"""What customer pages and deployments refuse. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from provisioning.errors import ProvisioningError


class TenantError(ProvisioningError):
    """Something is wrong with a customer's page."""

    code = "tenant.error"


class TenantUnknown(TenantError):
    """No such customer page."""

    code = "tenant.unknown"

    def __init__(self, named: str) -> None:
        self.named = named
        super().__init__(f"There is no customer page {named}.")


class TenantWithdrawn(TenantError):
    """The page was withdrawn, and the same request doesn't provision it again."""

    code = "tenant.withdrawn"

    def __init__(self, slug: str, withdrawn_at: datetime | None, reason: str | None) -> None:
        self.slug = slug
        when = f" at {withdrawn_at:%Y-%m-%d %H:%M} UTC" if withdrawn_at else ""
        super().__init__(
            f"The customer page {slug} was withdrawn{when} ({reason or 'no reason given'}); "
            "provision another one under a new request id."
        )


class PublicUrlMissing(TenantError):
    """Nobody could be told where a customer's page answers."""

    code = "tenant.public_url_missing"

    def __init__(self) -> None:
        super().__init__("FIRSTLIGHT_PUBLIC_URL doesn't say where this appliance is reached; set it, then try again.")


class DomainTaken(TenantError):
    """Another page answers under this domain."""

    code = "tenant.domain_taken"

    def __init__(self, domain: str) -> None:
        self.domain = domain
        super().__init__(f"Another customer page answers under {domain}; choose another domain, or withdraw that page.")


class TenantNotAnswering(TenantError):
    """The page doesn't answer."""

    code = "tenant.not_answering"
    transient = True

    def __init__(self, tenant_url: str, reason: str) -> None:
        self.tenant_url = tenant_url
        super().__init__(
            f"{tenant_url} does not answer ({reason}); see that the appliance's web server runs and that "
            "FIRSTLIGHT_PUBLIC_URL leads to it. It is asked again for a while, then when the run is retried."
        )


class TenantPageWrong(TenantError):
    """Something else answers where the page should be."""

    code = "tenant.page_wrong"

    def __init__(self, tenant_url: str, reason: str) -> None:
        self.tenant_url = tenant_url
        super().__init__(
            f"What answers at {tenant_url} is not the customer's page: {reason}; see where FIRSTLIGHT_PUBLIC_URL and "
            "the proxy in front of the appliance lead."
        )


class DeploymentError(ProvisioningError):
    """A deployment could not be arranged."""

    code = "deployment.error"


class DeploymentUnknown(DeploymentError):
    """No such deployment."""

    code = "deployment.unknown"

    def __init__(self, deployment_id: int) -> None:
        self.deployment_id = deployment_id
        super().__init__(f"There is no deployment {deployment_id}.")


class DeploymentReleased(DeploymentError):
    """The deployment was released, and the same request doesn't schedule it again."""

    code = "deployment.released"

    def __init__(self, deployment_id: int, order_id: int, reason: str | None) -> None:
        self.deployment_id = deployment_id
        super().__init__(
            f"Deployment {deployment_id} of order {order_id} was released ({reason or 'no reason given'}); "
            "schedule it under a new request id."
        )


class OrderScheduled(DeploymentError):
    """The order is scheduled already, otherwise."""

    code = "deployment.order_scheduled"

    def __init__(self, order_id: int, deployment_id: int, starts_at: datetime) -> None:
        self.order_id = order_id
        self.deployment_id = deployment_id
        super().__init__(
            f"Order {order_id} is scheduled for {starts_at:%Y-%m-%d %H:%M} UTC already (deployment {deployment_id}); "
            "release that one before scheduling it otherwise."
        )


class PlaceUnknown(DeploymentError):
    """Nobody knows where the deployment is to happen."""

    code = "deployment.place_unknown"

    def __init__(self, order_id: int, customer_id: int) -> None:
        self.order_id = order_id
        self.customer_id = customer_id
        super().__init__(
            f"Nobody knows where order {order_id} is to be deployed: customer {customer_id} has no site survey and no "
            "address was given."
        )


class NoTechnicians(DeploymentError):
    """There is no technician who could be sent."""

    code = "deployment.no_technicians"

    def __init__(self) -> None:
        super().__init__("There is no technician who could be sent; import some with the estate.")


class NobodyAble(DeploymentError):
    """No technician is able to do the visit, on whatever day."""

    code = "deployment.nobody_able"

    def __init__(self, skills: Sequence[str]) -> None:
        """``skills``: all that the visit needs of one technician."""
        self.skills = tuple(skills)
        super().__init__(
            f"No technician has what the visit needs: {', '.join(skills)}. Give somebody these skills with the estate,"
            " or correct the job."
        )


class DayFull(DeploymentError):
    """No technician has room on that day."""

    code = "deployment.day_full"

    def __init__(self, day: date, next_day: date | None, looked_ahead_days: int) -> None:
        self.day = day
        self.next_day = next_day
        room = f"the next day with room is {next_day}" if next_day else f"nor on the {looked_ahead_days} days after it"
        super().__init__(f"No technician has room on {day}; {room}.")


class SlotTaken(DeploymentError):
    """No technician is free at that time."""

    code = "deployment.slot_taken"

    def __init__(self, starts_at: datetime, next_at: datetime | None) -> None:
        self.starts_at = starts_at
        self.next_at = next_at
        room = f"; the next time with room is {next_at:%Y-%m-%d %H:%M} UTC" if next_at else ""
        super().__init__(f"No technician is free at {starts_at:%Y-%m-%d %H:%M} UTC{room}.")
