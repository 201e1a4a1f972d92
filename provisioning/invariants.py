"""Every invariant of the appliance's database, as one table of contents; ``provisioning.check`` asks them.

Each package knows its own; here they are put together with what only the whole knows: which services are wanted by
whom. To add one: a function beside its package's others that returns records with a ``subject`` and a ``sentence``, one
line below, and in ``tests/provisioning/test_check*.py`` the corruption that it must catch; then ``make docs`` renews
the list in ``docs/invariants.md``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

import acs
import ipam
import radius
import workflows
from ipam import AllocatedResources
from provisioning import agreement
from provisioning.commercial import invariants as commercial
from provisioning.commercial.bills.term_invariants import active_after_their_end, terms_not_as_paid
from provisioning.commercial.customers.key_invariants import customers_badly_found
from provisioning.commercial.mails import message_invariants as messages
from provisioning.commercial.partners import partner_invariants as partners
from provisioning.commercial.payments import invariants as payments
from provisioning.commercial.selling import selling_invariants as selling
from provisioning.field import invariants as field
from provisioning.line import invariants as line
from provisioning.vault import Keyring
from provisioning.vault import invariants as vault
from provisioning.webhooks import invariants as webhooks
from radius import FramedAddresses
from workflows import Definition, framed_addresses, stuck_events

MAIL_STUCK_AFTER = timedelta(hours=1)
EVENT_STUCK_AFTER = timedelta(minutes=15)
PAYMENT_KNOWN_AFTER = timedelta(hours=1)
NOTICE_STUCK_AFTER = timedelta(hours=1)
TERM_OVER_AFTER = timedelta(days=1)
WEBHOOK_STUCK_AFTER = timedelta(hours=1)
TRACES_GONE_AFTER = timedelta(minutes=15)
OPERATION_ENDS_AFTER = timedelta(hours=1)


class Found(Protocol):
    """What every package's finding can tell."""

    @property
    def subject(self) -> str: ...

    @property
    def sentence(self) -> str: ...


@dataclass(frozen=True)
class Whole:
    """What the questions to the appliance's database are about, read in the same instant as the answers."""

    db: AsyncSession
    tenant_id: str
    now: datetime
    keyring: Keyring
    definitions: Mapping[tuple[str, int], Definition[Any]]
    allocated: dict[int, AllocatedResources]  # by service
    live: set[int]  # services that hold resources
    wanted: set[int]  # services that a subscriber in service wants, a run that has not given them back, another system
    promised: set[int]  # services that a run with more to do wants
    changing: set[int]  # services that a run is taking back right now
    in_work: set[str]  # usernames that a run which goes on by itself has been given
    billed: set[int]  # services with a running bill

    @property
    def scope(self) -> dict[str, Any]:
        return {"tenant_id": self.tenant_id}

    @property
    def addresses(self) -> dict[int, FramedAddresses]:
        return {service_id: framed_addresses(each) for service_id, each in self.allocated.items()}

    @property
    def vlans(self) -> dict[int, line.Vlans]:
        return {service_id: (each["svlan"], each["cvlan"]) for service_id, each in self.allocated.items()}


@dataclass(frozen=True)
class Invariant:
    """One question to the appliance's database. ``ask`` answers with what breaks it."""

    name: str
    meaning: str
    ask: Callable[[Whole], Awaitable[Sequence[Found]]]


INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        "ipam.given_twice",
        "no address, prefix or VLAN is given to two services",
        lambda on: ipam.given_twice(on.db, **on.scope),
    ),
    Invariant("ipam.overlapping", "no two assignable prefixes overlap", lambda on: ipam.overlapping(on.db, **on.scope)),
    Invariant(
        "ipam.as_written",
        "a prefix has the addresses that its text says, and a pool the units of its prefix",
        lambda on: ipam.not_as_written(on.db, **on.scope),
    ),
    Invariant(
        "ipam.held_after_release",
        "a released service holds nothing",
        lambda on: ipam.held_after_release(on.db, **on.scope),
    ),
    Invariant(
        "ipam.leaked",
        "every service that holds addresses is in service, in the hands of a run, or another system's",
        lambda on: ipam.leaked(on.db, **on.scope, live_service_ids=on.wanted),
    ),
    Invariant(
        "ipam.incomplete", "a live service holds all that its plan needs", lambda on: ipam.incomplete(on.db, **on.scope)
    ),
    Invariant(
        "ipam.partition",
        "each unit of a pool is free, used or excluded, and only one of these",
        lambda on: ipam.badly_partitioned(on.db, **on.scope),
    ),
    Invariant(
        "ipam.never_handed_out",
        "no pool may hand out C-VLAN 0, 1 or 4095, or its network, broadcast or gateway address, and an S-VLAN is one"
        " that its group may use",
        lambda on: ipam.never_handed_out(on.db, **on.scope),
    ),
    Invariant(
        "ipam.founded",
        "a pool stands on an assignable prefix that has its gateway, a rule of port blocks maps all of its pool, a"
        " premise's port is one of its access node, and what a BNG hands out isn't handed out here",
        lambda on: ipam.badly_founded(on.db, **on.scope),
    ),
    Invariant(
        "ipam.history",
        "what has become of a unit last is what its row says, with the end of its quarantine, and a service is where it"
        " was moved to last",
        lambda on: ipam.off_its_history(on.db, **on.scope),
    ),
    Invariant(
        "ipam.history_in_order",
        "a unit is given back by whoever was given it, nothing else becomes of it meanwhile, no service had two of a"
        " kind at one time, and times don't run backwards",
        lambda on: ipam.histories_out_of_order(on.db, **on.scope),
    ),
    Invariant(
        "ipam.rows_as_held",
        "a used unit's row says who is to get it again, since when it is held and what it is reserved for as its"
        " service and its history do",
        lambda on: ipam.rows_off_their_holders(on.db, **on.scope),
    ),
    Invariant(
        "ipam.guarded",
        "the database refuses to have the history of addresses rewritten",
        lambda on: ipam.unguarded(on.db, **on.scope),
    ),
    Invariant(
        "ipam.quarantine_kept",
        "nothing goes to another customer before its quarantine is over or was lifted",
        lambda on: ipam.given_too_early(on.db, **on.scope),
    ),
    Invariant(
        "ipam.cvlan_as_computed",
        "a C-VLAN that is computed is the one that follows from the line's port and ONU",
        lambda on: ipam.cvlans_not_as_computed(on.db, **on.scope),
    ),
    Invariant(
        "ipam.serving_as_bound",
        "what PostgreSQL has kept of who serves a place is what is bound there",
        lambda on: ipam.served_otherwise(on.db, **on.scope),
    ),
    Invariant(
        "ipam.ports_of_one",
        "no port of an outside address of the CGNAT was two subscribers' at one time",
        lambda on: ipam.ports_of_two(on.db, **on.scope),
    ),
    Invariant(
        "ipam.ports_as_ruled",
        "whoever has ports of the CGNAT still by a log has them by the rule in force too",
        lambda on: ipam.ports_off_rules(on.db, **on.scope),
    ),
    Invariant(
        "radius.subscribers_of_ended_services",
        "no subscriber outlives its service",
        lambda on: radius.subscribers_of_ended_services(on.db, **on.scope, live_service_ids=on.live),
    ),
    Invariant(
        "radius.subscribers_nobody_wants",
        "a subscriber who is not in service yet is in the hands of a run",
        lambda on: radius.subscribers_nobody_wants(on.db, **on.scope, wanted_service_ids=on.promised),
    ),
    Invariant(
        "radius.addresses_as_allocated",
        "a subscriber is given what its service was allocated",
        lambda on: radius.addresses_not_as_allocated(on.db, **on.scope, allocated=on.addresses),
    ),
    Invariant(
        "radius.states_as_billed",
        "a line carries its plan exactly while it is billed",
        lambda on: radius.states_not_as_billed(
            on.db, **on.scope, billed_service_ids=on.billed, changing_service_ids=on.changing
        ),
    ),
    Invariant(
        "radius.lines_told",
        "where lines log in by themselves, a NAS tells of lines",
        lambda on: radius.lines_that_no_nas_tells_of(on.db, **on.scope),
    ),
    Invariant("acs.serial_bound_twice", "a CPE serves one service", lambda on: acs.serials_bound_twice(on.db)),
    Invariant(
        "acs.device_of_ended_service",
        "no CPE is bound to a service that has ended",
        lambda on: acs.devices_of_ended_services(on.db, **on.scope, live_service_ids=on.live),
    ),
    Invariant(
        "acs.claim_without_proof",
        "a CPE is called configured only with the proof that it is",
        lambda on: acs.claims_without_proof(on.db, **on.scope),
    ),
    Invariant(
        "acs.revision_does_not_fit",
        "a CPE's revision is that of its settings",
        lambda on: acs.revisions_that_do_not_fit(on.db, **on.scope),
    ),
    Invariant(
        "acs.secret_in_clear",
        "no password or passphrase stands in a CPE's settings",
        lambda on: acs.secrets_in_clear(on.db, **on.scope),
    ),
    Invariant(
        "acs.handed_over_at_rest",
        "a CPE that was handed over to a person is left alone until then",
        lambda on: acs.handed_over_and_not_at_rest(on.db, **on.scope),
    ),
    Invariant(
        "acs.unreached_for_a_cause",
        "a CPE that cannot be reached is so for a known cause, since a time",
        lambda on: acs.unreached_without_a_cause(on.db, **on.scope),
    ),
    Invariant(
        "acs.traces_left",
        "nothing is left at the ACS for a CPE that was taken back",
        lambda on: acs.traces_left_at_the_acs(on.db, **on.scope, withdrawn_before=on.now - TRACES_GONE_AFTER),
    ),
    Invariant(
        "acs.left_standing",
        "what a CPE is not to have any more is taken back at its ACS",
        lambda on: acs.left_standing_for_long(on.db, **on.scope, unchanged_since=on.now - TRACES_GONE_AFTER),
    ),
    Invariant(
        "acs.campaign_complete",
        "a campaign is complete when every CPE in it has ended",
        lambda on: acs.campaigns_called_complete_too_early(on.db, **on.scope),
    ),
    Invariant(
        "acs.operation_ends",
        "what is done to a CPE ends: done, refused, expired, or given up as unknown",
        lambda on: acs.operations_nobody_ends(on.db, **on.scope, now=on.now, after=OPERATION_ENDS_AFTER),
    ),
    Invariant(
        "acs.operation_without_secret",
        "no password or passphrase stands in the record of what was done to a CPE",
        lambda on: acs.operations_with_secrets(on.db, **on.scope),
    ),
    Invariant(
        "line.of_ended_service",
        "no line stays on an OLT for a service that has ended",
        lambda on: line.lines_of_ended_services(on.db, **on.scope, live_service_ids=on.live),
    ),
    Invariant(
        "line.as_allocated",
        "an OLT was told the VLANs that the service was allocated",
        lambda on: line.lines_not_as_allocated(on.db, **on.scope, allocated=on.vlans),
    ),
    Invariant(
        "line.vlan_given_twice",
        "no two lines of an access node share a C-VLAN",
        lambda on: line.vlans_given_twice(on.db, **on.scope),
    ),
    Invariant(
        "mail.one_per_request",
        "one request makes one mail",
        lambda on: commercial.doubled_mails(on.db, on.tenant_id),
    ),
    Invariant(
        "mail.one_per_run",
        "a completed run has sent each of its mails, and none of them twice",
        lambda on: agreement.mails_not_as_their_runs(on.db, **on.scope, definitions=on.definitions),
    ),
    Invariant(
        "mail.one_message_id",
        "a mail is only ever sent under its own Message-ID",
        lambda on: commercial.mails_of_two_identities(on.db, on.tenant_id),
    ),
    Invariant(
        "mail.not_stuck",
        "no mail waits for an hour",
        lambda on: commercial.stuck_mails(on.db, on.tenant_id, queued_before=on.now - MAIL_STUCK_AFTER),
    ),
    Invariant(
        "notice.not_stuck",
        "no notice is still queued an hour after it should have been tried",
        lambda on: messages.stuck_notices(on.db, on.tenant_id, due_before=on.now - NOTICE_STUCK_AFTER),
    ),
    Invariant(
        "webhook.not_stuck",
        "no message to a webhook is still queued an hour after it could have been sent",
        lambda on: webhooks.stuck_deliveries(on.db, on.tenant_id, now=on.now, after=WEBHOOK_STUCK_AFTER),
    ),
    Invariant(
        "webhook.has_its_secret",
        "every webhook has the secret that its messages are signed with",
        lambda on: webhooks.webhooks_without_secret(on.db, on.tenant_id),
    ),
    Invariant(
        "ticket.due_after_opened",
        "a ticket is due after it was opened",
        lambda on: messages.tickets_due_too_early(on.db, on.tenant_id),
    ),
    Invariant(
        "link.used_once",
        "a one-time link is used once",
        lambda on: messages.links_used_twice(on.db, on.tenant_id),
    ),
    Invariant(
        "field.no_technician_twice",
        "no technician is booked twice at the same time",
        lambda on: commercial.overlapping_visits(on.db, on.tenant_id),
    ),
    Invariant(
        "field.one_visit_per_order",
        "an order and its installation have one visit to come, not two",
        lambda on: field.orders_visited_twice(on.db, **on.scope),
    ),
    Invariant(
        "field.visit_is_needed",
        "a technician is kept while an order or an installation needs them",
        lambda on: field.visits_nobody_needs(on.db, **on.scope),
    ),
    Invariant(
        "field.within_hours",
        "a technician is sent within their working hours, or it is on record why not",
        lambda on: field.visits_out_of_hours(on.db, **on.scope, now=on.now),
    ),
    Invariant(
        "field.visit_of_ended_run",
        "no technician is kept for a run that has ended",
        lambda on: agreement.visits_nobody_waits_for(on.db, **on.scope),
    ),
    Invariant(
        "billing.one_bill_per_service",
        "a service is billed once",
        lambda on: commercial.doubled_bills(on.db, on.tenant_id),
    ),
    Invariant(
        "billing.customer_known",
        "a bill is somebody's",
        lambda on: commercial.bills_without_customer(on.db, on.tenant_id),
    ),
    Invariant(
        "billing.service_live",
        "a bill is for a service that lives, or for a product that needs none",
        lambda on: commercial.bills_without_service(on.db, on.tenant_id, live_service_ids=on.live),
    ),
    Invariant(
        "customer.found_by_their_names",
        "a customer is found by their name, mail address and telephone number, and by nothing else",
        lambda on: customers_badly_found(on.db, **on.scope),
    ),
    Invariant(
        "selling.lead_has_its_customer",
        "a converted lead has its customer",
        lambda on: selling.leads_without_customer(on.db, on.tenant_id),
    ),
    Invariant(
        "selling.one_order_per_quote",
        "an accepted quote becomes one order",
        lambda on: selling.twice_ordered_quotes(on.db, on.tenant_id),
    ),
    Invariant(
        "selling.order_was_agreed",
        "an order rests on an accepted quote",
        lambda on: selling.orders_without_acceptance(on.db, on.tenant_id),
    ),
    Invariant(
        "selling.acceptance_is_carried_out",
        "an accepted quote has its order, a run, or an event that is about to start one",
        lambda on: agreement.acceptances_nobody_carries_out(on.db, **on.scope),
    ),
    Invariant(
        "selling.totals_add_up",
        "a quote's total is the sum of its lines, and an order's is its quote's",
        lambda on: selling.wrong_totals(on.db, on.tenant_id),
    ),
    Invariant(
        "billing.term_as_paid",
        "a subscription ends when the months that were paid for are over",
        lambda on: terms_not_as_paid(on.db, on.tenant_id),
    ),
    Invariant(
        "billing.ends_with_its_term",
        "a subscription is active no day longer than its term, unless it is being renewed or ended",
        lambda on: active_after_their_end(on.db, on.tenant_id, ended_by=(on.now - TERM_OVER_AFTER).date()),
    ),
    Invariant(
        "payment.once",
        "an order or renewal is paid once",
        lambda on: payments.paid_twice(on.db, on.tenant_id),
    ),
    Invariant(
        "payment.proven",
        "a captured payment has its gateway's reference, or whoever settled it",
        lambda on: payments.captured_without_proof(on.db, on.tenant_id),
    ),
    Invariant(
        "payment.outcome_known",
        "no payment is unknown for an hour",
        lambda on: payments.unknown_for_long(on.db, on.tenant_id, asked_before=on.now - PAYMENT_KNOWN_AFTER),
    ),
    Invariant(
        "payment.as_its_gateway_says",
        "no gateway has taken money that nobody asked for, or another amount",
        lambda on: payments.not_as_the_gateway_says(on.db, on.tenant_id),
    ),
    Invariant(
        "license.as_signed",
        "a licence's key is ours and says what its record says",
        lambda on: partners.licences_not_as_signed(on.db, **on.scope),
    ),
    Invariant(
        "partner.pool_as_ledger",
        "a partner's licences left are the sum of the ledger, never less than none",
        lambda on: partners.pools_off_their_ledger(on.db, **on.scope),
    ),
    Invariant(
        "partner.allocations_issued",
        "what was taken out of a partner's pool is issued as licences, and valid until it is returned",
        lambda on: partners.allocations_without_their_licences(on.db, **on.scope),
    ),
    Invariant(
        "partner.commission_once",
        "a partner earns once with a customer for one thing",
        lambda on: partners.doubled_commissions(on.db, **on.scope),
    ),
    Invariant(
        "tenant.of_its_customer",
        "a customer's page is a registered customer's, and so is its licence",
        lambda on: partners.tenants_of_nobody(on.db, **on.scope),
    ),
    Invariant(
        "tenant.at_its_host_name",
        "a page with a host name answers there: its DNS says that it is its partner's",
        lambda on: partners.pages_under_names_of_others(on.db, **on.scope),
    ),
    Invariant(
        "deployment.as_its_visit",
        "a scheduled deployment has its visit, a released one keeps no technician",
        lambda on: partners.deployments_off_their_visit(on.db, **on.scope),
    ),
    Invariant(
        "vault.secrets_open",
        "every sealed secret opens under this machine's keyring",
        lambda on: vault.secrets_that_do_not_open(on.db, on.keyring, **on.scope),
    ),
    Invariant(
        "runs.at_rest",
        "every run has ended, moves, waits for something it names, or is held with a reason",
        lambda on: workflows.restless_runs(on.db, **on.scope, now=on.now),
    ),
    Invariant(
        "runs.ended_whole",
        "an ended run has done every step, or undone every step that it had done",
        lambda on: workflows.unfinished_ends(on.db, **on.scope, definitions=on.definitions),
    ),
    Invariant(
        "events.not_stuck",
        "an event soon starts its journey, or says why it doesn't",
        lambda on: stuck_events(on.db, **on.scope, occurred_before=on.now - EVENT_STUCK_AFTER),
    ),
    Invariant(
        "runs.unknown_outcome",
        "no run ends with a step of which nobody knows whether it took effect",
        lambda on: workflows.unknown_outcomes(on.db, **on.scope),
    ),
)
"""Every question to the appliance's database, in the order they are asked."""
