"""``firstlight subscribers import``, as whoever moves an ISP here types it."""

from __future__ import annotations

import csv
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import vandal

HEADER = "username,customer_id,plan,password,ipv4\n"
SOUND = "".join(
    f"old{number}@isp.example,{2000 + number},fiber-300,pass-{number},198.51.100.{number}\n" for number in range(1, 6)
)
WHY = ("--reason", "we leave the old one", "--customers-elsewhere")
MANGLED = "old6@isp.example,2006,fiber-300,'quoted',\n"


def test_a_list_is_tried_mended_and_taken_over_once_whatever_is_typed_again(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    file, errors = tmp_path / "old.csv", tmp_path / "errors.csv"
    file.write_text(HEADER + SOUND + MANGLED)
    words = ("subscribers", "import", file, *WHY, "--errors", errors, "--batch", "2")

    tried = type_(*words, "--dry-run", "--json")
    assert (tried.status, tried.json["error"]["code"]) == (2, "radius.import_refused")
    fault = "password: it begins with ', which FreeRADIUS takes as a quote and interprets"
    assert tried.json["error"]["faults"] == [["line 7", fault]]
    with errors.open(newline="") as written:
        assert [row["error"] for row in csv.DictReader(written)] == [""] * 5 + [fault]
    assert stat.S_IMODE(errors.stat().st_mode) == 0o600
    assert type_(*words).status == 2
    assert type_("subscribers", "show", "old1@isp.example").status == 2

    file.write_text(HEADER + SOUND)
    assert type_(*words, "--dry-run").out == "5 lines: 5 new subscribers, 0 here already\nnothing was written\n"
    done = type_(*words)
    assert (done.status, done.err, done.out) == (
        0,
        "",
        "5 lines: 5 new subscribers, 0 here already\nFreeRADIUS knows 5 of them\n",
    )
    shown = type_("subscribers", "show", "old3@isp.example", "--json").json
    assert (shown["customer_id"], shown["state"], shown["ipv4"], shown["projected"]) == (
        2003,
        "active",
        "198.51.100.3",
        True,
    )
    entries = [each for each in type_("audit", "list", "--json").json if each["action"] == "subscribers import"]
    assert [(each["subject"], each["reason"], each["after"]["created"]) for each in entries] == [
        ("import/subscribers", "we leave the old one", created) for created in (1, 2, 2)
    ]
    assert "pass-" not in str(entries)

    again = type_(*words, "--json").json
    assert again == {"lines": 5, "created": 0, "unchanged": 5, "projected": 5, "failed": [], "dry_run": False}
    project = type_("subscribers", "project", "--all", "--json").json
    assert (project["changed"], project["failed"]) == ([], [])
    assert type_("check").out == type_("check").out
    assert type_("check").status == 0
    ended = type_("subscribers", "terminate", "old2@isp.example", "--now", "--reason", "moved", "--json").json
    assert "subscriber" in ended, ended
    assert (ended["subscriber"]["state"], ended["change"]["act"], ended["change"]["sessions"]) == (
        "terminated",
        "terminate",
        [],
    )
    again = type_("subscribers", "terminate", "old2@isp.example", "--now", "--reason", "moved", "--json").json
    assert again["change"]["change_id"] == ended["change"]["change_id"]
    blank = type_("subscribers", "terminate", "old3@isp.example", "--now", "--reason", " ")
    assert (blank.status, "reason: is missing" in blank.err) == (2, True)
    assert type_("audit", "list", "--json").json[0]["action"] == "subscribers terminate"
    assert type_("check").status == 0
    assert type_("subscribers", "import", file, *WHY, "--mapping", file).status == 2
    assert type_("subscribers", "import", *WHY).status == 2


def test_numbers_that_no_customer_here_has_are_all_named_where_there_are_customers(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    file, errors = tmp_path / "old.csv", tmp_path / "errors.csv"
    listed = "old1@isp.example,1001,fiber-300,,\nold2@isp.example,2002,fiber-300,,\nold3@isp.example,2003,gold,,\n"
    file.write_text(HEADER + listed)
    tried = type_("subscribers", "import", file, *WHY[:2], "--dry-run", "--errors", errors, "--json")
    how = "--customers-elsewhere, customers_elsewhere in the API, if it is another system's"
    unknown = "customer_id: no customer {} is registered here (" + how + ")"
    assert tried.json["error"]["faults"] == [
        ["line 3", unknown.format(2002)],
        ["line 4", "plan: there is no RADIUS plan 'gold'; known are: fiber-300, fiber-pool"],
        ["line 4", unknown.format(2003)],
    ]
    with errors.open(newline="") as written:
        assert [row["error"] for row in csv.DictReader(written)][1] == unknown.format(2002)


def test_an_import_that_was_interrupted_goes_on_where_it_was(isp: Settings, type_: Type, tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    file.write_text(HEADER + SOUND)
    # The radius database is gone for its second batch: what is committed here is not told to FreeRADIUS.
    with vandal(isp.radius_database_url, isp.radius_database_schema) as hand:
        hand.execute(
            "CREATE TRIGGER gone BEFORE INSERT ON radcheck WHEN new.username = 'old3@isp.example'"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    broken = type_("subscribers", "import", file, *WHY, "--batch", "2")
    assert broken.status == 1
    assert "pass-" not in broken.err
    with vandal(isp.radius_database_url, isp.radius_database_schema) as hand:
        hand.execute("DROP TRIGGER gone")

    done = type_("subscribers", "import", file, *WHY, "--batch", "2", "--json").json

    assert (done["created"], done["unchanged"], done["projected"]) == (1, 4, 5)
    assert type_("check").status == 0


def test_another_servers_tables_are_taken_over_with_what_a_second_list_says(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            *(
                f"INSERT INTO {table} (username, attribute, op, value)"
                f" VALUES ('{name}', '{attribute}', ':=', '{value}')"
                for table, name, attribute, value in (
                    ("radcheck", "old1@isp.example", "Cleartext-Password", "kept-1"),
                    ("radcheck", "old2@isp.example", "Cleartext-Password", "kept-2"),
                    ("radcheck", "old2@isp.example", "Auth-Type", "Reject"),
                    ("radcheck", "old3@isp.example", "Crypt-Password", "$6$x"),
                    ("radreply", "old1@isp.example", "Framed-IP-Address", "198.51.100.1"),
                    ("radreply", "old1@isp.example", "Framed-Protocol", "PPP"),
                    ("radreply", "old2@isp.example", "Mikrotik-Address-List", "vip"),
                )
            ),
            "INSERT INTO radusergroup (username, groupname) VALUES ('old1@isp.example', 'fiber-300')",
        )
    mapping, errors = tmp_path / "customers.csv", tmp_path / "errors.csv"
    mapping.write_text("username,customer_id\nold1@isp.example,2001\n")
    words = ("subscribers", "import", *WHY, "--from-radcheck", "configured", "--mapping", mapping)

    tried = type_(*words, "--dry-run", "--errors", errors, "--json").json["error"]["faults"]
    assert tried == [
        ["line 3 (old2@isp.example)", "radreply has Mikrotik-Address-List, for which there is no place"],
        ["line 3 (old2@isp.example)", "customer_id is missing"],
        ["line 3 (old2@isp.example)", "plan is missing"],
        ["line 4 (old3@isp.example)", "customer_id is missing"],
        ["line 4 (old3@isp.example)", "plan is missing"],
        [
            "line 4 (old3@isp.example)",
            "password: only a hash of it is known (Crypt-Password), which is none that can be kept (nt, ssha2-512):"
            " say the password, or a new one, in its place",
        ],
    ]
    for left_out in (["user=*"], ["user=old2@isp.example", "--leave-out", "user=old3@isp.example"]):
        some = type_(*words, "--dry-run", "--leave-out", *left_out)
        assert (some.status, some.out.splitlines()[0]) == (0, "1 lines: 1 new subscribers, 0 here already")
    file = tmp_path / "old.csv"
    file.write_text(HEADER + "old1@isp.example,2001,fiber-300,kept-1,\n")
    assert "Firstlight did not write" in type_("subscribers", "import", file, *WHY).err

    mapping.write_text(
        "username,customer_id,plan,password\nold1@isp.example,2001,,\nold2@isp.example,2002,fiber-300,\n"
        "old3@isp.example,2003,fiber-300,anew\n"
    )
    adopt = (*words, "--leave-out", "Mikrotik-Address-List", "--json")
    done = {"lines": 3, "created": 3, "unchanged": 0, "projected": 3, "failed": [], "dry_run": False}
    sound = mapping.read_text()
    mapping.write_text(sound + "gone@isp.example,2004,fiber-300,\n")
    refused = type_(*adopt, "--dry-run", "--errors", errors).json["error"]["faults"]
    assert refused == [["line 5 (gone@isp.example)", "username: the tables have no such name"]]
    with errors.open(newline="") as written:
        assert [(row["username"], row["error"]) for row in csv.DictReader(written)][3:] == [
            ("gone@isp.example", "username: the tables have no such name")
        ]
    mapping.write_text(sound)
    assert type_(*adopt).json == done
    assert type_(*adopt).json == {**done, "lines": 0, "created": 0, "projected": 0}  # they are ours by now
    states = {
        name: type_("subscribers", "show", f"{name}@isp.example", "--json").json["state"] for name in ("old1", "old2")
    }
    assert states == {"old1": "active", "old2": "suspended"}
    assert type_("subscribers", "project", "--all", "--json").json["changed"] == []
    assert type_("check").status == 0
    for url in ("mysql://old/radius", "rubbish"):
        assert type_("subscribers", "import", *WHY, "--from-radcheck", url).status == 2, url


def test_what_another_server_s_group_gave_and_our_plan_does_not_is_told_until_it_is_left_out(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    rendered = type_("plans", "render", "fiber-300", "--json").json
    same = next(row for each in rendered for row in each["rows"] if row["attribute"] == "Mikrotik-Rate-Limit")
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            "INSERT INTO radcheck (username, attribute, op, value)"
            " VALUES ('old1@isp.example', 'Cleartext-Password', ':=', 'kept-1')",
            "INSERT INTO radusergroup (username, groupname) VALUES ('old1@isp.example', 'old-fiber')",
            *(
                f"INSERT INTO {table} (groupname, attribute, op, value)"
                f" VALUES ('old-fiber', '{attribute}', ':=', '{value}')"
                for table, attribute, value in (
                    ("radgroupcheck", "Simultaneous-Use", "1"),
                    ("radgroupreply", same["attribute"], same["value"]),
                    ("radgroupreply", "Session-Timeout", "3600"),
                )
            ),
        )
    mapping = tmp_path / "customers.csv"
    mapping.write_text("username,customer_id,plan\nold1@isp.example,2001,fiber-300\n")
    words = ("subscribers", "import", *WHY, "--from-radcheck", "configured", "--mapping", mapping, "--json")

    assert type_(*words, "--dry-run").json["error"]["faults"] == [
        [
            "line 2 (old1@isp.example)",
            "group old-fiber has Simultaneous-Use 1, Session-Timeout 3600, which plan fiber-300 does not say: change"
            " the plan, or leave the attribute out (--leave-out group:ATTRIBUTE)",
        ]
    ]
    assert type_(*words, "--leave-out", "Simultaneous-Use", "--leave-out", "session-timeout").json["created"] == 1
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            *(f"DELETE FROM {table} WHERE groupname = 'old-fiber'" for table in ("radgroupcheck", "radgroupreply"))
        )
    assert type_("check").status == 0


STOCK = """
    CREATE TABLE radcheck (id INTEGER PRIMARY KEY, username varchar(64), attribute varchar(64), op char(2), value text);
    CREATE TABLE radreply (id INTEGER PRIMARY KEY, username varchar(64), attribute varchar(64), op char(2), value text);
    CREATE TABLE radusergroup (id INTEGER PRIMARY KEY, username varchar(64), groupname varchar(64), priority int);
"""
THEIRS = [
    ("ann@old.example", "Cleartext-Password", ":=", "kept-1"),
    ("ann@old.example", "Calling-Station-Id", "==", "00-1A-2B-3C-4D-5E"),
    ("ann@old.example", "NAS-Port-Id", "==", "eth 0/1"),
    ("ben@old.example", "Cleartext-Password", ":=", "'quoted'"),
    ("ben@old.example", "Calling-Station-Id", ":=", "00-1A-2B-3C-4D-5F"),
    ("cat#1@old.example", "User-Password", ":=", "%{User-Name}"),
    ("dan@old.example", "Cleartext-Password", ":=", " padded"),
    ("eve@old.example", "Framed-MTU", ":=", "1492"),
    ("fay@old.example", "NT-Password", ":=", "0x44ebba8d5312b8d611474411f56989ae"),
]


def test_what_another_server_s_customers_have_chosen_is_listed_where_it_would_be_mangled_and_left_there(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    old, mapping, errors = tmp_path / "old" / "freeradius.db", tmp_path / "customers.csv", tmp_path / "errors.csv"
    old.parent.mkdir()
    with closing(sqlite3.connect(old)) as hand:
        hand.executescript(STOCK)
        hand.executemany("INSERT INTO radcheck (username, attribute, op, value) VALUES (?, ?, ?, ?)", THEIRS)
        hand.commit()
    before, names = old.read_bytes(), sorted({name for name, *_ in THEIRS})
    mapping.write_text("username,customer_id,plan\n" + "".join(f"{name},2001,fiber-300\n" for name in names))
    words = ("subscribers", "import", *WHY, "--from-radcheck", f"sqlite:///{old}", "--mapping", mapping)

    faults = type_(*words, "--dry-run", "--errors", errors, "--json").json["error"]["faults"]
    assert faults[0][0] == f"line 3 ({names[1]})"
    assert [(line.partition(" (")[0], what.partition(":")[0]) for line, what in faults] == [
        ("line 3", "radcheck has Calling-Station-Id "),
        ("line 3", "password"),
        ("line 4", "username"),
        ("line 4", "password"),
        ("line 5", "password"),
        ("line 6", "radcheck has Framed-MTU, for which there is no place"),
        ("line 6", "has no password, neither in clear nor as a hash"),
        ("line 7", "password"),
    ]
    said = [what for _, what in faults]
    assert said[0] == "radcheck has Calling-Station-Id :=, for which there is no place"
    assert "only a hash of it is known (NT-Password), and the estate keeps passwords as cleartext" in said[7]
    assert said[3:5] == [
        "password: it holds %{, which some FreeRADIUS servers expand",
        "password: it begins or ends with white space, which nobody sees",
    ]
    with errors.open(newline="") as written:
        listed = {row["username"]: row for row in csv.DictReader(written)}
    assert [(listed[name]["password"], bool(listed[name]["error"])) for name in names] == [
        ("kept-1", False),
        ("'quoted'", True),
        ("%{User-Name}", True),
        (" padded", True),
        ("", True),
        ("", True),
    ]
    assert listed["fay@old.example"]["password_hash"] == "{nt}0x44ebba8d5312b8d611474411f56989ae"
    some = f"{names[0]},2001,fiber-300,\n{names[3]},2004,fiber-300,another\n"
    mapping.write_text(f"username,customer_id,plan,password\n{some}")
    assert type_(*words, "--leave-out", "user=*", "--json").json["created"] == 2
    shown = type_("subscribers", "show", names[0], "--json").json
    assert shown["line"] == {"station": "001a2b3c4d5e", "port": "eth 0/1"}
    assert (old.read_bytes(), list(old.parent.iterdir())) == (before, [old])

    for list_, why in (
        ('"username,customer_id\n' + "a,2001\n" * 30_000, "is no CSV, field larger than field limit"),
        ('username,customer_id\n"a,2001\n', "is no CSV, unexpected end of data in line 2"),
        ("username,customer_id\n\na,2001,9,9\n", "has 4 cells, and there are 2 columns in line 3"),
    ):
        mapping.write_text(list_)
        refused = type_(*words)
        assert (refused.status, f"what is said beside the tables {why}" in " ".join(refused.err.split())) == (2, True)
    nowhere = tmp_path / "gone" / "freeradius.db"
    typed = type_("subscribers", "import", *WHY, "--from-radcheck", f"sqlite:///{nowhere}")
    assert (typed.status, f"there is no file {nowhere}" in typed.err) == (2, True)
    assert not nowhere.parent.exists()
    other = type_("subscribers", "import", *WHY, "--from-radcheck", "postgresql://reader@127.0.0.1:1/radius")
    assert (other.status, other.err.partition(" (")[0]) == (
        1,
        "failed: The database of the other FreeRADIUS does not answer",
    )
