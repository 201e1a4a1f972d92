"""``firstlight addresses``, as whoever keeps the network types it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.estate import MORE_ADDRESSES
from tests.support.healthy_estate import vandal
from workflows import NO_MOMENT

POOLED = """
[[network.plan]]
name = "pooled"
access = "pppoe"
addressing = "framed_pool"

[[network.pool]]
name = "bng-own"
kind = "ipv4"
network = "100.72.0.0/22"
framed_pool = "cust-pool"
bindings = [{ bng = "bng-north", plan = "pooled" }]
"""
ROUTED = """
[[network.pool]]
name = "nets"
kind = "ipv4_routed"
network = "198.51.100.0/26"
unit_length = 29
bindings = [{ bng = "bng-north" }]
"""
DONE, USERNAME, HOME = 1, "c1001-s1@isp.example", "LOC-20001"


@pytest.mark.both_databases
def test_a_service_is_told_by_command_as_by_the_api_and_so_is_who_had_an_address(
    any_isp: Settings, type_: Type
) -> None:
    asked = ("--customer", "7", "--location", HOME, "--plan", "fiber-300", "--request", "crm-1")
    assert type_("addresses", "allocate", *asked).out.startswith("service ")
    assert type_("addresses", "allocate", *asked).out.splitlines()[0].endswith(", as before")
    held = type_("addresses", "allocate", *asked, "--json").json
    shown = ("addresses", "show", "--service", held["service_id"], "--json")
    whose = {"customer_id": 7, "location": HOME, "plan": "fiber-300"}
    assert type_(*shown).json == {**held, **whose, "state": "active", "released_at": None}
    had = type_("addresses", "holder", held["ip_address"], "--json").json
    assert (had["holder"]["service_id"], had["behind"]) == (held["service_id"], None)

    assert type_("addresses", "release", held["service_id"], "--reason", "gone").status == 0
    gone = type_(*shown).json
    assert gone.pop("released_at") is not None
    names = {"service_id": held["service_id"], "username": held["username"]}
    assert gone == {**names, **whose, "state": "released"}
    assert type_("addresses", "allocate", *asked).out.splitlines()[0].endswith(", back after its release")


def test_what_is_reserved_is_given_by_the_option_that_the_refusal_names(isp: Settings, type_: Type) -> None:
    kept = "100.64.3.9"
    assert type_("addresses", "reserve", "north-v4", kept, "--reason", "for Mrs Smith").status == 0
    line = ("--customer", "7", "--location", HOME, "--plan", "fiber-300", "--ip", kept)
    asked = ("addresses", "allocate", *line, "--request", "crm-1")

    refused = type_(*asked)
    assert (refused.status, "`--take-reserved`" in refused.err) == (2, True)
    assert kept in type_("addresses", "preview", *line, "--take-reserved").out
    assert type_(*asked, "--take-reserved", "--json").json["ip_address"] == kept
    assert type_(*asked, "--take-reserved").out.splitlines()[0].endswith(", as before")
    history = type_("addresses", "history", kept, "--json").json
    assert [each["what"] for each in history] == ["reserved", "unreserved", "assigned"]

    other = "100.64.3.10"
    assert type_("addresses", "reserve", "north-v4", other, "--reason", "for Mr Smith").status == 0
    move = ("addresses", "move", DONE, "--to", HOME, "--ip", other, "--reason", "his")
    assert "`--take-reserved`" in type_(*move).err
    assert type_(*move, "--take-reserved", "--json").json["resources"]["ip_address"] == other


def test_a_prefix_that_is_kept_for_a_service_is_routed_to_it_by_the_option_that_the_refusal_names(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    estate = tmp_path / "routed.toml"
    estate.write_text(ROUTED)
    assert type_("import", estate).status == 0
    kept = "198.51.100.8/29"
    assert type_("addresses", "reserve", "nets", kept, "--reason", "for the office").status == 0
    route = ("addresses", "route", DONE, "--pool", "nets", "--reason", "a larger office")

    refused = type_(*route, "--prefix", kept)
    assert (refused.status, "`--take-reserved`" in refused.err) == (2, True)
    unnamed = type_(*route, "--take-reserved")
    assert (unnamed.status, "must come with what is reserved: prefix" in unnamed.err) == (2, True)
    given = type_(*route, "--prefix", kept, "--take-reserved", "--json").json["resources"]
    assert given["framed_routes"] == [f"{kept} 0.0.0.0 1"]


def test_a_request_that_is_too_long_or_blank_and_a_count_that_cannot_be_meant_are_told_with_all_else(
    isp: Settings, type_: Type
) -> None:
    asked = ("addresses", "allocate", "--customer", "7", "--location", HOME, "--plan", "gold", "--request")
    for request, length in (("r" * 196, 196), ("  ", 0)):
        refused = type_(*asked, request)
        assert refused.status == 2
        assert f"request_id: has {length} characters; it takes 1 to 195" in refused.err and "'gold'" in refused.err
    count = type_("addresses", "route", DONE, "--pool", "nope", "--count", 0, "--reason", "x")
    assert count.status == 2
    assert "count: is 0; a service has 1 to 16 prefixes of a pool" in count.err and "'nope'" in count.err


@pytest.fixture
def address(isp: Settings, type_: Type) -> str:
    """That of the service that is in use."""
    held = type_("addresses", "show", "--service", DONE, "--json").json
    return str(held["ip_address"])


def audited(type_: Type) -> list[tuple[str, str | None, str | None]]:
    return [
        (entry["action"], entry["subject"], entry["reason"])
        for entry in type_("audit", "list", "--json").json
        if entry["action"].startswith("addresses")
    ]


def test_the_pools_are_listed_with_what_is_used_and_drawn_as_bars_and_as_a_picture(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    listed = type_("addresses", "pools").out.splitlines()
    assert listed[0].split() == ["pool", "used", "free", "level", "forecast"]
    north = next(number for number, line in enumerate(listed) if line.startswith("north-v4"))
    assert listed[north].split() == ["north-v4", "0.4", "%", "1018", "of", "1022", "ok", "too", "soon", "to", "say"]
    assert listed[north + 1].strip() == "public 100.64.0.0/22 (ipv4): 3 assigned, 1 cooling off;"
    assert listed[north + 2].strip().startswith("the next one comes back 20")
    [pool] = type_("addresses", "usage", "100.64.0.0/22", "--json").json
    assert (pool["pool"], pool["role"], pool["assigned"], pool["quarantined"]) == ("north-v4", "public", 3, 1)

    picture = tmp_path / "north.svg"
    bars = type_("addresses", "usage", "north-v4", "--svg", picture).out.splitlines()
    assert bars[1].split()[:2] == ["north-v4", "█▓" + "░" * 28]
    assert picture.read_text().startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    by_bng = type_("addresses", "usage", "--by", "bng", "--json").json
    assert {each["place"]: each["pools"] for each in by_bng if each["kind"] == "ipv4"} == {
        "bng-north": ["north-v4"],
        "bng-tight": ["tight-v4"],
    }
    for words, fault in (
        (("--svg", picture), "pool: is needed with --svg"),
        (("--by", "street"), "by: street is none of bng, site, access_node"),
        (("nowhere",), "There is no pool 'nowhere'"),
    ):
        typed = type_("addresses", "usage", *words)
        assert (typed.status, fault in typed.err) == (2, True)
    both = type_("addresses", "usage", "--by", "street", "--svg", picture).err
    assert "by: street is none of bng, site, access_node" in both
    assert "pool: is needed with --svg" in both


def test_a_pool_with_a_very_long_name_leaves_the_others_columns_where_they_are_seen(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    name, estate = "x" * 115, tmp_path / "long.toml"
    estate.write_text(ROUTED.replace('"nets"', f'"{name}"'))
    assert type_("import", estate).status == 0

    for command in ("pools", "usage"):
        listed = type_("addresses", command).out.splitlines()
        long = listed.index(name)
        assert listed[long + 1].startswith(" " * 20)
        assert max(len(line) for line in listed if line != name) <= 80
    shown = type_("addresses", "show", name)
    told = f"{name} is the name of a pool. `firstlight addresses usage {name}` says"
    assert (shown.status, told in shown.err) == (2, True)


def test_an_address_is_shown_with_its_holder_and_history(isp: Settings, type_: Type, address: str) -> None:
    shown = type_("addresses", "show", address).out.splitlines()
    assert shown[0] == f"{address}: assigned, pool north-v4 in 100.64.0.0/22 (public)"
    assert shown[1].startswith(f"  service 1 of customer 1001, {USERNAME} at {HOME} since ")
    assert shown[2].endswith("assigned service 1 of customer 1001")
    facts = type_("addresses", "show", "100.64.0.0/22", "--json").json
    assert facts["state"] == "several"
    assert {each["service_id"] for each in facts["within"]} == {1, 2, 3, None}
    assert type_("addresses", "holder", address, "--json").json["holder"]["username"] == USERNAME
    assert type_("addresses", "show", address, "--at", "2020-01-01T00:00Z").out == f"{address}: nobody\n"
    beyond = type_("addresses", "show", address, "--at", "0001-01-01T00:00+14:00")
    assert (beyond.status, "is outside of the calendar, in UTC" in beyond.err) == (2, True)
    unsaid = type_("addresses", "holder", address, "--at", "yesterday")
    assert (unsaid.status, "'yesterday' is no moment with its zone, such as" in unsaid.err) == (2, True)
    service = type_("addresses", "show", "--service", DONE).out.splitlines()
    assert service[0] == f"service 1 of customer 1001: {USERNAME}, plan fiber-300"
    assert f"  IPv4: {address}" in service
    assert type_("addresses", "history", address, "--json").json[0]["what"] == "assigned"
    for words in (("show",), ("show", address, "--service", 1), ("show", "nowhere"), ("show", "--service", 99)):
        assert type_("addresses", *words).status == 2


def test_what_is_done_by_hand_is_done_once_with_a_reason_that_the_audit_keeps(any_isp: Settings, type_: Type) -> None:
    kept = ("addresses", "reserve", "north-v4", "100.64.3.9", "--reason", "for the museum")
    assert type_(*kept).out == "100.64.3.9 of pool north-v4: reserved\n"
    assert type_(*kept).out == "100.64.3.9 of pool north-v4: reserved, as before\n"
    taken = type_("addresses", "reserve", "north-v4", "100.64.3.9", "--reason", "for the zoo")
    assert (taken.status, taken.err) == (
        2,
        "refused: 100.64.3.9 of pool north-v4 is reserved (for the museum); nothing was changed. Choose another one,"
        " or unreserve it.\n",
    )
    assert type_("addresses", "reserve", "north-v4", "100.64.3.9").status == 2  # no note
    assert type_("addresses", "unreserve", "north-v4", "100.64.3.9", "--note", "it moved", "--json").json == {
        "pool": "north-v4",
        "what": "100.64.3.9",
        "changed": True,
        "drained": None,
        "excluded": None,
    }
    unreserved = type_("addresses", "unreserve", "north-v4", "100.64.3.9", "--reason", "it moved")
    assert unreserved.out == "100.64.3.9 of pool north-v4: unreserved, as before\n"
    out = ("north-v4", "100.64.3.16/28")
    assert type_("addresses", "exclude", *out, "--reason", "printers").status == 0
    assert type_("addresses", "include", *out, "--reason", "no printers").out.endswith("no longer excluded by hand\n")
    assert type_("addresses", "drain", *out, "--reason", "goes south").out.endswith("being drained\n")
    assert type_("addresses", "left-behind", "north-v4").out == "nobody has anything in it\n"
    assert type_("addresses", "undrain", "north-v4", "--reason", "stays").out == "north-v4: handed out again\n"
    assert audited(type_) == [
        ("addresses undrain", "pool/north-v4", "stays"),
        ("addresses drain", "pool/north-v4", "goes south"),
        ("addresses include", "pool/north-v4", "no printers"),
        ("addresses exclude", "pool/north-v4", "printers"),
        ("addresses unreserve", "pool/north-v4", "it moved"),
        ("addresses reserve", "pool/north-v4", "for the museum"),
    ]
    some = type_("addresses", "drain", "north-pd", "2001:db8:80ff:1220::/60", "--reason", "goes south")
    assert some.out == "2001:db8:80ff:1200::/56 of pool north-pd: being drained\n"
    assert type_("audit", "list", "--json").json[0]["after"]["what"] == "2001:db8:80ff:1200::/56"
    assert type_("check").status == 0


def test_all_that_is_wrong_with_what_was_typed_is_told_at_once(isp: Settings, type_: Type) -> None:
    typed = type_("addresses", "move", 99, "--to", "LOC-9", "--reason", " ", "--ip", "300.1.1.1")
    assert typed.status == 2
    assert [line.split(":")[0].strip() for line in typed.err.splitlines() if line.startswith("  ")] == [
        "reason",
        "ip_address",
        "service_id",
        "service_location",
    ]
    wrong: list[tuple[tuple[object, ...], list[str]]] = [
        (
            ("allocate", "--customer", 0, "--location", "LOC-9", "--plan", "gold", "--request", ""),
            ["customer_id", "request_id", "service_location", "bandwidth_plan"],
        ),
        (("reserve", "nowhere", "100.64", "--reason", ""), ["reason", "pool", "value"]),
        (("include", "nowhere", "100.64", "--reason", ""), ["reason", "pool", "span"]),
        (
            ("route", 99, "--pool", "nowhere", "--prefix", "10", "--reason", " "),
            ["reason", "prefix", "service_id", "pool"],
        ),
        (("release", 99, "--reason", ""), ["reason", "service_id"]),
        (
            (
                "nat-rule",
                "nowhere",
                "--outside",
                "::/64",
                "--ports",
                0,
                "--vrf",
                "blue",
                "--reason",
                "",
                "--algorithm",
                "at_random",
            ),
            ["pool", "vrf", "reason", "ports", "algorithm", "outside"],
        ),
        (("nat-end-rule", "nowhere", "--reason", ""), ["pool", "reason"]),
        (("import", "--from", "excel", "--reason", ""), ["from", "reason"]),
        (("show", "300.1.1.1", "--vrf", "blue"), ["address", "vrf"]),
        (("show", "300.1.1.1:7", "--service", 99, "--vrf", "blue"), ["address", "address", "service_id", "vrf"]),
        (("show", "--service", 99, "--vrf", "blue", "--at", "2026-03-02T21:14Z"), ["at", "vrf", "service_id", "vrf"]),
        (("holder", "300.1.1.1", "--port", 99999, "--vrf", "blue"), ["address", "port", "vrf"]),
        (("history", "100.64.0.1/no", "--vrf", "blue"), ["value", "vrf"]),
        (("nat-blocks", "::1", "--vrf", "blue"), ["inside", "vrf"]),
    ]
    for words, wheres in wrong:
        refused = type_("addresses", *words, "--json")
        assert (refused.status, [where for where, _ in refused.json["error"]["faults"]]) == (2, wheres)
    assert audited(type_) == []


def test_a_prefix_shrinks_when_it_is_empty_and_a_quarantine_ends_by_hand(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    more = tmp_path / "more.toml"
    more.write_text(MORE_ADDRESSES)
    assert type_("import", more).status == 0
    shrunk = type_("addresses", "shrink", "tight-v4-more", "192.0.2.8/30", "--reason", "half is enough")
    assert shrunk.out == "192.0.2.8/30 of pool tight-v4-more: all it is now\n"
    [tight] = type_("addresses", "usage", "tight-v4-more", "--json").json
    assert (tight["network"], tight["size"]) == ("192.0.2.8/30", 2)
    nothing = type_("addresses", "shrink", "tight-v4", "192.0.2.0/31", "--reason", "half is enough")
    assert (nothing.status, "can't be 192.0.2.0/31: nothing is left of" in nothing.err) == (2, True)
    used = type_("addresses", "shrink", "north-v4", "100.64.0.0/30", "--reason", "half is enough")
    assert (used.status, "can't shrink to 100.64.0.0/30" in used.err) == (2, True)
    [cooling] = [
        each
        for each in type_("addresses", "show", "100.64.0.0/22", "--json").json["within"]
        if each["state"] == "quarantine"
    ]
    lifted = type_("addresses", "lift", "north-v4", cooling["value"], "--reason", "nobody was ever online")
    assert lifted.out == f"{cooling['value']} of pool north-v4: out of quarantine\n"
    assert type_("addresses", "show", cooling["value"], "--json").json["state"] == "free"
    again = type_("addresses", "lift", "north-v4", cooling["value"], "--reason", "once more")
    assert again.out == f"{cooling['value']} of pool north-v4: out of quarantine, as before\n"


def test_a_pool_is_retired_when_nobody_has_anything_of_it(isp: Settings, type_: Type) -> None:
    refused = type_("addresses", "retire", "north-pd", "--reason", "goes back to the RIR")
    assert refused.status == 2
    assert re.search(
        r"Pool north-pd can't be retired: of it \d+ units? (is|are) in use, 2001:db8:8\S+/56 \(service 1 of",
        refused.err,
    )
    retired = type_("addresses", "retire", "tight-v4", "--reason", "goes back to the RIR")
    assert retired.out == "tight-v4: no longer in the network\n"
    assert "tight-v4" not in type_("addresses", "pools").out
    assert audited(type_) == [("addresses retire", "pool/tight-v4", "goes back to the RIR")]
    again = type_("addresses", "retire", "tight-v4", "--reason", "goes back to the RIR")
    assert (again.status, "tight-v4" in again.err) == (2, True)


def test_what_a_customer_would_get_is_said_and_a_full_pool_says_so(any_isp: Settings, type_: Type) -> None:
    asked = ("addresses", "preview", "--customer", 1005, "--location", "LOC-20005", "--plan", "fiber-300")
    would_be = {each["kind"]: each for each in type_(*asked, "--json").json}
    assert would_be["ipv4"]["pool"] == "north-v4"
    of = would_be["ipv4"]["drawn_from"]
    which = would_be["ipv4"]["value"] if of is None else f"one of {of} never used, drawn when it is taken"
    row = next(line.split() for line in type_(*asked).out.splitlines() if line.startswith("ipv4 "))
    assert row == ["ipv4", "north-v4", "fresh", *which.split()]
    named = {each["kind"]: each for each in type_(*asked, "--ip", "100.64.2.2", "--json").json}
    assert (named["ipv4"]["how"], named["ipv4"]["value"]) == ("named", "100.64.2.2")
    assert type_("addresses", "reserve", "tight-v4", "192.0.2.2", "--reason", "the last one").status == 0
    full_asked = ("addresses", "preview", "--customer", 1090, "--location", "LOC-20090", "--plan", "fiber-300")
    full = type_(*full_asked)
    assert (full.status, full.err.startswith("refused: Pool tight-v4 is full: 0 of 1 assigned")) == (2, True)
    numbers = type_(*full_asked, "--json").json["error"]
    assert {name: numbers[name] for name in ("pool", "size", "reserved", "next_available_at")} == {
        "pool": "tight-v4",
        "size": 1,
        "reserved": 1,
        "next_available_at": None,
    }
    given = ("addresses", "allocate", *asked[2:], "--request", "bss-7")
    held = type_(*given, "--json").json
    assert (type_(*given, "--json").json, held["username"]) == (held, f"c1005-s{held['service_id']}@isp.example")
    other = type_("addresses", "allocate", "--customer", 1006, *asked[4:], "--request", "bss-7")
    assert (other.status, other.err.startswith("refused: Request bss-7 already made service")) == (2, True)
    assert type_("check").status == 0
    allocations = [entry for entry in audited(type_) if entry[0] == "addresses allocate"]
    assert allocations == [("addresses allocate", f"service/{held['service_id']}", None)]
    left_out = type_("addresses", "reconcile").out.splitlines()[-1]
    assert left_out == "left out: 1 of another system's services, of which RADIUS knows nothing"
    release = ("addresses", "release", held["service_id"], "--reason", "a trial")
    assert type_("addresses", "drain", "north-v4", held["ip_address"], "--reason", "goes south").status == 0
    shown = type_("addresses", "show", held["ip_address"]).out
    assert re.search(r"  in a part of the pool that is being drained since \S+ \S+ UTC \(goes south\): nobody", shown)
    released = type_(*release).out
    assert f"  {held['ip_address']} of pool north-v4 is in a part that is being drained: nobody is given it" in released
    assert f"  {held['delegated_prefix']} of pool north-pd is free from " in released
    first, *units = released.splitlines()
    assert type_(*release).out.splitlines() == [f"{first}, as before", *units]
    cooling = [line for line in type_("addresses", "left-behind", "north-v4").out.splitlines() if "quarantine" in line]
    assert cooling[0].split()[:3] == [held["ip_address"], "quarantine", "until"]
    began = cooling[0].split()[-2:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", " ".join(began))
    state, rests, *_ = type_("addresses", "show", held["ip_address"]).out.splitlines()
    since = f"{' '.join(began).removesuffix('Z')} UTC"
    assert state.startswith(f"{held['ip_address']}: draining since {since}: goes south, pool north-v4")
    assert (rests[:18], rests[-17:]) == ("  cools off until ", " UTC all the same")
    lifted = type_("addresses", "lift", "north-v4", held["ip_address"], "--reason", "a trial").out.splitlines()
    assert lifted[0] == f"{held['ip_address']} of pool north-v4: out of quarantine"
    assert lifted[1].startswith("  what of it lies in a part that is being drained (goes south) goes to nobody until")
    assert type_("addresses", "exclude", "north-v4", held["ip_address"], "--reason", "a rogue server").status == 0
    lifted = type_("addresses", "lift", "north-v4", held["ip_address"], "--reason", "a trial").out.splitlines()
    assert lifted[0] == f"{held['ip_address']} of pool north-v4: out of quarantine, as before"
    assert lifted[2].startswith(
        "  what of it lies in an excluded part (excluded by hand (a rogue server)) goes to nobody"
    )
    assert type_("addresses", "include", "north-v4", held["ip_address"], "--reason", "gone").status == 0
    assert type_("addresses", "left-behind", "north-v4").out == "nobody has anything in it\n"
    assert type_("addresses", "lift", "north-pd", held["delegated_prefix"], "--reason", "a trial").status == 0
    assert type_("addresses", "reserve", "north-pd", held["delegated_prefix"], "--reason", "kept").status == 0
    assert type_("addresses", "undrain", "north-v4", "--reason", "stays").status == 0
    again = ("--customer", 1006, *asked[4:], "--request", "bss-8", "--ip", held["ip_address"])
    new = type_("addresses", "allocate", *again, "--json").json
    by_now = type_(*release, "--json").json
    assert (by_now["changed"], by_now["released"][0]["value"]) == (False, by_now["now"][0]["value"])
    told = type_(*release).out.splitlines()
    assert f"  {held['ip_address']} of pool north-v4 is held by service {new['service_id']} now" in told
    assert f"  {held['delegated_prefix']} of pool north-pd is reserved now" in told
    assert [entry for entry in audited(type_) if entry[0] == "addresses release"] == [
        ("addresses release", f"service/{held['service_id']}", "a trial")
    ]


def test_a_pool_that_the_bng_hands_out_is_named_as_that(isp: Settings, type_: Type, tmp_path: Path) -> None:
    estate = tmp_path / "pooled.toml"
    estate.write_text(POOLED)
    assert type_("import", estate).status == 0
    words = ("--customer", 1005, "--location", "LOC-20005", "--plan", "pooled", "--request", "bss-9")
    given = type_("addresses", "allocate", *words)
    assert given.out.splitlines()[1] == "  an address of bng-north's own pool cust-pool"
    asked = type_("addresses", "usage", "bng-own")
    assert (asked.status, "bng-own is handed out by the BNG, which knows it as cust-pool" in asked.err) == (2, True)


@pytest.mark.both_databases
def test_a_pool_of_the_bngs_is_changed_and_retired_once_its_services_are_released(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    estate, elsewhere = tmp_path / "pooled.toml", tmp_path / "elsewhere.toml"
    estate.write_text(POOLED)
    elsewhere.write_text(POOLED.replace("100.72.0.0/22", "100.73.0.0/22"))
    assert type_("import", estate).status == 0
    words = ("--customer", 1005, "--location", "LOC-20005", "--plan", "pooled", "--request", "bss-9", "--json")
    service_id = type_("addresses", "allocate", *words).json["service_id"]

    refused = type_("import", elsewhere)
    assert (refused.status, "though it serves live services" in " ".join(refused.err.split())) == (2, True)
    stays = type_("addresses", "retire", "bng-own", "--reason", "renumbered", "--json")
    assert (stays.status, stays.json["error"]["code"]) == (2, "ipam.pool_not_empty")
    assert type_("addresses", "release", service_id, "--reason", "cancelled").status == 0
    changed = type_("import", elsewhere)
    assert (changed.status, "pool changed: bng-own" in changed.out) == (0, True), changed.out
    retired = type_("addresses", "retire", "bng-own", "--reason", "renumbered")
    assert retired.out == "bng-own: no longer in the network\n"
    assert audited(type_)[0] == ("addresses retire", "pool/bng-own", "renumbered")
    again = type_("import", elsewhere)
    assert again.status == 0
    assert type_("check").status == 0


def test_a_service_is_moved_out_of_a_drain_and_not_away_from_its_olt(isp: Settings, type_: Type, address: str) -> None:
    assert type_("addresses", "drain", "north-v4", address, "--reason", "goes south").status == 0
    left = type_("addresses", "left-behind", "north-v4").out.splitlines()
    assert left[0].split() == ["value", "state", "service", "location", "drained", "since"]
    assert left[1].split()[:-2] == [address, "assigned", "1", "of", "customer", "1001", HOME]
    assert left[2:] == ["`addresses move` to where they are gets them out"]
    moved = type_("addresses", "move", DONE, "--to", HOME, "--reason", "out of the drain")
    assert "of subscriber 1, readdress: pending" in moved.out
    after = type_("subscribers", "show", USERNAME, "--json").json
    assert (after["projected"], after["ipv4"] != address) == (True, True)
    assert after["ipv4"] in moved.out
    away = type_("addresses", "move", DONE, "--to", "LOC-20090", "--reason", "moves house", "--json")
    assert (away.status, away.json["error"]["code"]) == (2, "addresses.line_on_olt")
    assert type_("subscribers", "project", USERNAME).status == 0
    assert type_("check").status == 0
    assert audited(type_)[0] == ("addresses move", "service/1", "out of the drain")
    used = type_("addresses", "release", DONE, "--reason", "cleaning up", "--json")
    assert used.json["error"]["code"] == "addresses.service_served"


def test_what_gets_a_service_out_of_a_drain_is_said_by_what_it_has_there(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    estate = tmp_path / "routed.toml"
    estate.write_text(ROUTED)
    assert type_("import", estate).status == 0
    words = ("--customer", 1005, "--location", "LOC-20005", "--plan", "fiber-300", "--request", "bss-9")
    service = type_("addresses", "allocate", *words, "--json").json["service_id"]
    route = ("addresses", "route", service, "--pool", "nets", "--reason", "a larger office")
    assert type_(*route).status == 0
    [first] = type_("addresses", "show", "--service", service, "--json").json["framed_routes"]
    prefix = first.split()[0]
    for pool, span in (("nets", (prefix,)), ("aggregation-north/101", ())):
        assert type_("addresses", "drain", pool, *span, "--reason", "goes south").status == 0

    left = type_("addresses", "left-behind", "nets").out.splitlines()
    assert left[1].split()[:4] == [prefix, "assigned", str(service), "of"]
    assert left[2:] == ["`addresses route` gives them others, then `addresses withdraw` takes these"]
    vlans = " ".join(type_("addresses", "left-behind", "aggregation-north/101").out.split())
    assert vlans.endswith(
        "with --cvlan where the number is computed; where all of an S-VLAN is drained, bind another one"
        " in its place first"
    )
    assert type_(*route).status == 0
    assert type_("addresses", "withdraw", service, "--prefix", prefix, "--reason", "goes south").status == 0
    cooling = type_("addresses", "left-behind", "nets").out.splitlines()
    assert [line.split()[:2] for line in cooling[1:]] == [[prefix, "quarantine"]]
    assert type_("check").status == 0


def test_who_was_behind_a_port_is_said_by_rule_and_by_log(any_isp: Settings, type_: Type, tmp_path: Path) -> None:
    rule = ("addresses", "nat-rule", "north-v4", "--outside", "203.0.113.0/27", "--ports", 2016)
    assert type_(*rule, "--reason", "det44").out == "pool north-v4: 2016 ports each of 203.0.113.0/27\n"
    assert type_(*rule, "--reason", "det44").out.endswith(", as before\n")
    ahead = type_(*rule, "--since", "2999-01-01T00:00Z", "--reason", "det44")
    assert (ahead.status, "still to come" in ahead.err) == (2, True)
    assert type_(*rule, "--since", "2026-01-01T00:00Z", "--reason", "taken over").out.endswith("203.0.113.0/27\n")
    assert type_("addresses", "nat-rules", "--json").json[0]["since"].startswith("2026-01-01T00:00:00")
    address = type_("addresses", "show", "--service", DONE, "--json").json["ip_address"]
    [block] = type_("addresses", "nat-blocks", address, "--json").json
    outside = f"{block['outside']}:{block['first_port'] + 7}"
    said = type_("addresses", "show", outside).out.splitlines()
    assert said[0].startswith(f"{outside}: {address}, service 1 of customer 1001")
    assert type_("addresses", "show", address).out.splitlines()[2].startswith(f"  outside {block['outside']} ports")
    assert [each["outside"] for each in type_("addresses", "nat-rules", "--json").json] == ["203.0.113.0/27"]
    ended = ("addresses", "nat-end-rule", "north-v4", "--reason", "another box")
    assert [type_(*ended).out for _ in range(2)] == [
        "pool north-v4: its rule has ended\n",
        "pool north-v4: its rule has ended, as before\n",
    ]
    not_known = type_("addresses", "show", outside)
    told = f"not known: no rule and no log tells whose the ports of {block['outside']} are\n"
    assert (not_known.status, not_known.out) == (1, f"{outside}: {told}")

    log = tmp_path / "cgn.csv"
    log.write_text(
        "outside,first_port,last_port,inside,began_at,ended_at\n"
        f"198.51.100.7,1024,2047,{address},2026-03-02T20:00:00Z,2026-03-02T22:00:00Z\n"
    )
    assert type_("addresses", "nat-import-blocks", log, "--source", "cgn-1").out == "1 blocks, 1 of them new\n"
    assert type_("addresses", "nat-import-blocks", log, "--source", "cgn-1", "--json").json["new"] == 0
    then = type_("addresses", "holder", "198.51.100.7", "--port", 2000, "--at", "2026-03-02T21:14Z", "--json").json
    assert (then["behind"]["block"]["inside"], then["behind"]["holder"]) == (address, None)  # not its holder yet
    for verb in ("holder", "show"):
        portless = type_("addresses", verb, "198.51.100.7", "--at", "2026-03-02T21:14Z")
        assert (portless.status, portless.out) == (
            1,
            "198.51.100.7: not known without its port: it is a CGNAT's outside address, say --port\n",
        )
    before_all = type_("addresses", "holder", "198.51.100.7", "--at", "2026-03-02T19:14Z")
    assert (before_all.status, before_all.out) == (0, "198.51.100.7: nobody\n")
    assert type_("addresses", "show", "198.51.100.7").out.splitlines() == [
        "198.51.100.7: of no pool here",
        "  the log of a CGNAT has it outside: with :PORT after it, who is behind that port (or was, --at TIME)",
    ]
    assert [entry[:2] for entry in audited(type_)] == [
        ("addresses nat-import-blocks", "nat_log/cgn-1"),
        ("addresses nat-end-rule", "pool/north-v4"),
        ("addresses nat-rule", "pool/north-v4"),
        ("addresses nat-rule", "pool/north-v4"),
    ]


def test_times_are_taken_as_they_are_printed(isp: Settings, type_: Type) -> None:
    rule = ("addresses", "nat-rule", "north-v4", "--outside", "203.0.113.0/27", "--reason", "det44")
    assert type_(*rule, "--ports", 2016).status == 0
    since = type_("addresses", "nat-rules", "--json").json[0]["since"]
    assert "." in since
    assert type_(*rule, "--ports", 1008, "--since", since).status == 0
    assert [each["since"] for each in type_("addresses", "nat-rules", "--json").json] == [since]
    of_port = ("addresses", "holder", "203.0.113.1", "--port", 80)
    asked = type_(*of_port, "--at", "2026-03-02T20:59:59.999Z")
    assert (asked.status, asked.out) == (
        1,
        "203.0.113.1:80: not known: no rule and no log tells whose the ports of 203.0.113.1 were at"
        f" 2026-03-02T20:59:59.999000Z; the first that does begins {since}\n",
    )
    as_json = type_(*of_port, "--at", "2026-03-02T20:59:59.999Z", "--json")
    told = {"holder": None, "behind": None, "known": False, "known_from": since, "known_elsewhere": None}
    assert (as_json.status, as_json.json) == (1, told)
    under_the_rule = type_(*of_port, "--at", since)
    assert (under_the_rule.status, under_the_rule.out) == (0, "203.0.113.1:80: nobody\n")
    bare = type_("addresses", "holder", "203.0.113.1", "--port", 80, "--at", "1772485200")
    assert (bare.status, "is no moment with its zone" in bare.err) == (2, True)


def test_all_that_is_wrong_with_a_log_is_told_at_once(any_isp: Settings, type_: Type, tmp_path: Path) -> None:
    log = tmp_path / "cgn.csv"
    lines = [
        "198.51.100.7;4000;4999;100.64.0.9;2026-03-02T20:00:00Z;",
        "198.51.100.7;4500;4600;100.64.0.8;2026-03-02T21:00:00Z;",
        "198.51.100.8;0;1;100.64.0.8;2026-03-02T21:00:00Z;2099-01-01T00:00:00Z",
        "198.51.100.9;1024;x;100.64.0.8;2026-03-02T21:00:00Z;",
        "198.51.100.9;x;70000;100.64.0.999;yesterday;",
        "198.51.100.9;x;2047;8.8.8.8;2026-03-02T21:00:00Z;",
    ]
    log.write_text("Outside;First_Port;Last_Port;Inside;Began_At;Ended_At\n" + "\n".join(lines))
    asked = ("addresses", "nat-import-blocks", log, "--source", "cgn-1")
    assert type_(*asked, "--json").json["error"]["faults"] == [
        ["line 3", "198.51.100.7:4500-4600 was 100.64.0.9's from 2026-03-02T20:00:00Z on (line 2)"],
        ["line 4: first_port", "ports 0 to 1 don't lie in 1..65535"],
        ["line 4: ended_at", "it ends at 2099-01-01T00:00:00Z, which is still to come"],
        ["line 5: last_port", "x is not a whole number"],
        ["line 6: first_port", "x is not a whole number"],
        ["line 6: began_at", f"yesterday {NO_MOMENT}"],
        ["line 6: inside", "'100.64.0.999' is not an IPv4 or IPv6 address"],
        ["line 6: last_port", "port 70000 doesn't lie in 1..65535"],
        ["line 7: first_port", "x is not a whole number"],
        ["line 7: inside", "8.8.8.8 was in no pool of VRF default then"],
    ]
    assert type_(*asked).err.splitlines()[0] == "The log cgn.csv is refused, nothing was written:"
    nobodys = "198.51.100.7;5000;5999;100.64.0.9;2026-03-02T20:00:00Z;2026-03-02T20:00:00Z"
    log.write_text("\n".join([*log.read_text().splitlines()[:2], nobodys]))
    assert type_(*asked).out.splitlines() == [
        "2 blocks, 1 of them new",
        "1 of them ended when they began, were nobody's at any time, and are passed over",
    ]


def test_a_log_is_told_where_it_contradicts_a_rule_and_refused_by_its_lines(
    any_isp: Settings, type_: Type, tmp_path: Path
) -> None:
    rule = ("addresses", "nat-rule", "north-v4", "--outside", "203.0.113.0/27", "--ports", 2016, "--reason", "det44")
    assert type_(*rule, "--since", "2026-01-01T00:00Z").status == 0
    heading = "outside,first_port,last_port,inside,began_at,ended_at,vrf\n"
    log = tmp_path / "cgn.csv"
    log.write_text(
        heading + "".join(f"203.0.113.1,1024,2047,100.64.0.20,2026-03-0{day}T20:00Z,,\n" for day in range(1, 8))
    )

    read = ("addresses", "nat-import-blocks", log, "--source")
    said = type_(*read, "cgn-1").out.splitlines()

    told = "  203.0.113.1 ports 1024 to 2047 of 100.64.0.20 since {}, of 100.64.0.32 by the rule of pool north-v4"
    assert said[:2] == [
        "7 blocks, 7 of them new; 6 without an end ended by the next of their ports",
        "7 of them contradict a rule that held then, by which the box did not map them:",
    ]
    assert said[2:] == [*(told.format(f"2026-03-0{day} 20:00 UTC") for day in range(1, 6)), "  and 2 more"]
    again = type_(*read, "cgn-1", "--json").json
    assert (again["new"], again["contradicts_rule"], again["first_contradicting"][0]["by_rule"]) == (
        0,
        7,
        "100.64.0.32",
    )
    checked = type_("check")
    assert (checked.status, "Port blocks of pool north-v4 are not what log cgn-1 says" in checked.out) == (1, True)
    log.write_text(f"{heading}203.0.113.1,1024,2047,100.64.0.20,2026-03-07T20:00Z,2026-03-07T21:00Z,\n")
    assert type_(*read, "cgn-1").status == 0
    assert type_("check").status == 0

    log.write_text(
        f"{heading}198.51.100.7,1024,2047,8.8.8.8,2026-03-02T20:00Z,,\n198.51.100.7,0,9,::,2026-03-02T20:00Z,,\n"
    )
    faults = type_(*read, " ").err
    assert [line for line in faults.splitlines() if line.startswith("  ")] == [
        "  source: is blank: say which box or log it is",
        "  line 2: inside: 8.8.8.8 was in no pool of VRF default then",
        "  line 3: inside: :: is not IPv4",
        "  line 3: first_port: ports 0 to 9 don't lie in 1..65535",
    ]
    log.write_text(f"{heading}198.51.100.7,1024,2047,8.8.8.8,2026-03-02T20:00Z,,\n")
    faults = type_(*read, " ").err
    assert [line for line in faults.splitlines() if line.startswith("  ")] == [
        "  source: is blank: say which box or log it is",
        "  line 2: inside: 8.8.8.8 was in no pool of VRF default then",
    ]


def test_lines_on_dhcp_are_written_as_kea_wants_them(isp: Settings, type_: Type) -> None:
    with vandal(isp.database_url) as hand:
        hand.execute(
            "UPDATE ipam_address_plan SET addressing = 'dhcp' WHERE name = 'fiber-300'",
            f"UPDATE ipam_location SET circuit_id = 'olt-3/1' WHERE name = '{HOME}'",
        )
    written = type_("addresses", "kea")
    [subnet] = json.loads(written.out)["Dhcp4"]["subnet4"]
    assert subnet["subnet"] == "100.64.0.0/22"
    assert [host["circuit-id"] for host in subnet["reservations"]] == [b"olt-3/1".hex(":")]
    assert written.err.count("left out: service") == 2
    for daemon in ("dhcp4", "dhcp6"):  # each of Kea's daemons refuses a file with the other's part
        alone = type_("addresses", "kea", "--for", daemon)
        assert json.loads(alone.out) == {daemon.capitalize(): json.loads(written.out)[daemon.capitalize()]}
    both = type_("addresses", "kea", "--json").json
    alone = type_("addresses", "kea", "--for", "dhcp6", "--json")
    assert alone.json == {part: both[part] for part in ("dhcp6", "left_out")} and len(both["left_out"]) == 2
    assert "dhcp is none of dhcp4, dhcp6" in type_("addresses", "kea", "--for", "dhcp").err


@pytest.mark.both_databases
def test_a_pool_that_refuses_is_told_as_full_at_once_and_the_audit_keeps_no_change(
    any_isp: Settings, type_: Type
) -> None:
    asked = ("addresses", "allocate", "--location", "LOC-20090", "--plan", "fiber-300", "--json")
    assert type_(*asked, "--customer", 1090, "--request", "line-1").status == 0
    for request in ("line-2", "line-3"):
        refused = type_(*asked, "--customer", 1091, "--request", request)
        assert (refused.status, refused.err, refused.json["error"]["code"]) == (2, "", "ipam.pool_exhausted")
    told = [each for each in type_("events", "list", "--json").json if each["type"].startswith("pool.")]
    assert [(each["type"], each["published_by"], each["data"]["pool"]) for each in told] == [
        ("pool.exhausted", "clock", "tight-v4")
    ]
    assert [action for action, *_ in audited(type_)] == ["addresses allocate"]
    rehome = ("addresses", "rehome", "OLT-3", "--bng", "bng-tight", "--reason", "north is full", "--json")
    [full] = type_(*rehome).json["error"]["exhausted"]
    assert (full["pool"], full["assigned"], full["wanted"], full["next_available_at"]) == ("tight-v4", 1, 3, None)
