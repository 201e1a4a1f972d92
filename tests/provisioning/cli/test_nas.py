"""``firstlight nas`` and the lists of logins, as an operator types them; no FreeRADIUS runs here."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import just_heard_of, vandal

DONE, WAITING = "c1001-s1@isp.example", "c1002-s2@isp.example"
WHY = ("--reason", "new street")
THEN = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())


def test_a_nas_is_added_its_secret_shown_once_and_rotated(any_isp: Settings, type_: Type) -> None:
    made = type_("nas", "add", "bng-9", "198.51.100.9", "--dialect", "mikrotik", *WHY, "--json").json
    assert (made["is_new"], len(made["secret"]), made["nas"]["projected"]) == (True, 32, True)
    reference = made["nas"]["secret"]
    assert type_("keys", "reveal", reference, "--reason", "look").out == f"{made['secret']}\n"
    again = type_("nas", "add", "bng-9", "198.51.100.9", "--dialect", "mikrotik", *WHY)
    assert again.out == f"bng-9 is there already; `firstlight keys reveal {reference} --reason ...` shows its secret\n"
    change = ("nas", "change", "bng-9", "--coa-port", 1700, "--coa-key", "Acct-Session-Id", "--coa-per-second", 200)
    told = type_(*change, "--no-coa-event-timestamp", "--no-coa-may-end", *WHY).out.splitlines()
    assert told[:3] == [
        "bng-9  198.51.100.9, dialect mikrotik, CoA port 1700",
        "logins by: pap, chap, mschapv2",
        "asked about sessions by Acct-Session-Id, without Event-Timestamp, 200 a second at most;"
        " what it refuses to change is left as it is",
    ]
    assert told[3].startswith("what FreeRADIUS has to know of it counts from ")
    count = len(type_("audit", "list", "--limit", 200, "--json").json)
    lines = type_("nas", "show", "bng-9").out.splitlines()
    assert (lines[:3], type_(*change, *WHY).out.splitlines()[:3]) == (told[:3], told[:3])
    back = type_("nas", "change", "bng-9", "--coa-dialect-keys", "--coa-per-second", 0, *WHY, "--json").json["nas"]
    assert back["coa"] == {"keys": [], "event_timestamp": False, "per_second": None, "may_end": False}
    assert len(type_("audit", "list", "--limit", 200, "--json").json) == count + 1
    faulty = type_("nas", "change", "bng-9", "--address", "here", "--coa-key", "User-Name", *WHY)
    assert (faulty.status, len(faulty.err.splitlines())) == (2, 3)
    assert type_("nas", "change", "nowhere", *WHY).status == 2
    other = type_("nas", "add", "bng-9", "198.51.100.10", "--dialect", "mikrotik", *WHY)
    assert (other.status, "There is a NAS bng-9 already, at 198.51.100.9" in other.err) == (2, True)

    rotated = type_("nas", "rotate-secret", "bng-9", "--reason", "left the company", "--json").json
    assert rotated["secret"] != made["secret"]
    earliest, latest = (datetime.fromisoformat(rotated["taken_up"][name]) for name in ("earliest", "latest"))
    assert (latest - earliest).total_seconds() == 60
    shown = type_("nas", "rotate-secret", "bng-9", "--reason", "again")
    assert shown.out.splitlines()[2].startswith("FreeRADIUS goes by the new secret from ")
    assert "bng-9" in [line.split()[0] for line in type_("nas", "list").out.splitlines()]
    assert f"secret: {reference}" in type_("nas", "show", "bng-9").out
    assert type_("nas", "show", "nowhere").err == "refused: There is no NAS 'nowhere'; known are: bng-9, bng-north.\n"

    entries = type_("audit", "list", "--json").json
    assert {(each["action"], each["reason"]) for each in entries} >= {
        ("nas add", "new street"),
        ("nas rotate-secret", "left the company"),
        ("nas change", "new street"),
    }
    assert not [each for each in (made["secret"], rotated["secret"]) if each in str(entries)]
    assert type_("check").status == 0


def test_a_nas_that_freeradius_knows_is_adopted_and_its_secret_is_shown_to_who_asks_for_it(
    any_isp: Settings, type_: Type
) -> None:
    theirs, adopt = "theirs-since-2009", ("nas", "adopt", "bng-7", "--reason", "ours for years")

    def put(*rows: tuple[str, str | None]) -> None:
        with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
            hand.execute("DELETE FROM nas WHERE shortname = 'hall-7'")
            for secret, server in rows:
                said = "NULL" if server is None else f"'{server}'"
                hand.execute(
                    "INSERT INTO nas (nasname, shortname, type, secret, server, description)"
                    f" VALUES ('198.51.100.7', 'hall-7', 'other', '{secret}', {said}, 'hall 7')"
                )

    def refused() -> str:
        done = type_(*adopt)
        assert done.status == 2 and theirs not in done.out + done.err
        return done.err.removeprefix("refused: There is nothing to take over at 198.51.100.7: ").strip()

    assert "There is no NAS 'bng-7'" in refused()
    put((theirs, None))
    added = type_("nas", "add", "bng-7", "198.51.100.7", "--dialect", "mikrotik", *WHY)
    assert added.out.splitlines()[2:] == [
        "committed, not carried over yet: The radius database already has a nas 198.51.100.7 in nas that Firstlight"
        " did not write. Nothing was changed: remove those rows, or let `firstlight nas adopt` take it over with its"
        " secret."
    ]
    put()
    assert refused() == "FreeRADIUS has no NAS of that address in its table nas."
    put((theirs, "guests"))
    assert refused() == "its row is for the virtual server guests, which is none of Firstlight's."
    put((f"{theirs} indeed", None))
    assert refused() == "its secret has blanks, other characters than ASCII's, or more than 64 of them."
    for name, said in (
        ("198.51.100.7/32", "and a NAS is known by its address alone: write it as 198.51.100.7 there first."),
        ("198.51.100.0/24", "give it a row of its own there first, with the same secret."),
    ):
        put((theirs, None))
        with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
            hand.execute(f"UPDATE nas SET nasname = '{name}' WHERE shortname = 'hall-7'")
        told = refused()
        assert (name in told, told.endswith(said)) == (True, True), told
    put((theirs, None))
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute("UPDATE nas SET description = 'Firstlight another/hall' WHERE shortname = 'hall-7'")
    assert refused() == "its row says that Firstlight has written it for another ISP."
    put((theirs, None))

    made = type_(*adopt)
    assert (made.status, made.out.splitlines()) == (
        0,
        [
            "bng-7 at 198.51.100.7 goes on with the secret that FreeRADIUS had for it",
            "`firstlight doctor` says if that is a short one, or that of others as well",
        ],
    )
    count = len(type_("audit", "list", "--limit", 200, "--json").json)
    assert type_(*adopt).out == "bng-7 at 198.51.100.7 is Firstlight's already: nothing of it has changed\n"
    again = type_(*adopt, "--json").json
    assert (again["nas"]["projected"], again["not_carried_over"], theirs in str(again)) == (True, None, False)
    assert type_("keys", "reveal", again["nas"]["secret"], "--reason", "look").out == f"{theirs}\n"
    entries = type_("audit", "list", "--limit", 200, "--json").json
    assert (len(entries), theirs in str(entries)) == (count + 1, False)  # of the look, and not of the second adoption
    assert type_("check").status == 0


def test_an_estate_of_nases_that_freeradius_knows_is_committed_and_says_what_is_left_to_do(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    file = tmp_path / "estate.toml"
    nas = '[[nas]]\nname = "hall-{0}"\naddress = "198.51.100.{0}"\ndialect = "cisco"\ncalls_itself = ["10.255.0.{0}"]\n'
    file.write_text(nas.format(7) + nas.format(8) + '[[rate]]\nplan = "gold"\ndownload_kbps = 5\nupload_kbps = 5\n')
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        row = "INSERT INTO nas (nasname, shortname, type, secret) VALUES ('198.51.100.7', 'h7', 'other', '{}')"
        hand.execute(row.format("theirs-since-2009"))
    done = type_("import", file)
    assert (done.status, done.out.splitlines()[0]) == (0, "imported: 1 rates, 2 nas")
    assert " ".join(done.out.split()).split("imported: 1 rates, 2 nas ")[1] == (
        "committed, FreeRADIUS is not told yet: nas hall-7: The radius database already has a nas 198.51.100.7 in nas"
        " that Firstlight did not write. Nothing was changed: remove those rows, or let `firstlight nas adopt` take it"
        " over with its secret."
    )
    assert list(type_("import", file, "--json").json["not_carried_over"]) == ["nas hall-7"]
    carried = {each["name"]: each["projected"] for each in type_("nas", "list", "--json").json}
    assert (carried["hall-7"], carried["hall-8"]) == (False, True)
    assert type_("nas", "adopt", "hall-7", "--reason", "ours").status == 0
    assert type_("import", file, "--json").json["not_carried_over"] == {}
    assert [each["calls_itself"] for each in type_("nas", "list", "--json").json[1:]] == [
        ["10.255.0.7"],
        ["10.255.0.8"],
    ]
    assert type_("check").status == 0


def test_a_nas_is_told_by_what_it_calls_itself(any_isp: Settings, type_: Type) -> None:
    change, show = ("nas", "change", "bng-9", *WHY), ("nas", "show", "bng-9")
    said = ("--calls-itself", "10.255.0.9", "--calls-itself", "2001:DB8::9")
    type_("nas", "add", "bng-9", "198.51.100.9", "--dialect", "mikrotik", *said, *WHY)
    assert type_(*show).out.splitlines()[1] == "calls itself 10.255.0.9 and 2001:db8::9"
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            "INSERT INTO radius_login (username, accepted, method, nas_address, nas_said_address, happened_at)"
            f" VALUES ('{DONE}', true, 'pap', '198.51.100.9', '10.255.0.8', {int(time.time())})"
        )
    assert (
        "Logins from NAS bng-9 (198.51.100.9) come as those of 10.255.0.8, which is no NAS, so no request about their"
        " sessions finds one (CoA, Disconnect). If it calls itself so: `firstlight nas change bng-9 --calls-itself"
        " 2001:db8::9 --calls-itself 10.255.0.8 --reason ...`, and in the estate's file, if it stands there; if it"
        " hands on what others send, add those."
    ) in " ".join(type_(*show).out.split())
    assert "radius.nas_called" in type_("check").out
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        moment = "to_timestamp({})" if any_isp.radius_database_url.startswith("postgresql") else "{}"
        since, now = (moment.format(int(time.time()) - ago) for ago in (3600, 0))
        hand.execute(f"INSERT INTO radius_nas_clock VALUES ('198.51.100.9', 10800, {since}, {now})")
    assert "The clock of NAS 198.51.100.9 is 3 hours behind ours" in " ".join(type_(*show).out.split())
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute("DELETE FROM radius_nas_clock")
    assert type_(*change, "--calls-itself", "10.255.0.8", "--json").json["nas"]["calls_itself"] == ["10.255.0.8"]
    assert "come as those of" not in type_(*show).out
    assert type_("check").status == 0
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        moment = "to_timestamp({})" if any_isp.radius_database_url.startswith("postgresql") else "{}"
        earlier = moment.format(int(time.time()) - 3600)
        hand.execute(f"UPDATE radius_projection SET projected_at = {earlier} WHERE name = '198.51.100.9'")
    unheeded = "count as those of 10.255.0.8, though FreeRADIUS is told that it calls itself so"
    assert unheeded in " ".join(type_(*show).out.split())
    assert type_("check").status == 1
    faulty = type_(*change, "--calls-itself", "198.51.100.9", "--calls-itself", "10.0.0.1", "--calls-itself", "here")
    assert (faulty.status, faulty.err.splitlines()[1:]) == (
        2,
        [
            "  it calls itself 198.51.100.9, which is its address: say what it calls itself besides",
            "  what it calls itself, 'here', is neither an IPv4 nor an IPv6 address",
            "  it calls itself by two addresses of one family: a NAS says one of each at most",
        ],
    )
    assert type_(*change, "--no-calls-itself", "--json").json["nas"]["calls_itself"] == []
    both = type_(*change, "--no-calls-itself", "--calls-itself", "10.0.0.1")
    assert (both.status, "calls_itself: can't be given together with --no-calls-itself" in both.err) == (2, True)
    there = type_(
        "nas", "add", "bng-10", "198.51.100.10", "--dialect", "mikrotik", "--calls-itself", "198.51.100.9", *WHY
    )
    assert "it calls itself 198.51.100.9, which is the address of NAS bng-9" in there.err
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute("DELETE FROM radius_login WHERE nas_address = '198.51.100.9'")
    assert type_("check").status == 0


def test_an_address_is_changed_under_open_sessions_only_where_they_may_be_left(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    [nas] = type_("nas", "list", "--json").json
    moment = f"to_timestamp({THEN})" if any_isp.radius_database_url.startswith("postgresql") else str(THEN)
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            "DELETE FROM radacct",
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime)"
            f" VALUES ('S-1', 'u-1', '{DONE}', '{nas['address']}', {moment})",
        )
    change = ("nas", "change", nas["name"], "--address", "198.51.100.77", *WHY)
    refused = type_(*change)
    assert (refused.status, f"1 session is open under {nas['address']}:" in refused.err) == (2, True)
    estate = tmp_path / "estate.toml"
    estate.write_text(f"[[nas]]\nname = '{nas['name']}'\naddress = '198.51.100.77'\ndialect = '{nas['dialect']}'\n")
    written = type_("import", estate)
    assert (written.status, f"nas {nas['name']}: At NAS {nas['name']} 1 session is open" in written.err) == (2, True)
    assert type_("nas", "list", "--json").json == [nas]
    left = type_(*change, "--leave-sessions")
    assert f"out of CoA's reach until they log in again: 1 session open under {nas['address']}" in left.out
    [entry] = [each for each in type_("audit", "list", "--json").json if each["action"] == "nas change"]
    assert (entry["before"]["version"], entry["after"]["sessions_left"]) == (nas["version"], 1)
    assert (entry["before"]["ipv4"], entry["after"]["nas"]["ipv4"]) == (nas["address"], "198.51.100.77")
    estate.write_text(estate.read_text().replace("198.51.100.77", nas["address"]))
    assert type_("import", estate).status == 0  # none is open under the address that it has now


def test_it_is_said_how_many_sessions_are_found_once_a_nas_is_told_by_what_it_calls_itself(
    any_isp: Settings, type_: Type
) -> None:
    [nas] = type_("nas", "list", "--json").json
    moment = f"to_timestamp({THEN})" if any_isp.radius_database_url.startswith("postgresql") else str(THEN)
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime)"
            f" VALUES ('S-1', 'u-1', '{DONE}', '10.255.0.9', {moment})",
        )
    change = ("nas", "change", nas["name"], *WHY, "--calls-itself", "10.255.0.9")
    assert [line for line in type_(*change).out.splitlines() if "sess" in line and "asked" not in line] == [
        "found with their next interim: 1 session open under 10.255.0.9",
        "  what a restart of the NAS ends before that is closed with `firstlight sessions close 10.255.0.9 --reason"
        " ...`",
    ]
    assert type_(*change, "--calls-itself", "2001:db8::9", "--json").json["sessions_to_be_found"] == 0  # said before


def test_keys_and_the_keys_of_the_dialect_are_not_said_together(any_isp: Settings, type_: Type) -> None:
    [nas] = type_("nas", "list", "--json").json
    both = ("--coa-key", "Acct-Session-Id", "--coa-dialect-keys", "--coa-port", 1700)
    refused = type_("nas", "change", nas["name"], *both, *WHY)
    assert (refused.status, "can't be given together with --coa-dialect-keys" in refused.err) == (2, True)
    assert type_("nas", "list", "--json").json == [nas]


def test_a_nas_that_can_be_asked_nowhere_is_told_so(isp: Settings, type_: Type) -> None:
    type_("nas", "add", "bng-9", "198.51.100.9", "--dialect", "mikrotik", "--coa-port", 9, *WHY)
    tried = type_("nas", "test", "bng-9", "--json")
    assert (tried.status, [each["heard"] for each in tried.json]) == (
        1,
        ["not_possible", "not_possible", "silent"],
    )
    assert tried.json[1]["words"].startswith("FreeRADIUS' log of logins has none from bng-9, and whether")


def test_addresses_outside_of_the_network_of_nases_are_listed_by_freeradius_log_or_said_not_to_be_known(
    isp: Settings, type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = type_("nas", "unknown")
    not_known = "who asks from outside of FreeRADIUS' network of NASes is not known: "
    assert (unset.out, unset.err) == (
        "nobody has asked who is no NAS\n",
        f"{not_known}FIRSTLIGHT_RADIUS_LOG_FILE is not set\n",
    )
    log = tmp_path / "radius.log"
    monkeypatch.setenv("FIRSTLIGHT_RADIUS_LOG_FILE", str(log))
    assert type_("nas", "unknown").err == f"{not_known}{log} can't be read (No such file or directory)\n"
    log.write_text(
        "Thu Nov 26 17:47:22 2026 : Error: Ignoring request to auth address * port 1812 bound to server subscribers"
        " from unknown client 203.0.113.9 port 33959 proto udp\n"
    )
    seen = type_("nas", "unknown", "--json")
    assert [(each["address"], each["times"]) for each in seen.json] == [("203.0.113.9", 1)]
    assert (seen.status, seen.err) == (0, "")


def test_logins_unknown_names_and_unknown_addresses_are_listed_in_words(any_isp: Settings, type_: Type) -> None:
    [nas] = type_("nas", "list", "--json").json
    just_heard_of(any_isp)
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        who = f"'chap', '{nas['address']}', '02-00-00-00-00-09', {THEN}"
        columns = "username, accepted, reason, about, method, nas_address, calling_station, happened_at"
        login, there = f"INSERT INTO radius_login ({columns}) VALUES", f"'{nas['address']}'"
        hand.execute(
            "DELETE FROM radius_login",
            "DELETE FROM radius_unknown_user",
            f"{login} ('{DONE}', true, NULL, NULL, {who})",
            f"{login} ('{DONE}', false, 'already_online', {there}, {who})",
            "INSERT INTO radius_unknown_user (username, nas_address, reason, method, first_at, last_at, times) VALUES"
            f" ('c1001-s1', {there}, 'no_such_user', 'pap', {THEN}, {THEN}, 7)",
            "INSERT INTO radius_unknown_nas (address, first_at, last_at, times)"
            f" VALUES ('192.0.2.9', {THEN}, {THEN}, 3)",
        )
    head, refused, accepted = type_("subscribers", "logins", DONE).out.splitlines()
    assert head.split() == ["when", "nas", "method", "line"]
    assert refused.endswith(f"refused: already online on {nas['name']}")
    assert accepted.split()[-1] == "accepted"
    assert type_("subscribers", "logins", WAITING).out.startswith(f"the log of logins has none of {WAITING}")
    assert type_("subscribers", "logins", "nobody").status == 2
    assert type_("subscribers", "unknown").out.splitlines()[1].split()[2:] == ["7", nas["name"], "c1001-s1"]
    assert type_("nas", "unknown", "--json").json == [
        {"address": "192.0.2.9", "first_at": "2026-11-20T12:00:00Z", "last_at": "2026-11-20T12:00:00Z", "times": 3}
    ]
    found = type_("subscribers", "diagnose", "C1001-S1@ISP.EXAMPLE")
    assert found.status == 0
    assert f"✗ There is no subscriber C1001-S1@ISP.EXAMPLE. Close to it: {DONE}" in found.out
    assert type_("subscribers", "identify", DONE, "CRM-7", "--reason", "ours").status == 0
    assert len(type_("subscribers", "logins", "CRM-7", "--external-id", "--json").json) == 2
    assert type_("subscribers", "diagnose", "CRM-7", "--external-id", "--json").json["username"] == DONE
    codes = {each["code"] for each in type_("subscribers", "diagnose", DONE, "--json").json["findings"]}
    assert {"name_misspelt", "already_online", "online", "active", "rows_as_wished"} == codes
    why = ("--cpe-by-hand", "--reason", "married")
    assert type_("subscribers", "rename", DONE, "anna@isp.example", *why).status == 0
    _, refused, former, *_ = type_("subscribers", "logins", "anna@isp.example").out.splitlines()
    assert (refused.endswith(f"already online on {nas['name']}"), former.strip()) == (True, f"as {DONE}")


@pytest.mark.both_databases
def test_a_nas_is_removed_and_nothing_is_left_of_it_here_or_in_freeradius(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    file = tmp_path / "estate.toml"
    file.write_text('[[nas]]\nname = "bng-9"\naddress = "198.51.100.9"\ndialect = "mikrotik"\n')
    assert type_("import", file).status == 0
    added = type_("nas", "show", "bng-9", "--json").json
    removed = type_("nas", "remove", "bng-9", "--reason", "scrapped")
    assert removed.out.splitlines()[0] == "bng-9 at 198.51.100.9 is removed, and its secret is gone"
    assert removed.out.splitlines()[1].startswith("FreeRADIUS may answer it until ")
    again = type_("nas", "remove", "bng-9", "--reason", "scrapped")
    assert (again.status, again.err) == (2, "refused: There is no NAS 'bng-9'; known are: bng-north.\n")
    assert type_("keys", "reveal", added["secret"], "--reason", "look").status != 0
    assert type_("check").status == 0
    [entry] = [each for each in type_("audit", "list", "--json").json if each["action"] == "nas remove"]
    assert (entry["reason"], entry["before"]["ipv4"]) == ("scrapped", "198.51.100.9")
    assert entry["after"].items() >= {"nas": "bng-9", "removed": True, "sessions_left": 0}.items()

    assert type_("import", file).status == 0  # which still names it
    anew = type_("nas", "show", "bng-9", "--json").json
    assert (anew["nas_id"] > added["nas_id"], anew["secret"] != added["secret"]) == (True, True)
    assert type_("check").status == 0


@pytest.mark.both_databases
def test_a_nas_with_open_sessions_is_removed_only_where_they_may_be_left(any_isp: Settings, type_: Type) -> None:
    [nas] = type_("nas", "list", "--json").json
    moment = f"to_timestamp({THEN})" if any_isp.radius_database_url.startswith("postgresql") else str(THEN)
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            "DELETE FROM radacct",
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime)"
            f" VALUES ('S-1', 'u-1', '{DONE}', '{nas['address']}', {moment})",
        )
    remove = ("nas", "remove", nas["name"], "--reason", "scrapped")
    refused = type_(*remove)
    assert (refused.status, f"1 session is open under {nas['address']}: when it is removed" in refused.err) == (2, True)
    assert type_("nas", "list", "--json").json == [nas]
    left = type_(*remove, "--leave-sessions", "--json").json
    assert (left["nas"], left["sessions_left"], left["not_carried_over"]) == (nas, 1, None)
    assert type_("nas", "list", "--json").json == []


@pytest.mark.both_databases
def test_a_line_logs_in_by_itself_only_while_a_nas_tells_of_lines(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    file = tmp_path / "ip.toml"
    file.write_text('plan = "ip"\ndownload_kbps = 5\nupload_kbps = 5\naccess = "ipoe"\n')
    assert type_("plans", "define", file, *WHY).status == 0
    assert type_("nas", "add", "bng-9", "198.51.100.9", "--dialect", "mikrotik", *WHY).status == 0
    assert type_("subscribers", "change-plan", DONE, "ip", *WHY).status == 0
    bind = ("subscribers", "bind", DONE, "--station", "00:1A:2B:3C:4D:5E", "--ipoe", *WHY)
    refused = type_(*bind)
    assert (refused.status, "No NAS here tells of lines, so a line that logs in by itself" in refused.err) == (2, True)
    assert type_("nas", "change", "bng-9", "--lines", *WHY).status == 0
    assert type_(*bind).status == 0
    for last in (("nas", "change", "bng-9", "--no-lines", *WHY), ("nas", "remove", "bng-9", *WHY)):
        refused = type_(*last)
        told = f"NAS bng-9 is the only one that tells of lines, and 1 subscriber logs in by line ({DONE})"
        assert (refused.status, told in " ".join(refused.err.split())) == (2, True), refused.err
    assert type_("nas", "show", "bng-9", "--json").json["lines"]
    assert type_("subscribers", "unbind", DONE, *WHY).status == 0
    assert type_("nas", "change", "bng-9", "--no-lines", *WHY).status == 0
