"""The contract's methods of licences, partners and deployments, each called as it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from workflows.services import Services

CUSTOMER, PARTNER, TEMPLATE = 1001, 21, 1
Answers = dict[tuple[str, str], Any]


async def partner_calls(services: Services, tenant_id: str) -> Answers:
    """Their answers, in an ISP with that customer, partner and licence template."""
    partners, licences, deployments = services.partner_service, services.license_service, services.deployment_service
    issued = await licences.issue_license(customer_id=CUSTOMER, license_template_id=TEMPLATE, tenant_id=tenant_id)
    brought = await services.customer_service.create_partner_customer(
        partner_id=PARTNER, customer_data={"name": "Ada Byron", "email": "ada@customer.example"}
    )
    customer_id = brought["customer_id"]
    return {
        ("license_service", "issue_license"): issued,
        ("deployment_service", "provision_tenant"): await deployments.provision_tenant(
            customer_id=CUSTOMER, license_key=issued["license_key"], deployment_type="hosted"
        ),
        ("partner_service", "check_license_quota"): await partners.check_license_quota(
            partner_id=PARTNER, requested_licenses=1
        ),
        ("customer_service", "create_partner_customer"): brought,
        ("license_service", "allocate_from_partner"): await licences.allocate_from_partner(
            partner_id=PARTNER, customer_id=customer_id, license_count=1
        ),
        ("deployment_service", "provision_partner_tenant"): await deployments.provision_partner_tenant(
            customer_id=customer_id, partner_id=PARTNER, white_label_config={"name": "Nordnetz"}
        ),
        ("partner_service", "record_commission"): await partners.record_commission(
            partner_id=PARTNER, customer_id=customer_id, commission_type="percentage", amount=Decimal("49.90")
        ),
        ("deployment_service", "schedule_deployment"): await deployments.schedule_deployment(
            order_id=5001,
            customer_id=CUSTOMER,
            priority="normal",
            scheduled_date=(datetime.now(UTC) + timedelta(days=3)).date(),
        ),
    }
