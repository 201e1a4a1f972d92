"""``firstlight addresses import | export | reconcile``, as whoever takes a network over types it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from provisioning.cli import addresses_files
from provisioning.reconciliation import KINDS
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import vandal

DONE, WAITING, HELD = "c1001-s1@isp.example", "c1002-s2@isp.example", "c1003-s3@isp.example"
NETBOX = """\
IP Address,VRF,Status,DNS Name,Description
100.64.1.7/22,Global,Active,,museum
100.64.1.8/22,Global,Active,printer.example.net,
"""


def test_a_file_of_another_system_is_tried_mended_and_taken_over(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    file, errors = tmp_path / "netbox.csv", tmp_path / "errors.csv"
    file.write_text(NETBOX + "8.8.8.8/32,Global,Active,,resolver\n100.64.1.7/33,Global,Active,,again\n")
    words = ("addresses", "import", file, "--from", "netbox", "--errors", errors)

    tried = type_(*words, "--dry-run", "--json")
    assert tried.status == 2
    assert tried.json["error"]["code"] == "ipam.import_refused"
    assert tried.json["error"]["faults"] == [
        ["line 4", "8.8.8.8 lies outside every pool of VRF default"],
        ["line 5", "'100.64.1.7/33' has no prefix length of IPv4 behind its slash"],
    ]
    with errors.open(newline="") as written:
        assert [(row["IP Address"], row["errors"]) for row in csv.DictReader(written)] == [
            ("100.64.1.7/22", ""),
            ("100.64.1.8/22", ""),
            ("8.8.8.8/32", "8.8.8.8 lies outside every pool of VRF default"),
            ("100.64.1.7/33", "'100.64.1.7/33' has no prefix length of IPv4 behind its slash"),
        ]
    assert type_(*words).status == 2

    file.write_text(NETBOX)
    assert type_(*words, "--dry-run").out == ("2 lines, 0 left out: 2 reserved; 0 new services\nnothing was written\n")
    nowhere = type_(*words[:-1], tmp_path / "no" / "errors.csv")
    assert (nowhere.status, "errors.csv can't be used: No such file" in nowhere.err) == (1, True)
    done = type_(*words, "--reason", "we leave NetBox", "--json")
    assert done.json == {
        "lines": 2,
        "services": 0,
        "assigned": 0,
        "reserved": 2,
        "quarantine": 0,
        "updated": 0,
        "unchanged": 0,
        "skipped": 0,
        "outside_pools": 0,
        "first_outside": [],
        "mapping_unused": 0,
        "first_unused": [],
        "dry_run": False,
    }
    assert type_(*words).out == "2 lines, 0 left out: 2 unchanged; 0 new services\n"
    entries = [each for each in type_("audit", "list", "--json").json if each["action"] == "addresses import"]
    assert [(each["subject"], each["reason"]) for each in entries] == [("import/netbox", "we leave NetBox")]
    assert (entries[0]["after"]["file"], entries[0]["after"]["reserved"]) == ("netbox.csv", 2)
    assert type_("check").status == 0


def test_what_a_mapping_has_too_much_is_counted_and_named(isp: Settings, type_: Type, tmp_path: Path) -> None:
    file, mapping = tmp_path / "radreply.csv", tmp_path / "mapping.csv"
    file.write_text("username,attribute,op,value\nalice,Framed-IP-Address,:=,100.64.3.9\n")
    others = "".join(f"u{number},{number},LOC-1,fiber-300\n" for number in range(1, 6))
    mapping.write_text(f"username,customer_id,location,plan\nAlice,5,LOC-20001,fiber-300\n{others}")
    words = ("addresses", "import", file, "--from", "radreply", "--mapping", mapping)

    told = type_(*words, "--dry-run")

    assert (told.status, told.out.splitlines()) == (
        0,
        [
            "1 lines, 0 left out: 1 reserved; 0 new services",
            "of the mapping, in no line of the file: 6 (Alice, u1, u2, u3, u4, ...)",
            "nothing was written",
        ],
    )
    done = type_(*words, "--json").json
    assert (done["mapping_unused"], done["first_unused"]) == (6, ["Alice", "u1", "u2", "u3", "u4"])
    mapping.write_text("username,customer_id,location,plan\nalice,5,,fiber-300\n")
    refused = type_(*words)
    assert (refused.status, refused.err.splitlines()[1:]) == (
        2,
        ["  line 2: whose it is takes customer_id, location, plan: location is missing"],
    )


def test_a_service_that_comes_with_a_file_is_nobody_s_left_over(isp: Settings, type_: Type, tmp_path: Path) -> None:
    file = tmp_path / "services.csv"
    whose = "2001,ada@elsewhere.example,LOC-20001,fiber-300"
    file.write_text(
        f"value,customer_id,username,location,plan,pool\n100.64.2.9,{whose},\n2001:db8:100:99::/64,{whose},\n"
        f"2001:db8:8000:9900::/56,{whose},\n"
    )
    lacks = type_("addresses", "import", file)
    assert (lacks.status, lacks.err.splitlines()[1:]) == (
        2,
        ["  line 2: its C-VLAN is missing: a column cvlan, or a line of its own, may say it"],
    )
    file.write_text(file.read_text() + f"777,{whose},aggregation-north/101\n")

    assert type_("addresses", "import", file).out == "4 lines, 0 left out: 4 assigned; 1 new services\n"

    shown = type_("addresses", "show", "100.64.2.9", "--json").json
    assert shown["holder"]["username"] == "ada@elsewhere.example"
    assert type_("check").status == 0
    [missing] = type_("addresses", "reconcile", "--json").json["missing_in_radius"]
    assert missing["command"] == f"firstlight addresses show --service {missing['service_id']}"
    assert "100.64.2.9" in type_(*missing["command"].split()[1:]).out
    assert type_("addresses", "release", missing["service_id"], "--reason", "gone").status == 0
    assert type_("addresses", "reconcile").status == 0


def test_what_goes_out_is_what_comes_in(isp: Settings, type_: Type, tmp_path: Path) -> None:
    everything = tmp_path / "all.csv"
    said = type_("addresses", "export", "--to", everything).out
    lines = everything.read_text().splitlines()
    assert said == f"{len(lines) - 1} lines in {everything}\n"
    assert lines[0].startswith("vrf,pool,kind,value,state,customer_id,username")
    of_pool = type_("addresses", "export", "--pool", "north-v4").out.splitlines()
    assert set(of_pool) <= set(lines)
    assert {row["username"] for row in type_("addresses", "export", "--json").json} >= {DONE, WAITING}
    again = type_("addresses", "import", everything, "--json").json
    assert (again["unchanged"], again["services"]) == (len(lines) - 1, 0)
    assert type_("addresses", "export", "--pool", "nowhere").status == 2


POOLED = """
[[network.plan]]
name = "pooled"
access = "pppoe"
addressing = "framed_pool"
cvlan = "never"

[[network.pool]]
name = "bng-own"
kind = "ipv4"
network = "100.72.0.0/22"
framed_pool = "cust-pool"
bindings = [{ bng = "bng-north", plan = "pooled" }]

[[network.svlan]]
group = "aggregation-north"
vid = 102
bindings = [{ access_node = "OLT-3" }]
"""


@pytest.mark.both_databases
def test_an_export_names_the_services_that_have_no_line_in_it(any_isp: Settings, type_: Type, tmp_path: Path) -> None:
    estate, everything = tmp_path / "pooled.toml", tmp_path / "all.csv"
    estate.write_text(POOLED)
    assert type_("import", estate).status == 0
    words = ("--customer", 1005, "--location", "LOC-20005", "--plan", "pooled", "--request", "bss-9", "--json")
    service_id = type_("addresses", "allocate", *words).json["service_id"]

    said = type_("addresses", "export", "--to", everything)

    named = f"without a line, since they hold nothing of their own: services 1 ({service_id})\n"
    assert (said.status, said.err) == (0, named)
    assert "c1005-" not in everything.read_text()
    assert type_("addresses", "export", "--to", everything, "--json").json["left_out"] == [service_id]
    assert type_("addresses", "export").err == named
    assert type_("addresses", "export", "--pool", "north-v4").err == ""
    assert type_("addresses", "release", service_id, "--reason", "cancelled").status == 0
    assert type_("addresses", "export", "--to", everything).err == ""


def test_what_is_refused_leaves_files_of_before_as_they_were_and_writes_no_heading(
    isp: Settings, type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept.csv"
    kept.write_text("of yesterday\n")
    for words in (("--to", kept), ("--to", tmp_path / "new.csv"), ()):
        told = type_("addresses", "export", "--pool", "nowhere", *words)
        assert (told.status, told.out) == (2, "")

    async def lost(*_: object, **__: object) -> None:
        raise ConnectionError(111, "Connection refused", "database")

    file = tmp_path / "netbox.csv"
    file.write_text(NETBOX)
    monkeypatch.setattr(addresses_files, "_brought_in", lost)
    assert type_("addresses", "import", file, "--from", "netbox", "--errors", kept).status == 1

    assert kept.read_text() == "of yesterday\n"
    assert sorted(each.name for each in tmp_path.iterdir() if each.suffix == ".csv") == ["kept.csv", "netbox.csv"]


def test_radius_is_compared_and_each_difference_has_the_command_that_ends_it(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    assert type_("addresses", "reconcile").out == "RADIUS gives what is allocated, and nothing else\n"
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            f"DELETE FROM radreply WHERE username = '{DONE}'",
            f"UPDATE radreply SET value = '100.64.3.9' WHERE username = '{HELD}' AND attribute = 'Framed-IP-Address'",
            f"DELETE FROM radreply WHERE username = '{WAITING}'",  # its run is about to see to that
            "INSERT INTO radreply (username, attribute, op, value)"
            " VALUES ('old@isp.example', 'Framed-IP-Address', ':=', '100.64.3.10')",
        )

    table = tmp_path / "differences.csv"
    told = type_("addresses", "reconcile", "--csv", table, "--json")

    assert told.status == 1
    [missing], [unknown], [], [], [], [], [], [mismatched], left_out = told.json.values()
    assert left_out == {"anothers": 0, "under_way": 1}
    assert (missing["username"], missing["radius"]) == (DONE, [])
    assert missing["command"] == f"firstlight subscribers project {DONE}"
    assert (mismatched["username"], mismatched["radius"]) == (HELD, ["Framed-IP-Address=100.64.3.9"])
    assert mismatched["ipam"][0].startswith("Framed-IP-Address=100.64.")
    assert (unknown["username"], unknown["service_id"]) == ("old@isp.example", None)
    assert unknown["command"] == "firstlight addresses import --from radreply"
    with table.open(newline="") as written:
        assert {row["username"]: row["difference"] for row in csv.DictReader(written)} == {
            DONE: "missing_in_radius",
            HELD: "mismatched",
            "old@isp.example": "unknown_to_ipam",
        }
    nowhere = type_("addresses", "reconcile", "--csv", tmp_path / "no" / "differences.csv")
    assert (nowhere.status, "differences.csv can't be used: No such file" in nowhere.err) == (1, True)
    lines = type_("addresses", "reconcile").out.splitlines()
    assert lines[0].split() == ["difference", "username", "service"]
    assert any("firstlight subscribers project" in line for line in lines)
    assert lines[-1] == "left out: 1 that a run is about to carry over"


def test_a_report_of_before_stays_where_no_other_comes_about(isp: Settings, type_: Type, tmp_path: Path) -> None:
    table = tmp_path / "differences.csv"
    table.write_text("of yesterday\n")
    with vandal(isp.radius_database_url, isp.radius_database_schema) as hand:
        hand.execute("ALTER TABLE radreply RENAME TO radreply_elsewhere")
    told = type_("addresses", "reconcile", "--csv", table)
    assert (told.status, told.out, table.read_text()) == (1, "", "of yesterday\n")
    assert "radreply" in told.err


def test_of_many_differences_of_a_kind_some_are_shown_and_all_are_counted(
    any_isp: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses_files, "MOST_SHOWN", 2)
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        for number in (1, 2, 3):
            hand.execute(
                "INSERT INTO radreply (username, attribute, op, value)"
                f" VALUES ('old{number}@isp.example', 'Framed-IP-Address', ':=', '100.64.3.{number}')"
            )

    lines = type_("addresses", "reconcile").out.splitlines()

    shown = [line.split()[1] for line in lines if line.startswith("unknown_to_ipam ")]
    assert shown == ["old1@isp.example", "old2@isp.example"]
    assert lines[-1] == "unknown_to_ipam: 3, of which 2 are shown; --csv FILE writes all of them"


def test_each_difference_ends_by_its_command(isp: Settings, type_: Type) -> None:
    with vandal(isp.radius_database_url, isp.radius_database_schema) as hand:
        hand.execute(
            f"DELETE FROM radreply WHERE username = '{DONE}'",
            "INSERT INTO radreply (username, attribute, op, value)"
            " VALUES ('old@isp.example', 'Framed-IP-Address', ':=', '100.64.3.10')",
        )
    assert type_("subscribers", "project", DONE).status == 0
    held = type_("addresses", "import", "--from", "radreply", "--json").json
    assert (held["reserved"], held["unchanged"]) == (1, 9)  # three of each of our three subscribers
    assert "imported from radreply: old@isp.example" in type_("addresses", "show", "100.64.3.10").out
    [entry] = [each for each in type_("audit", "list", "--json").json if each["action"] == "addresses import"]
    assert entry["after"]["file"] == "radius database"
    assert type_("addresses", "reconcile", "--json").json == {
        "missing_in_radius": [],
        "unknown_to_ipam": [],
        "reserved_otherwise": [],
        "held_otherwise": [],
        "given_twice": [],
        "outside_pools": [],
        "unfit": [],
        "mismatched": [],
        "left_out": {"anothers": 0, "under_way": 0},
    }


def test_what_lies_in_no_pool_or_is_kept_for_something_else_does_not_hold_up_what_can_be_kept(
    any_isp: Settings, type_: Type
) -> None:
    assert type_("addresses", "reserve", "north-v4", "100.64.3.12", "--reason", "the museum").status == 0
    given = {"old": "100.64.3.10", "mgmt": "10.255.0.1", "ghost": "100.64.3.12"}
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            *(
                "INSERT INTO radreply (username, attribute, op, value)"
                f" VALUES ('{name}', 'Framed-IP-Address', ':=', '{address}')"
                for name, address in given.items()
            )
        )

    told = type_("addresses", "reconcile", "--json").json
    by_name = {each["username"]: (kind, each["command"]) for kind in KINDS for each in told[kind]}
    assert by_name == {
        "old": ("unknown_to_ipam", "firstlight addresses import --from radreply"),
        "ghost": ("reserved_otherwise", "firstlight addresses show 100.64.3.12"),
        "mgmt": ("outside_pools", "firstlight import ESTATE"),
    }
    assert "the museum" in type_(*by_name["ghost"][1].split()[1:]).out
    assert "reserved (the museum)" in type_("addresses", "import", "--from", "radreply").err
    assert type_("addresses", "unreserve", "north-v4", "100.64.3.12", "--reason", "ghost has it").status == 0

    assert type_("addresses", "import", "--from", "radreply").out.splitlines() == [
        "12 lines, 1 left out: 2 reserved, 9 unchanged; 0 new services",
        "of what is left out, outside of every pool: 1 (mgmt 10.255.0.1)",
    ]

    left = type_("addresses", "reconcile", "--json").json
    assert [each["username"] for kind in KINDS for each in left[kind]] == ["mgmt"]


def test_what_a_service_has_or_nobody_can_have_is_told_with_a_command_that_says_why(
    any_isp: Settings, type_: Type
) -> None:
    taken = type_("addresses", "export", "--json").json
    [address] = [row["value"] for row in taken if row["username"] == DONE and row["kind"] == "ipv4"]
    rows = (
        ("zz", "Framed-IP-Address", address),
        ("twin-1", "Framed-IP-Address", "100.64.3.20"),
        ("twin-2", "Framed-IP-Address", "100.64.3.20"),
        ("garbage", "Delegated-IPv6-Prefix", "2001:db8:8000::/44"),
        ("inside", "Framed-IPv6-Address", "2001:db8:100:99::1"),
    )
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            *(
                f"INSERT INTO radreply (username, attribute, op, value) VALUES ('{who}', '{name}', ':=', '{value}')"
                for who, name, value in rows
            )
        )

    told = type_("addresses", "reconcile", "--json").json

    dry_run = "firstlight addresses import --from radreply --dry-run"
    assert {each["username"]: (kind, each["command"]) for kind in KINDS for each in told[kind]} == {
        "zz": ("held_otherwise", f"firstlight addresses show {address}"),
        "twin-1": ("given_twice", dry_run),
        "twin-2": ("given_twice", dry_run),
        "garbage": ("unfit", dry_run),
        "inside": ("unknown_to_ipam", "firstlight addresses import --from radreply"),
    }
    assert DONE in type_("addresses", "show", address).out
    refused = type_(*dry_run.split()[1:])
    assert (refused.status, [line.strip() for line in sorted(refused.err.splitlines()[1:])]) == (
        2,
        [
            "garbage's Delegated-IPv6-Prefix: 2001:db8:8000::/44 is nothing that pool north-pd hands out"
            " (/56 of 2001:db8:8000::/40)",
            "twin-2's Framed-IP-Address: 100.64.3.20 of pool north-v4 stands in twin-1's Framed-IP-Address already",
            f"zz's Framed-IP-Address: {address} of pool north-v4 stands in {DONE}'s Framed-IP-Address already",
        ],
    )


def test_what_can_not_be_read_is_refused_in_a_sentence(isp: Settings, type_: Type, tmp_path: Path) -> None:
    binary = tmp_path / "sheet.xls"
    binary.write_bytes(b"value\n\xff\xfe\n")
    for words, said in (
        ((tmp_path / "none.csv",), "No such file"),
        ((binary,), "file: is not UTF-8 text (line 2, byte 7 of the file)"),
        ((binary, "--from", "excel"), "from: excel is none of csv, netbox, phpipam, radreply"),
        ((), "file: is needed; only radreply can be read from its database"),
    ):
        typed = type_("addresses", "import", *words)
        assert typed.status in (1, 2)
        assert said in typed.err
