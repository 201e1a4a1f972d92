"""The 26 methods that the journeys were promised, and the journey that each was promised to."""

from __future__ import annotations

EVERY_JOURNEY = (
    "lead_to_customer_onboarding",
    "quote_accepted_to_order",
    "partner_customer_provisioning",
    "customer_renewal_process",
    "isp_ticket_to_deployment",
)
_ONBOARDING, _ORDER, _PARTNER, _RENEWAL, _INSTALLATION = ((name,) for name in EVERY_JOURNEY)

CONTRACT: dict[str, dict[str, tuple[str, ...]]] = {
    "customer_service": {"create_from_lead": _ONBOARDING, "create_partner_customer": _PARTNER},
    "crm_service": {"accept_quote": _ORDER, "create_renewal_quote": _RENEWAL, "get_site_survey": _INSTALLATION},
    "sales_service": {"create_order_from_quote": _ORDER},
    "billing_service": {
        "create_subscription": (*_ONBOARDING, *_ORDER),
        "process_payment": _ORDER,
        "check_renewal_eligibility": _RENEWAL,
        "extend_subscription": _RENEWAL,
        "process_renewal_payment": _RENEWAL,
        "activate_service": _INSTALLATION,
    },
    "license_service": {"issue_license": _ONBOARDING, "allocate_from_partner": _PARTNER},
    "deployment_service": {
        "provision_tenant": _ONBOARDING,
        "schedule_deployment": _ORDER,
        "provision_partner_tenant": _PARTNER,
    },
    "communications_service": {"send_template_email": EVERY_JOURNEY},
    "notifications_service": {"notify_team": _ORDER},
    "ticketing_service": {"create_ticket": _ONBOARDING, "schedule_installation": _INSTALLATION},
    "partner_service": {"check_license_quota": _PARTNER, "record_commission": _PARTNER},
    "network_service": {"allocate_resources": _INSTALLATION},
    "radius_service": {"create_subscriber": _INSTALLATION},
    "genieacs_service": {"provision_device": _INSTALLATION},
}
"""Of each service its methods, and of each method the journeys that call it."""
