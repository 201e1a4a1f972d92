"""How an earlier system with this contract failed, and the tests by which we know that we don't.

A scenario whose test was renamed or lost is noticed here; that it holds is for the test itself to say.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent

SCENARIOS = {
    "D1 a step's parameter is resolved to nothing": (
        "workflows/test_references.py::test_a_step_reads_only_what_stands_before_it",
        "workflows/test_steps.py::test_what_a_definition_refers_to_must_be_there",
    ),
    "D2 a post-paid customer is charged, and the steps after it never run": (
        "journeys/test_quote_accepted_to_order.py::test_a_post_paid_order_skips_the_payment_and_the_rest_runs",
        "workflows/test_interpreter.py::test_a_false_condition_skips_the_step_with_its_words_and_the_run_still_completes",
    ),
    "D3 an address is invented when there is none": (
        "journeys/test_before_the_visit.py::test_a_full_pool_is_named_with_its_numbers_and_more_addresses_help",
        "journeys/test_isp_ticket_to_deployment.py::test_where_the_bng_gives_addresses_none_is_invented",
        "ipam/test_concurrency.py::test_sixteen_writers_empty_a_pool_of_fourteen_exactly",
    ),
    "D4 a VLAN is a constant of the plan": (
        "ipam/test_allocating.py::test_in_a_one_to_one_network_the_vlan_is_the_lines_own_inside_the_ports_s_vlan",
    ),
    "D5 a failed CPE counts as done, and the bill begins": (
        "journeys/test_cpe_troubles.py::test_a_cpe_that_only_says_it_took_its_settings_is_found_out",
        "journeys/test_cpe_troubles.py::test_a_refused_parameter_is_shown_with_its_fault",
        "journeys/test_cpe_troubles.py::test_a_subscriber_who_never_logs_in_is_held_and_billed_nothing",
    ),
    "D6 RADIUS never hears of the address, nobody of the VLAN": (
        "journeys/test_isp_ticket_to_deployment.py::test_a_ticket_becomes_a_live_subscriber",
        "journeys/test_cpe_troubles.py::test_a_login_with_another_address_is_not_taken_for_the_service",
    ),
    "D7 two customers get one username, and the address of the second stays taken": (
        "radius/test_service.py::test_of_two_customers_who_want_one_username_at_once_one_gets_it",
        "journeys/test_before_the_visit.py::test_a_username_that_somebody_has_is_held_and_rolls_back_to_nothing",
    ),
    "D8 who has not accepted is charged, who has makes the run fail": (
        "journeys/test_customer_renewal_process.py::test_nothing_is_charged_to_who_does_not_accept_in_time",
        "journeys/test_customer_renewal_process.py::test_a_yes_from_before_anybody_waited_for_it_is_acted_on",
        "journeys/test_customer_renewal_process.py"
        "::test_reminders_come_at_their_time_survive_a_restart_and_stop_with_the_yes",
    ),
    "D9 what survives a kill is chance, and nobody goes on": (
        "durability/test_kills.py::test_a_worker_killed_at_any_instant_leaves_nothing_undone_or_done_twice",
    ),
    "D10 a repeated call fails as known already, or charges twice": (
        "workflows/test_interpreter.py::test_a_transient_error_is_tried_again_later_under_the_same_key",
        "radius/test_service.py::test_the_same_request_twice_at_once_makes_one_subscriber",
        "journeys/test_quote_accepted_to_order.py::test_a_time_out_after_the_money_was_taken_is_resolved_by_asking",
    ),
    "D11 what can be undone does not go on, what goes on can't be undone": (
        "workflows/test_steps.py::test_every_step_of_a_journey_says_how_it_is_undone_or_why_not",
        "workflows/test_crashes.py::test_a_crash_at_every_instant_ends_as_if_nothing_had_happened",
    ),
    "D12 a message is sent as its template": (
        "provisioning/commercial/test_rendering.py::test_missing_unknown_and_unfit_variables_are_all_named_at_once",
        "journeys/test_quote_accepted_to_order.py::test_an_order_paid_by_bank_waits_for_the_money_and_is_delivered",
    ),
    "D13 a missing template is replaced by another": (
        "provisioning/commercial/test_mails.py"
        "::test_every_mail_of_the_contract_is_shipped_in_english_and_german_and_more",
        "provisioning/commercial/test_rendering.py"
        "::test_an_unknown_template_is_refused_with_the_list_of_those_there_are",
        "provisioning/commercial/test_mails.py::test_a_mail_reads_word_for_word_as_it_was_last_looked_at",
    ),
    "D14 the password is in the mail": (
        "provisioning/test_canaries.py::test_no_secret_gets_out_on_bad_days",
        "provisioning/commercial/test_mails.py::test_no_secret_gets_into_a_mail_by_any_of_its_variables",
    ),
    "D15 one technician is booked twice": (
        "provisioning/field/test_booking.py::test_of_many_bookings_at_once_exactly_one_wins",
        "provisioning/field/test_technician_once.py::test_a_second_live_visit_at_the_same_time_cannot_be_inserted",
    ),
}


@pytest.mark.parametrize("name", [name for names in SCENARIOS.values() for name in names])
def test_the_scenarios_test_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert function in {node.name for node in functions}


def test_d16_nothing_but_the_two_systems_and_a_database_has_to_be_brought() -> None:
    locked = (ROOT / "deploy" / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    others = re.compile(r"^(redis|minio|hvac|pymongo|motor|pynetbox|celery|pika|kafka\S*)==", re.MULTILINE)
    assert others.findall(locked) == []


def test_d17_no_two_requirements_fight_over_protobuf() -> None:
    locked = (ROOT / "deploy" / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    assert re.findall(r"^(protobuf|opentelemetry-exporter\S*|ortools)==", locked, re.MULTILINE) == []
