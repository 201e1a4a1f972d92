"""All tables of the appliance's own database, whichever package owns them."""

from __future__ import annotations

from sqlalchemy import MetaData

import provisioning.access.audit
import provisioning.access.console_sessions
import provisioning.access.invitations
import provisioning.access.request_keys
import provisioning.access.tokens
import provisioning.access.users
import provisioning.check_records
import provisioning.commercial.customers.customer_keys
import provisioning.commercial.helpdesk.ticket_tables
import provisioning.commercial.licences.licence_tables
import provisioning.commercial.notices.notice_tables
import provisioning.commercial.partners.domain_tables
import provisioning.commercial.partners.partner_tables
import provisioning.commercial.payments.tables
import provisioning.commercial.selling.selling_tables
import provisioning.commercial.tables
import provisioning.commercial.tenants.tenant_tables
import provisioning.field.feed_tables
import provisioning.field.planning_tables
import provisioning.field.record_tables
import provisioning.field.tables
import provisioning.line.tables
import provisioning.links
import provisioning.reveals
import provisioning.session_counts
import provisioning.taken_messages
import provisioning.vault.tables
import provisioning.webhooks.tables  # noqa: F401 - importing a module of tables makes them known to its base
from acs.tables import AcsBase
from ipam.tables import IpamBase
from provisioning.tables import ProvisioningBase
from radius.tables import RadiusBase
from workflows.engine.tables import WorkflowBase

ALL_TABLES: list[MetaData] = [
    WorkflowBase.metadata,
    IpamBase.metadata,
    RadiusBase.metadata,
    AcsBase.metadata,
    ProvisioningBase.metadata,
]
