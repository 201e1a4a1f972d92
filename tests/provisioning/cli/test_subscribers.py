"""``firstlight subscribers``, as an operator types it when FreeRADIUS does not show what it should."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from provisioning.cli.subscribers_verbs import print_change
from provisioning.settings import Settings
from radius import RadiusService, SessionChangeView, SubscriberView
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import vandal

DONE, WAITING = "c1001-s1@isp.example", "c1002-s2@isp.example"
LAST_DAY = (datetime.now(UTC) + timedelta(days=120)).date().isoformat()
"""Of a service that is to end: lies ahead whenever this is run."""


def lose(isp: Settings, *usernames: str) -> None:
    """Somebody deletes rows of FreeRADIUS by hand."""
    with vandal(isp.radius_database_url, isp.radius_database_schema) as hand:
        hand.execute(*(f"DELETE FROM radcheck WHERE username = '{name}'" for name in usernames))


def test_a_subscriber_is_shown_as_it_shall_be_without_its_password(any_isp: Settings, type_: Type) -> None:
    shown = type_("subscribers", "show", DONE)
    assert (shown.status, shown.err) == (0, "")
    head, state, addresses, password, carried = shown.out.splitlines()
    assert head == f"{DONE}  customer 1001, service 1"
    assert state == "active on plan fiber-300"
    assert addresses.startswith("addresses: 100.64.")
    assert (password, carried) == ("password: secret:subscriber/1", "carried over to FreeRADIUS")
    found = type_("subscribers", "show", WAITING, "--json").json
    assert (found["state"], found["service_id"], found["projected"]) == ("pending", 2, True)
    unknown = type_("subscribers", "show", "nobody@isp.example")
    assert (unknown.status, unknown.err) == (2, "refused: There is no RADIUS subscriber nobody@isp.example.\n")


@pytest.mark.both_databases
def test_the_list_is_filtered_says_what_is_out_of_the_ordinary_and_how_to_go_on(any_isp: Settings, type_: Type) -> None:
    newest = type_("subscribers", "list", "--limit", "1")
    assert (newest.status, newest.out.splitlines()[-1]) == (0, "there are more: --before 4")
    assert [each["subscriber_id"] for each in type_("subscribers", "list", "--json").json] == [4, 3, 2, 1]
    active = type_("subscribers", "list", "--state", "active", "--plan", "fiber-300", "--customer", "1001")
    assert active.out.splitlines()[1].split() == ["1", "active", DONE, "fiber-300", "1001"]
    assert type_("subscribers", "list", "--only-hash").out == "no such subscriber\n"
    with vandal(any_isp.database_url) as hand:
        hand.execute("UPDATE radius_subscriber SET password_hash_kind = 'nt', version = version + 1 WHERE id < 3")
        hand.execute("UPDATE radius_subscriber SET state = 'terminated' WHERE id = 2")
    shown = type_("subscribers", "list", "--only-hash").out.splitlines()
    assert shown[1].split()[:3] == ["1", "active", DONE]
    assert " ".join(each.strip() for each in shown[2:]) == (
        "only its nt hash is known; its last change is not carried over yet"
    )
    assert type_("subscribers", "list", "--state", "asleep").status == 2
    assert type_("subscribers", "list", "--plan", "nothing").status == 2


def test_lost_rows_are_found_by_check_and_brought_back_one_by_one_or_all_at_once(
    any_isp: Settings, type_: Type
) -> None:
    lose(any_isp, DONE, WAITING)
    assert type_("check").status == 1
    assert (
        type_("subscribers", "project", DONE).out == f"{DONE}: brought to it\n1 as they shall be, 1 of them since now\n"
    )
    one = {"projected": 1, "definitions": 0, "changed": [], "failed": []}
    assert type_("subscribers", "project", DONE, "--json").json == one
    every = {"projected": 4, "definitions": 3, "changed": [WAITING], "failed": []}
    assert type_("subscribers", "project", "--all", "--json").json == every
    begun = type_("audit", "list", "--subject", "estate/default", "--json").json
    assert [(entry["action"], entry["after"]["unlike"]) for entry in begun] == [("subscribers project", 1)]
    assert type_("subscribers", "project", "--all").out == (
        "4 as they shall be (and 3 plans and NASes), 0 of them since now\n"
    )
    assert type_("check").status == 0


@pytest.mark.both_databases
def test_rows_of_its_plan_that_were_lost_are_told_of_as_brought_back(any_isp: Settings, type_: Type) -> None:
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute("DELETE FROM radgroupreply")
    brought_back = f"{DONE}: brought to it\n1 as they shall be, 1 of them since now\n"
    assert type_("subscribers", "project", DONE).out == brought_back
    assert type_("subscribers", "project", DONE).out == "1 as they shall be, 0 of them since now\n"


def test_one_that_cannot_be_projected_is_named_and_the_status_is_1(isp: Settings, type_: Type) -> None:
    lose(isp, DONE, WAITING)
    with vandal(isp.database_url) as hand:
        hand.execute("DELETE FROM secret WHERE ref = 'secret:subscriber/1'")
    typed = type_("subscribers", "project", "--all", "--json")
    assert (typed.status, typed.json["projected"], typed.json["changed"]) == (1, 3, [WAITING])
    [(name, reason)] = typed.json["failed"]
    assert (name, reason.startswith("Nothing is kept under secret:subscriber/1")) == (DONE, True)
    alone = type_("subscribers", "project", DONE)
    assert (alone.status, alone.err) == (1, f"failed: {reason}\n")


def test_a_projection_of_nobody_and_of_one_and_all_is_refused(isp: Settings, type_: Type) -> None:
    for words in ((), (DONE, "--all")):
        typed = type_("subscribers", "project", *words)
        assert (typed.status, typed.out) == (2, "")
        assert typed.err.endswith("  username: is needed, or --all, and not both\n")


def test_a_service_is_to_end_and_is_kept_after_all(any_isp: Settings, type_: Type) -> None:
    ends = type_("subscribers", "terminate", DONE, "--on", LAST_DAY, "--reason", "moves away")
    assert (ends.status, ends.out) == (0, f"{DONE} ends after {LAST_DAY} (run 5)\n")
    again = type_("subscribers", "terminate", DONE, "--on", LAST_DAY, "--reason", "moves away")
    assert again.out == f"{DONE} ends after {LAST_DAY}, as it was to already (run 5)\n"
    refused = type_("subscribers", "terminate", DONE, "--now", "--on", "someday", "--reason", " ")
    assert refused.status == 2
    assert refused.err.startswith("The termination is refused, nothing was written:\n")
    assert {line.split(":")[0].strip() for line in refused.err.splitlines()[1:]} == {"ends_on", "reason"}
    kept = type_("subscribers", "keep", DONE, "--reason", "stays", "--json")
    assert kept.json == {"username": DONE, "run": 5}
    assert "cancel requested: stays" in type_("runs", "show", 5).out
    nobody = type_("subscribers", "keep", WAITING, "--reason", "stays")
    assert (nobody.status, "names no service that is to end" in nobody.err) == (2, True)


def test_what_a_nas_says_is_no_proof_until_accounting_bears_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 3, 2, 21, 14, tzinfo=UTC)
    session: dict[str, Any] = {"session_id": "a1", "nas_address": "10.0.0.1", "said": "changed", "reason": "ACK"}
    whole = {"change_id": 4, "subscriber_id": 7, "act": "change_plan", "state": "pending", "carried_at": at}
    for confirmed_at in (None, at):
        change = {**whole, "next_at": at, "sessions": [{**session, "confirmed_at": confirmed_at}]}
        print_change(cast(SessionChangeView, change))
    _, said, again, _, borne_out, later = capsys.readouterr().out.splitlines()
    assert said == "  session a1 at 10.0.0.1: changed (ACK), which accounting has yet to bear out"
    assert again == "  the worker looks again 2026-03-02 21:14:00 UTC"
    assert borne_out == "  session a1 at 10.0.0.1: changed (ACK), and accounting bears it out"
    assert later == f"{again}: one that began before may turn up in accounting until then"
    over = {**whole, "state": "superseded", "next_at": None, "sessions": [{**session, "confirmed_at": None}]}
    print_change(cast(SessionChangeView, over))
    _, said, taken_over = capsys.readouterr().out.splitlines()
    assert said == "  session a1 at 10.0.0.1: changed (ACK)"
    assert taken_over == "  a later change takes over what is left of it"


def test_what_ends_at_once_is_told_with_its_run(isp: Settings, type_: Type) -> None:
    ends = type_("subscribers", "terminate", DONE, "--now", "--reason", "never paid")
    assert (ends.status, ends.out) == (0, f"{DONE} ends now (run 5)\n")
    [event] = type_("events", "list", "--type", "service.termination_requested", "--json").json
    assert (event["subject"], event["state"], event["run_id"]) == ("service/1", "started", 5)


def test_a_suspension_is_committed_carried_over_and_audited_once_and_taken_back(isp: Settings, type_: Type) -> None:
    with vandal(isp.radius_database_url, isp.radius_database_schema) as hand:
        hand.execute("UPDATE radacct SET acctstoptime = acctstarttime WHERE acctstoptime IS NULL")
    why = ("--reason", "unpaid since May")
    before = len(type_("audit", "list", "--json").json)
    typed = type_("subscribers", "suspend", DONE, *why, "--request", "dunning-7")
    first, change, nobody, again = typed.out.splitlines()
    assert (typed.status, first) == (0, f"{DONE}: suspended on plan fiber-300")
    assert (change, nobody) == (
        "  change 1 of subscriber 1, suspend: pending",  # who logged in just before may still turn up
        "  no session was open",
    )
    assert again.startswith("  the worker looks again ")
    assert again.endswith(" UTC: one that began before may turn up in accounting until then")
    entries = type_("audit", "list", "--json").json
    assert len(entries) == before + 1
    said = ("subscribers suspend", "subscriber/1", 1001, "unpaid since May")
    assert tuple(entries[0][name] for name in ("action", "subject", "customer_id", "reason")) == said
    shown = type_("subscribers", "show", DONE, "--json").json
    assert (shown["state"], shown["garden"], shown["projected"]) == ("suspended", None, True)

    assert (
        type_("subscribers", "suspend", DONE, *why, "--request", "dunning-7", "--json").json["change"]["change_id"] == 1
    )
    other = type_("subscribers", "resume", DONE, "--reason", "paid", "--request", "dunning-7")
    assert (other.status, "Request 'dunning-7' was made before with other input" in other.err) == (2, True)
    back = type_("subscribers", "resume", DONE, "--reason", "paid", "--json").json
    assert (back["subscriber"]["state"], back["subscriber"]["projected"]) == ("active", True)
    rotated = type_("subscribers", "rotate-password", DONE, "--reason", "lost", "--json")
    assert rotated.json["subscriber"]["password"] == "secret:subscriber/1"
    listed = type_("subscribers", "changes", DONE, "--json").json
    assert [each["act"] for each in listed] == ["rotate_password", "resume", "suspend"]
    assert [each["change_id"] for each in type_("subscribers", "changes", "--pending", "--json").json] == [3]
    assert type_("subscribers", "change-plan", DONE, "no-such-plan", "--reason", "x").status == 2
    assert type_("check").status == 0


def test_the_cpe_is_told_a_new_password_and_what_keeps_it_from_that_is_said(isp: Settings, type_: Type) -> None:
    cpe, why = ("devices", "show", "HWTC00000001", "--json"), ("--reason", "lost")
    before = type_(*cpe).json["revision"]
    typed = type_("subscribers", "rotate-password", DONE, *why, "--request", "crm-8")
    told = "  CPE HWTC00000001 is to be told: its settings are written down, and not applied yet"
    assert (typed.status, typed.out.splitlines()[1]) == (0, told)
    revision = type_(*cpe).json["revision"]
    assert revision != before
    again = type_("subscribers", "rotate-password", DONE, *why, "--request", "crm-8", "--json")
    assert (again.json["cpes_to_be_told"], type_(*cpe).json["revision"]) == ([], revision), "once for a request"

    with vandal(isp.database_url) as hand:
        hand.execute("UPDATE acs_device SET send_until = '2020-01-01 00:00:00' WHERE serial = 'HWTC00000001'")
    held = type_("subscribers", "rotate-password", DONE, *why)
    assert "CPE HWTC00000001 is held back by its campaign" in held.out
    assert "firstlight devices converge HWTC00000001 --reason" in held.out


def test_a_subscriber_is_known_by_the_isps_own_id_wherever_its_username_is(isp: Settings, type_: Type) -> None:
    why = ("--reason", "from the ERP")
    assert type_("subscribers", "identify", DONE, "ERP 4711/a", *why).out.splitlines()[3] == "external id: ERP 4711/a"
    by_id = ("ERP 4711/a", "--external-id")
    assert type_("subscribers", "show", *by_id, "--json").json["username"] == DONE
    assert type_("subscribers", "project", *by_id).out.startswith("1 as they shall be")
    assert type_("subscribers", "suspend", *by_id, *why, "--json").json["subscriber"]["state"] == "suspended"
    assert len(type_("subscribers", "changes", *by_id, "--json").json) == 1
    for look in (("sessions", "show"), ("sessions", "usage"), ("subscribers", "logins"), ("subscribers", "diagnose")):
        typed = type_(*look, *by_id)
        assert (typed.status, typed.err) == (0, ""), look
    ends = type_("subscribers", "terminate", *by_id, "--on", LAST_DAY, *why)
    assert ends.out == f"{DONE} ends after {LAST_DAY} (run 5)\n"
    assert type_("subscribers", "keep", *by_id, *why).out == f"{DONE} is kept (run 5)\n"
    taken = type_("subscribers", "identify", WAITING, "ERP 4711/a", *why)
    assert (taken.status, "belongs to another subscriber" in taken.err) == (2, True)
    assert type_("subscribers", "identify", *by_id, *why, "--json").json["external_id"] is None
    nobody = type_("subscribers", "show", *by_id)
    assert nobody.err == "refused: There is no RADIUS subscriber with external id ERP 4711/a.\n"


def test_whose_end_is_asked_for_by_the_isps_own_id_is_told_by_its_number_from_then_on(
    any_isp: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    why, by_id = ("--reason", "moves away"), ("ERP-77", "--external-id")
    type_("subscribers", "identify", DONE, "ERP-77", *why)
    new = ("eva@isp.example", "--customer", "1009", "--plan", "fiber-300")
    heir = type_("subscribers", "create", *new, *why, "--json").json
    with vandal(any_isp.database_url) as hand:
        hand.execute(
            f"UPDATE radius_subscriber SET state = 'terminated' WHERE username = '{DONE}'",
            f"UPDATE radius_subscriber SET username = '{DONE}' WHERE id = {heir['subscriber_id']}",
        )
    on_a_day = type_("subscribers", "terminate", *by_id, "--on", LAST_DAY, *why)
    assert (on_a_day.status, f"names a service that has ended already: {DONE}" in on_a_day.err) == (2, True)

    asked = RadiusService.subscriber_last_known_as

    async def and_given_right_after(radius: RadiusService, *, external_id: str) -> SubscriberView:
        found = await asked(radius, external_id=external_id)
        with vandal(any_isp.database_url) as hand:
            hand.execute(f"UPDATE radius_subscriber SET external_id = 'ERP-77' WHERE id = {heir['subscriber_id']}")
        return found

    monkeypatch.setattr(RadiusService, "subscriber_last_known_as", and_given_right_after)
    at_once = type_("subscribers", "terminate", *by_id, "--now", *why)
    assert (at_once.status, f"names a service that has ended already: {DONE}" in at_once.err) == (2, True)
    assert type_("subscribers", "show", DONE, "--json").json["state"] == "pending"


def test_a_subscriber_is_renamed_with_its_service_and_its_cpe_and_bound_to_its_line(
    any_isp: Settings, type_: Type
) -> None:
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute("UPDATE radacct SET acctstoptime = acctstarttime WHERE acctstoptime IS NULL")
    why, new = ("--reason", "married"), "anna.new@isp.example"
    cpe = ("devices", "show", "HWTC00000001", "--json")
    assert type_("devices", "wifi", "HWTC00000001", "--ssid", DONE, *why).status == 0
    plan = type_(*cpe).json["plan"]
    typed = type_("subscribers", "rename", DONE, new, *why)
    inputs = type_(*cpe).json["inputs"]
    assert (inputs["pppoe_username"], inputs["wifi_ssid"]) == (new, DONE), "a WiFi of that name keeps it"
    assert (type_(*cpe).json["plan"], plan) == ("fiber-300", "fiber-300")
    told = "  CPE HWTC00000001 is to be told: its settings are written down, and not applied yet"
    assert (typed.status, typed.out.splitlines()[:2]) == (0, [f"{new}: active on plan fiber-300", told])
    gone = type_("subscribers", "show", DONE)
    assert (gone.status, gone.err.endswith(f"it was renamed, and is {new} now.\n")) == (2, True)
    ended = type_("subscribers", "terminate", DONE, "--now", *why)
    assert (ended.status, f"who had {DONE} is {new} now" in ended.err) == (2, True)
    told = type_("subscribers", "diagnose", DONE, "--json").json
    assert [each["code"] for each in told["findings"]] == ["user_renamed"]
    count = len(type_("audit", "list", "--limit", 200, "--json").json)
    again = type_("subscribers", "rename", DONE, new, *why, "--json")  # it is that by now
    assert (again.status, again.json["change"]["change_id"]) == (0, 1)
    assert len(type_("audit", "list", "--limit", 200, "--json").json) == count
    [held] = [each for each in type_("addresses", "export", "--json").json if each["username"] == new][:1]
    assert held["username"] == new
    faulty = type_("subscribers", "bind", new, *why, "--circuit", " ", "--ipoe")
    assert (faulty.status, "circuit: it is empty" in faulty.err) == (2, True)
    wrong = type_("subscribers", "bind", new, *why, "--station", "00:1A:2B:3C:4D:5E", "--ipoe")
    assert (wrong.status, "is for PPPoE" in wrong.err) == (2, True)
    bound = type_("subscribers", "bind", new, *why, "--station", "00:1A:2B:3C:4D:5E", "--port", "eth 0/1", "--json")
    assert bound.json["subscriber"]["line"] == {"station": "001a2b3c4d5e", "port": "eth 0/1"}
    assert (
        type_("subscribers", "show", new).out.splitlines()[3] == "bound to its line: station 001a2b3c4d5e, port eth 0/1"
    )
    assert type_("subscribers", "unbind", new, *why, "--json").json["subscriber"]["line"] == {}
    assert type_("check").status == 0


@pytest.mark.both_databases
def test_what_is_so_already_leaves_no_audit_entry(any_isp: Settings, type_: Type) -> None:
    new, why = "eva@isp.example", ("--reason", "again")
    create = ("create", new, "--customer", "1009", "--plan", "fiber-300")

    def entries() -> int:
        return len(type_("audit", "list", "--limit", 200, "--json").json)

    for change, again in (
        (create, create),
        (("activate", new), create),
        (("suspend", new), ("suspend", new, "--request", "dunning-8")),
        (("resume", new), ("resume", new, "--request", "dunning-9")),
        (("change-plan", new, "fiber-pool"), ("change-plan", new, "fiber-pool", "--request", "crm-1")),
        (("identify", new, "ERP-77"), ("identify", new, "ERP-77")),
    ):
        before = entries()
        assert type_("subscribers", *change, *why).status == 0, change
        assert entries() == before + 1, change
        assert type_("subscribers", *again, *why).status == 0, again
        assert entries() == before + 1, again
    before = entries()
    for never_was in (("resume", new), ("unbind", new), ("rename", new, new)):
        assert type_("subscribers", *never_was, *why).status == 0, never_was
    assert entries() == before
    assert type_("subscribers", "terminate", new, "--now", *why).status == 0
    assert (type_("subscribers", "terminate", new, "--now", *why).status, entries()) == (0, before + 1)


@pytest.mark.both_databases
def test_who_is_changed_to_another_plan_is_told_for_which_ones_bill_and_addresses_go_on(
    any_isp: Settings, type_: Type
) -> None:
    changing, why = ("subscribers", "change-plan", DONE), ("--reason", "more speed")
    said = type_(*changing, "fiber-pool", *why)
    assert said.out.splitlines()[1:3] == [
        "  the bill goes on for plan fiber-300: this changes what the line gets, and no subscription",
        "  its addresses and VLAN stay as plan fiber-300 gave them: nothing of them follows a plan",
    ]
    disconnected = type_("subscribers", "disconnect", DONE, *why, "--json").json
    assert (disconnected["billed_as"], disconnected["addressed_as"]) == ("fiber-300", "fiber-300")
    back = type_(*changing, "fiber-300", *why, "--json").json
    assert (back["billed_as"], back["addressed_as"]) == (None, None)


@pytest.mark.both_databases
def test_a_subscriber_is_known_by_our_number_wherever_its_username_is(any_isp: Settings, type_: Type) -> None:
    why = ("--reason", "by its number")
    number = type_("subscribers", "show", DONE, "--json").json["subscriber_id"]
    by_id = (number, "--number")
    assert type_("subscribers", "show", *by_id, "--json").json["username"] == DONE
    assert type_("subscribers", "identify", number, "ERP 7", "--number", *why, "--json").json["external_id"] == "ERP 7"
    assert type_("subscribers", "project", *by_id).out.startswith("1 as they shall be")
    assert type_("subscribers", "suspend", *by_id, *why, "--json").json["subscriber"]["state"] == "suspended"
    assert type_("subscribers", "resume", *by_id, *why, "--json").json["subscriber"]["state"] == "active"
    assert len(type_("subscribers", "changes", *by_id, "--json").json) == 2
    looks = (("sessions", "show"), ("sessions", "usage"), ("subscribers", "logins"), ("subscribers", "timeline"))
    for look in (*looks, ("subscribers", "truth", "--no-acs")):
        typed = type_(*look, *by_id)
        assert (typed.status, typed.err) == (0, ""), look
    assert type_("subscribers", "diagnose", *by_id, "--json").json["username"] == DONE
    ends = type_("subscribers", "terminate", *by_id, "--on", LAST_DAY, *why)
    assert ends.out.startswith(f"{DONE} ends after {LAST_DAY} (run ")
    assert type_("subscribers", "keep", *by_id, *why).out.startswith(f"{DONE} is kept (run ")
    for command in (("subscribers", "show"), ("sessions", "show"), ("subscribers", "diagnose")):
        for nobody in ("4711", DONE, "9999999999999999999", "99999999999999999999"):
            refused = type_(*command, nobody, "--number")
            assert (refused.status, refused.err) == (2, f"refused: There is no RADIUS subscriber {nobody}.\n"), command
        both = type_(*command, *by_id, "--external-id")
        assert (both.status, "number: can't be given together with --external-id" in both.err) == (2, True), command
    for act in (("suspend",), ("terminate", "--on", LAST_DAY), ("keep",), ("rename", "new@isp.example")):
        verb, *more = act
        for wrong, code in ((("x", "--number"), "radius.subscriber_unknown"), ((*by_id, "--external-id"), None)):
            refused = type_("subscribers", verb, wrong[0], *more, *wrong[1:], *why, "--json")
            assert (refused.status, "Traceback" in refused.err) == (2, False), act
            assert (code or "provisioning.invalid_request") in refused.out + refused.err, act


def test_one_without_a_service_is_made_by_hand_and_let_in(any_isp: Settings, type_: Type) -> None:
    new, why = "eva@isp.example", ("--reason", "a test line")
    wish = ("subscribers", "create", new, "--customer", "1009", "--plan", "fiber-300", "--id", "ERP-77", *why)
    made = type_(*wish)
    assert (made.status, made.err) == (0, "")
    assert made.out.splitlines()[:2] == [f"{new}  customer 1009, no service", "pending on plan fiber-300"]
    assert "external id: ERP-77" in made.out
    again = type_(*wish, "--json").json
    assert (again["username"], again["state"]) == (new, "pending")
    taken = type_("subscribers", "create", new, "--customer", "1010", "--plan", "fiber-300", *why)
    assert (taken.status, "taken" in taken.err or "belongs" in taken.err) == (2, True)
    unknown = type_("subscribers", "create", "x@isp.example", "--customer", "1", "--plan", "fibre", *why)
    assert (unknown.status, "known are: " in unknown.err) == (2, True)
    let_in = type_("subscribers", "activate", "ERP-77", "--external-id", *why)
    assert (let_in.status, let_in.out.splitlines()[0]) == (0, f"{new}: active on plan fiber-300")
    end = ("subscribers", "terminate", "ERP-77", "--external-id", "--now", *why)
    assert [type_(*end).out.splitlines()[0] for _ in range(2)] == [f"{new}: terminated on plan fiber-300"] * 2
    heir = ("subscribers", "create", new, "--customer", "1009", "--plan", "fiber-300", *why)
    assert type_(*heir, "--json").json["state"] == "pending"
    assert type_(*end).out.splitlines()[0] == f"{new}: terminated on plan fiber-300"
    assert type_("subscribers", "show", new, "--json").json["state"] == "pending", "whoever has the name by now"
    assert type_("subscribers", "project", new).status == 0
    entries = type_("audit", "list", "--json").json
    assert {"subscribers create", "subscribers activate"} <= {each["action"] for each in entries}
    assert type_("check").status == 0
