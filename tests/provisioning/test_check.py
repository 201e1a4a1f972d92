"""``firstlight check``: silent on an estate in good health, and every invariant catches the corruption it is there for.

The corruption is done by SQL behind everybody's back, on a copy of an estate with a completed, a waiting, a held and a
cancelled installation. Of each it is asserted what an operator reads, and that nothing else is reported. What concerns
addresses and VLANs, partners, payments and terms, and FreeRADIUS' rows stands in ``test_check_of_addresses`` and the
modules named like it.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from acs.convergence.standing import STILL_THERE
from acs.tables import AcsDevice
from provisioning.bootstrap import Appliance
from provisioning.check import every_invariant
from provisioning.commercial.mails.communications import message_id_of
from tests.provisioning import test_check_of_addresses as of_addresses
from tests.provisioning import test_check_of_partners as of_partners
from tests.provisioning import test_check_of_payments as of_payments
from tests.provisioning import test_check_of_radius as of_radius
from tests.provisioning.corruptions import LONG_AGO, MAIL_KEY, SERIAL, Corruption, assert_caught, check

CORRUPTIONS = (
    # -- CPEs and lines ------------------------------------------------------------------------------------------------
    Corruption(
        "a CPE that serves two",
        (
            (
                "acs.serial_bound_twice",
                SERIAL,
                f"CPE {SERIAL} is bound to service 1 of tenant default and to service 3 of tenant default.",
            ),
        ),
        strip=("acs_device",),
        clones=(("acs_device", f"serial = '{SERIAL}'", {"id": "id + 1000", "service_id": "3"}),),
    ),
    Corruption(
        "a CPE that was never read back",
        (
            (
                "acs.claim_without_proof",
                SERIAL,
                f"CPE {SERIAL} is called accepted_unverifiable with $revision, but it was never read back.",
            ),
        ),
        ours=("UPDATE acs_device SET verified_at = NULL",),
        strip=("acs_device",),
    ),
    Corruption(
        "a revision that is not its settings'",
        (
            (
                "acs.revision_does_not_fit",
                SERIAL,
                f"The settings of CPE {SERIAL} were changed without a new revision (fedcba9876543210).",
            ),
        ),
        ours=("UPDATE acs_device SET revision = 'fedcba9876543210', applied_revision = 'fedcba9876543210'",),
    ),
    Corruption(
        "something left at the ACS",
        (
            (
                "acs.traces_left",
                SERIAL,
                f"CPE {SERIAL} was withdrawn from service 1, and what was queued for it at the ACS was never taken"
                " back.",
            ),
        ),
        ours=(f"UPDATE acs_device SET state = 'withdrawn', withdrawn_at = {LONG_AGO}, cleared_at = NULL",),
    ),
    Corruption(
        "former settings that nobody takes back",
        (
            (
                "acs.left_standing",
                SERIAL,
                f"What was queued at ACS default for CPE {SERIAL}, which is not to have it any more, was never taken"
                " back. See that a worker runs, and reaches that ACS.",
            ),
        ),
        ours=(f"UPDATE acs_device SET left_standing = true, updated_at = {LONG_AGO} WHERE serial = '{SERIAL}'",),
    ),
    Corruption(
        "former settings that nobody is going to take back",
        (
            (
                "acs.left_standing",
                SERIAL,
                f"What was queued at ACS default for CPE {SERIAL}, which is not to have it any more, may be there, and"
                " nobody is going to take it back.",
            ),
        ),
        ours=(f"UPDATE acs_device SET reason = 'It failed.{STILL_THERE}' WHERE serial = '{SERIAL}'",),
    ),
    Corruption(
        "a CPE that goes on though it was handed over",
        (
            (
                "acs.handed_over_at_rest",
                SERIAL,
                f"CPE {SERIAL} was handed over to a person, and is accepted_unverifiable all the same.",
            ),
        ),
        ours=(f"UPDATE acs_device SET handed_over_at = {LONG_AGO} WHERE serial = '{SERIAL}'",),
    ),
    Corruption(
        "a CPE that is not reached for no cause",
        (
            (
                "acs.unreached_for_a_cause",
                SERIAL,
                f"CPE {SERIAL} cannot be reached (moods, since None): that is no cause with a time.",
            ),
        ),
        ours=(f"UPDATE acs_device SET unreached_why = 'moods' WHERE serial = '{SERIAL}'",),
    ),
    Corruption(
        "a campaign that ended before its CPEs",
        (
            (
                "acs.campaign_complete",
                "campaign wifi",
                "Campaign wifi is called completed, but 1 of its CPEs have not ended.",
            ),
        ),
        ours=(
            "INSERT INTO acs_campaign (id, tenant_id, name, kind, arguments, canary, batch_size, most_failed_percent,"
            " patience_seconds, state, reason, pardoned_done, pardoned_failed, pardoned_others,"
            " planned_by, planned_at, updated_at)"
            f" SELECT 1, 'default', 'wifi', 'template', '{{}}', 0, 1, 0, 60, 'completed', '', 0, 0, 0, 'x', {LONG_AGO},"
            f" {LONG_AGO}",
            "INSERT INTO acs_campaign_member (id, tenant_id, campaign_id, device_row_id, serial, state, reason)"
            " SELECT 1, 'default', 1, id, serial, 'waiting', '' FROM acs_device",
        ),
    ),
    Corruption(
        "an operation that nobody carries, with a passphrase in it",
        (
            (
                "acs.operation_ends",
                "operation 7",
                f"Operation 7 (wifi of CPE {SERIAL}) should have ended by 2026-01-01 00:00 UTC: does a worker run, and"
                " does it reach the ACS?",
            ),
            (
                "acs.operation_without_secret",
                "operation 7",
                f"Operation 7 has the passphrase of CPE {SERIAL} in clear.",
            ),
        ),
        ours=(
            "INSERT INTO acs_operation (id, tenant_id, device_serial, kind, arguments, alone, state, reason,"
            " cancel_wanted, step, stage, looks, attempts, baseline, requested_by, requested_at, expires_at, due_at)"
            f" VALUES (7, 'default', '{SERIAL}', 'wifi', '{{\"passphrase\": \"seven bottles\"}}', false, 'requested',"
            f" '', false, 0, 'new', 0, 0, '{{}}', 'nora', {LONG_AGO}, {LONG_AGO}, {LONG_AGO})",
        ),
    ),
    Corruption(
        "a line in another VLAN than its service",
        (
            (
                "line.as_allocated",
                "line order 1",
                f"Line order 1 puts ONT {SERIAL} into VLAN 101.77, but service 1 was allocated 101.$cvlan_1.",
            ),
        ),
        ours=("UPDATE line_order SET cvlan = 77 WHERE service_id = 1",),
    ),
    Corruption(
        "two lines in one VLAN",
        (
            (
                "line.vlan_given_twice",
                "VLAN 101.$cvlan_1 of OLT-3",
                "VLAN 101.$cvlan_1 of OLT-3 is given to 2 lines at once.",
            ),
            (
                "line.as_allocated",
                "line order 2",
                "Line order 2 puts ONT HWTC00000003 into VLAN 101.$cvlan_1, but service 3 was allocated 101.$cvlan_3.",
            ),
        ),
        ours=("UPDATE line_order SET cvlan = $cvlan_1 WHERE service_id = 3",),
    ),
    # -- people, bills, mails ------------------------------------------------------------------------------------------
    Corruption(
        "one request that made two mails",
        (
            (
                "mail.one_per_request",
                f"request {MAIL_KEY}",
                f"Request {MAIL_KEY} made 2 mails (5, 1005) instead of one.",
            ),
        ),
        strip=("mail",),
        clones=(("mail", "id = 5", {"id": "id + 1000"}),),
    ),
    Corruption(
        "a run that wrote twice",
        (
            (
                "mail.one_per_run",
                "run 1",
                "Run 1 has written to its customer twice in send_template_email (mails 5, 1005).",
            ),
        ),
        clones=(
            (
                "mail",
                "id = 5",
                {
                    "id": "id + 1000",
                    "request_id": f"'{MAIL_KEY}/2'",
                    "message_id": f"'{message_id_of('default', f'{MAIL_KEY}/2', 'isp.example')}'",
                },
            ),
            ("run_step", "run_id = 1 AND step = 'send_template_email'", {"round": "2", "key": f"'{MAIL_KEY}/2'"}),
        ),
    ),
    Corruption(
        "a completed run whose mail is gone",
        (("mail.one_per_run", "run 1", "Run 1 is completed, but its mail of mail_appointment is gone."),),
        ours=("DELETE FROM mail_attempt WHERE mail_id = 1", "DELETE FROM mail WHERE id = 1"),
    ),
    Corruption(
        "a completed run whose mail was not sent",
        (
            ("mail.one_per_run", "run 1", "Run 1 is completed, but mail 5 of send_template_email is unknown."),
            (
                "mail.not_stuck",
                "mail 5",
                "Mail 5 to customer1@example.net is unknown since 2026-01-01 00:00 UTC, after 1 attempt(s).",
            ),
        ),
        ours=(f"UPDATE mail SET state = 'unknown', sent_at = NULL, queued_at = {LONG_AGO} WHERE id = 5",),
    ),
    Corruption(
        "a mail under another's Message-ID",
        (
            (
                "mail.one_message_id",
                "mail 5",
                f"Mail 5 carries, or was tried under, a Message-ID that isn't its own"
                f" ({message_id_of('default', MAIL_KEY, 'isp.example')}, <x@isp.example>): its recipient can't tell a"
                " second copy from a second mail.",
            ),
        ),
        ours=("UPDATE mail_attempt SET message_id = '<x@isp.example>' WHERE mail_id = 5",),
    ),
    Corruption(
        "a notice that nobody tries",
        (
            (
                "notice.not_stuck",
                "notice 1",
                "Notice 1 to team noc should have been tried at 2026-01-01 00:00 UTC (attempts so far: 0): no worker"
                " seems to be at work.",
            ),
        ),
        ours=(
            "INSERT INTO notice (id, tenant_id, request_id, team, channel, subject, message, metadata, state,"
            " queued_at, attempts, next_try_at)"
            f" VALUES (1, 'default', 'r', 'noc', 'email', 's', 'm', '{{}}', 'queued', {LONG_AGO}, 0, {LONG_AGO})",
        ),
    ),
    Corruption(
        "a message to a webhook that nobody sends, and its secret is gone",
        (
            (
                "webhook.not_stuck",
                "webhook 1",
                "Message msg_1 to webhook 1 should have been tried at 2026-01-01 00:00 UTC (attempts so far: 0): no"
                " worker seems to be at work.",
            ),
            (
                "webhook.has_its_secret",
                "webhook 1",
                "Webhook 1 has no secret in the vault, so nothing can be sent to it.",
            ),
        ),
        ours=(
            "INSERT INTO webhook (id, tenant_id, url, event_types, state, added_at, added_by)"
            f" VALUES (1, 'default', 'https://hooks.example', '[]', 'enabled', {LONG_AGO}, 'nora')",
            "INSERT INTO webhook_message (id, tenant_id, message_id, type, subject, data, occurred_at)"
            f" VALUES (1, 'default', 'msg_1', 'run.state_changed', 'run/1', '{{}}', {LONG_AGO}),"
            f" (2, 'default', 'msg_2', 'run.state_changed', 'run/1', '{{}}', {LONG_AGO})",
            "INSERT INTO webhook_delivery (id, tenant_id, webhook_id, message_row, subject, state, attempts,"
            f" next_try_at) VALUES (1, 'default', 1, 1, 'run/1', 'queued', 0, {LONG_AGO}),"
            f" (2, 'default', 1, 2, 'run/1', 'queued', 0, {LONG_AGO})",
        ),
    ),
    Corruption(
        "a ticket that was overdue when it was opened",
        (
            (
                "ticket.due_after_opened",
                "ticket 1",
                "Ticket 1 was opened at 2026-01-01 00:00 UTC and was due at 2026-01-01 00:00 UTC already.",
            ),
        ),
        strip=("ticket",),
        ours=(
            "INSERT INTO ticket (id, tenant_id, request_digest, title, description, priority, assigned_team, state,"
            " created_at, due_at, version) VALUES (1, 'default', 'd', 't', 'd', 'high', 'noc', 'open',"
            f" {LONG_AGO}, {LONG_AGO}, 1)",
        ),
    ),
    Corruption(
        "a link that was used twice",
        (("link.used_once", "accept_quote 17", "A one-time link to accept_quote of 17 was used 2 times."),),
        strip=("one_time_link_use",),
        ours=tuple(
            "INSERT INTO one_time_link_use (id, tenant_id, purpose, subject, nonce, used_at)"
            f" VALUES ({number}, 'default', 'accept_quote', '17', 'n', {LONG_AGO})"
            for number in (1, 2)
        ),
    ),
    Corruption(
        "a technician in two places",
        (
            (
                "field.no_technician_twice",
                "technician 7002",
                "Technician 7002 is booked for visits 2 and 3 at once.",
            ),
        ),
        ours=(
            "UPDATE visit SET technician_id = 7002, starts_at = (SELECT starts_at FROM visit other WHERE id = 2),"
            " ends_at = (SELECT ends_at FROM visit other WHERE id = 2) WHERE id = 3",
        ),
        strip=("visit",),
    ),
    Corruption(
        "an order with two visits to come",
        (("field.one_visit_per_order", "order 7", "Order 7 has visits 2 and 3 to come instead of one."),),
        ours=("UPDATE visit SET order_id = 7, customer_id = 1002 WHERE id IN (2, 3)",),
        strip=("visit",),
    ),
    Corruption(
        "a visit that nobody needs",
        (
            (
                "field.visit_is_needed",
                "visit 2",
                "Visit 2 keeps technician 7002 (booked), but neither an order nor an installation needs it any more.",
            ),
        ),
        ours=("UPDATE visit_booking SET released_at = booked_at WHERE visit_id = 2",),
    ),
    Corruption(
        "a visit when its technician doesn't work",
        (
            (
                "field.within_hours",
                "visit 2",
                "Visit 2: technician Technician 2 is away from 2000-01-01 00:00 to 2100-01-01 00:00 UTC (gone), and"
                " nobody has said why it is then.",
            ),
        ),
        ours=(
            "INSERT INTO technician_leave (id, tenant_id, technician_id, starts_at, ends_at, reason) VALUES"
            " (1, 'default', 7002, '2000-01-01 00:00:00.000000', '2100-01-01 00:00:00.000000', 'gone')",
        ),
    ),
    Corruption(
        "a service billed twice",
        (("billing.one_bill_per_service", "service 1", "Service 1 is billed 2 times (subscriptions 1, 1001)."),),
        strip=("subscription",),
        clones=(("subscription", "id = 1", {"id": "id + 1000"}),),
    ),
    Corruption(
        "a bill of nobody",
        (
            (
                "billing.customer_known",
                "subscription 1",
                "Subscription 1 bills customer 99, whom nobody has registered.",
            ),
        ),
        ours=("UPDATE subscription SET customer_id = 99",),
    ),
    # -- what was sold -------------------------------------------------------------------------------------------------
    Corruption(
        "a customer who is called otherwise than they are found",
        (
            (
                "customer.found_by_their_names",
                "customer 1002",
                "Customer 1002 is not found by 1 of the things that they are called, and by 1 that they are not.",
            ),
        ),
        ours=("UPDATE customer_key SET key = 'nobody' WHERE customer_id = 1002 AND key = 'customer'",),
    ),
    Corruption(
        "a lead whose customer was taken away",
        (
            (
                "selling.lead_has_its_customer",
                "lead 1",
                "Lead 1 is converted, but its customer 9999 isn't registered.",
            ),
        ),
        ours=("UPDATE lead SET customer_id = 9999",),
    ),
    Corruption(
        "a lead whose customer was withdrawn behind its back",
        (
            (
                "selling.lead_has_its_customer",
                "lead 1",
                "Lead 1 is converted, but its customer $sold_to is withdrawn.",
            ),
        ),
        ours=(f"UPDATE customer SET state = 'withdrawn', withdrawn_at = {LONG_AGO} WHERE id = $sold_to",),
    ),
    Corruption(
        "one acceptance that was ordered twice",
        (("selling.one_order_per_quote", "quote 1", "Quote 1 is ordered 2 times (orders 1, 1001)."),),
        strip=("sales_order",),
        clones=(
            ("sales_order", "id = 1", {"id": "id + 1000"}),
            ("sales_order_line", "order_id = 1", {"id": "id + 1000", "order_id": "order_id + 1000"}),
        ),
    ),
    Corruption(
        "an order that nobody has agreed to",
        (("selling.order_was_agreed", "order 1", "Order 1 rests on quote 1, which is sent, not accepted."),),
        ours=("UPDATE quote SET state = 'sent', accepted_at = NULL, accepted_by = NULL WHERE id = 1",),
    ),
    Corruption(
        "an acceptance that came to nothing",
        (
            (
                "selling.acceptance_is_carried_out",
                "quote 1",
                "Quote 1 is accepted, but there is no order, no run and no event to make one.",
            ),
        ),
        ours=("UPDATE sales_order SET state = 'cancelled', reason = 'lost', ended_at = ordered_at",),
    ),
    Corruption(
        "an order for another sum than was quoted",
        (
            ("selling.totals_add_up", "order 1", "Order 1 says EUR 10.00, but its lines come to EUR 88.90."),
            ("selling.totals_add_up", "order 1", "Order 1 says EUR 10.00, but its quote's lines come to EUR 88.90."),
        ),
        ours=("UPDATE sales_order SET total_minor = 1000",),
    ),
    Corruption(
        "a quote that lost a line",
        (
            ("selling.totals_add_up", "quote 1", "Quote 1 says EUR 88.90, but its lines come to EUR 39.90."),
            ("selling.totals_add_up", "order 1", "Order 1 says EUR 88.90, but its quote's lines come to EUR 39.90."),
        ),
        ours=("DELETE FROM quote_line WHERE charge = 'once'",),
    ),
    # -- secrets -------------------------------------------------------------------------------------------------------
    Corruption(
        "a secret in another's place",
        (
            (
                "vault.secrets_open",
                "secret:subscriber/1",
                "What is kept under secret:subscriber/1 doesn't open: the row was changed or moved; set a new value.",
            ),
            (
                "radius.rows_as_wished",
                "secrets",
                "The rows can't be compared: What is kept under secret:subscriber/1 doesn't open: the row was changed"
                " or moved; set a new value.",
            ),
        ),
        ours=(
            "UPDATE secret SET sealed = (SELECT sealed FROM secret other WHERE other.ref = 'secret:nas/1')"
            " WHERE ref = 'secret:subscriber/1'",
        ),
    ),
    Corruption(
        "a secret that is gone",
        (
            (
                "radius.rows_as_wished",
                "secrets",
                "The rows can't be compared: Nothing is kept under secret:subscriber/1: it was never sealed, or has"
                " been discarded.",
            ),
        ),
        ours=("DELETE FROM secret WHERE ref = 'secret:subscriber/1'",),
    ),
    # -- events --------------------------------------------------------------------------------------------------------
    Corruption(
        "an event that nobody takes up",
        (
            (
                "events.not_stuck",
                "event 1001",
                "Event 1001 (lead.qualified about lead/1) of 2026-01-01 00:00 UTC has not been taken up: no worker"
                " seems to be at work, or its journey can't be started.",
            ),
        ),
        ours=(
            "INSERT INTO event (id, tenant_id, type, subject, data, key, published_by, occurred_at, state) VALUES"
            f" (1001, 'default', 'lead.qualified', 'lead/1', '{{}}', 'k', 'nora', {LONG_AGO}, 'pending')",
        ),
    ),
    # -- runs ----------------------------------------------------------------------------------------------------------
    Corruption(
        "a held run without a reason",
        (("runs.at_rest", "run 3", "Run 3 is held and does not say why."),),
        ours=("UPDATE run SET reason = NULL WHERE id = 3",),
    ),
    Corruption(
        "a waiting run without a reason",
        (("runs.at_rest", "run 2", "Run 2 is pending and does not say why."),),
        ours=("UPDATE run SET reason = NULL WHERE id = 2",),
    ),
    Corruption(
        "a run that waits for nothing",
        (("runs.at_rest", "run 2", "Run 2 is pending but waits for nothing, so nothing will ever move it."),),
        ours=("UPDATE run SET waiting_for = NULL, wake_at = NULL WHERE id = 2",),
    ),
    Corruption(
        "a run that should have moved",
        (("runs.at_rest", "run 2", "Run 2 is inProgress but has not moved since 2026-01-01 00:00 UTC."),),
        ours=(f"UPDATE run SET state = 'inProgress', updated_at = {LONG_AGO} WHERE id = 2",),
    ),
    Corruption(
        "a run that should have woken",
        (("runs.at_rest", "run 2", "Run 2 should have woken at 2026-01-01 00:00 UTC: no worker seems to be at work."),),
        ours=(f"UPDATE run SET wake_at = {LONG_AGO} WHERE id = 2",),
    ),
    Corruption(
        "a run in no known state",
        (("runs.at_rest", "run 2", "Run 2 is in the state asleep, which there is not."),),
        ours=("UPDATE run SET state = 'asleep' WHERE id = 2",),
    ),
    Corruption(
        "a run that ended nobody knows when",
        (("runs.at_rest", "run 1", "Run 1 is completed, but nobody knows since when."),),
        ours=("UPDATE run SET finished_at = NULL WHERE id = 1",),
    ),
    Corruption(
        "a completed run that left a step out",
        (("runs.ended_whole", "run 1", "Run 1 is completed, but its step verify_device is planned."),),
        ours=("DELETE FROM run_step WHERE run_id = 1 AND step = 'verify_device'",),
    ),
    Corruption(
        "an outcome nobody knows",
        (
            (
                "runs.unknown_outcome",
                "run 1",
                "Run 1 is completed, and nobody knows whether its step deliver_email took effect.",
            ),
            ("runs.ended_whole", "run 1", "Run 1 is completed, but its step deliver_email is unknown."),
        ),
        ours=("UPDATE run_step SET state = 'unknown' WHERE run_id = 1 AND step = 'deliver_email'",),
    ),
)


async def test_an_estate_in_good_health_has_nothing_to_say(spoilable: Appliance) -> None:
    assert (await check(spoilable)).findings == []


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
async def test_corruption_is_found_and_told_in_a_sentence(spoilable: Appliance, corruption: Corruption) -> None:
    await assert_caught(spoilable, corruption)


async def test_a_secret_in_clear_is_found_and_not_repeated(spoilable: Appliance) -> None:
    async with spoilable.database.begin() as db:
        row = (await db.scalars(select(AcsDevice))).one()
        row.parameters = [_in_clear(setting) for setting in row.parameters]
    result = await check(spoilable)
    assert {finding.invariant for finding in result.findings} == {"acs.secret_in_clear", "acs.revision_does_not_fit"}
    in_clear = next(finding for finding in result.findings if finding.invariant == "acs.secret_in_clear")
    assert in_clear.message.endswith(f"Password of CPE {SERIAL} is stored in clear.")
    assert not any("hunter2" in str(finding) for finding in result.findings)


def test_every_invariant_is_proven_here_or_there() -> None:
    proven = {invariant for corruption in CORRUPTIONS for invariant, _, _ in corruption.found}
    proven |= {"acs.secret_in_clear"} | of_addresses.PROVEN | of_partners.PROVEN
    proven |= of_payments.PROVEN | of_radius.PROVEN
    assert proven == {name for name, _ in every_invariant()}


def _in_clear(setting: list[Any]) -> list[Any]:
    return ["hunter2" if str(part).startswith("secret:subscriber") else part for part in setting]
