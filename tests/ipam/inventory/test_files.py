"""Files of allocations in each of their shapes: what every line says, and what is wrong with it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ipam import ImportFile, ImportMapping, ImportSource, RequestInvalid, read_import, read_mapping, reply_file

NETBOX_ADDRESSES = """\
ID,IP Address,VRF,Status,Role,Tenant,Assigned,DNS Name,Description
7,100.64.0.5/28,Global,Active,,ACME,False,ada.example.net,Ada Byron
8,100.64.0.6/28,Business (65000:7),Reserved,,,False,,"the museum,
north wing"
9,2001:db8:1000:2::1/64,Global,Active,—,—,False,host.example.net,—
10,100.64.0.7/33,Global,Active,,,False,,
"""
NETBOX_PREFIXES = """\
prefix,vrf,tenant,site,vlan_group,vlan,status,role,is_pool,mark_utilized,description
100.64.0.0/28,,,,,,container,,False,False,all of it
•• 2001:db8:2000:500::/56,,,,,,active,,False,False,Bob Hill
2001:db8:2000:600::1/56,,,,,,active,,False,False,
"""
PHPIPAM = """\
Section,IP Address,Hostname,Description,VRF,Subnet,MAC,Owner,Device,Note,Tag,Gateway
Customers,100.64.0.5,ada,Ada Byron,default,100.64.0.0/28,,,,,Used,No
Customers,100.64.0.6,,,default,100.64.0.0/28,,NOC,,kept,Reserved,No
Customers,,,,default,100.64.0.0/28,,,,,,No
"""
PHPIPAM_SUBNET = """\
CGNAT of the north;;
100.64.0.0/28;;
;;
ip address;ip state;description
100.64.0.5;Used;Ada, Byron
"""
RADREPLY = """\
id\tusername\tattribute\top\tvalue
1\tada@isp\tFramed-IP-Address\t:=\t100.64.0.5
2\tada@isp\tFramed-IP-Netmask\t:=\t255.255.255.255
3\tada@isp\tdelegated-ipv6-prefix\t=\t2001:DB8:2000:500::/56
4\tbob@isp\tFramed-IP-Address\t==\t100.64.0.6
5\tcarl@isp\tFramed-IP-Address\t:=\t255.255.255.254
6\tdora@isp\tFramed-Route\t+=\t198.51.100.8/29 0.0.0.0 1
"""


def read(text: str, source: ImportSource, mapping: str | None = None) -> ImportFile:
    known = read_mapping(mapping.splitlines(keepends=True)) if mapping else ImportMapping()
    return read_import(text.splitlines(keepends=True), source, known)


def said(file: ImportFile, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(line, name) for name in names) for line in file.lines]


def test_a_line_of_ours_says_whose_it_is_since_when_and_until_when() -> None:
    file = read(
        "value,pool,customer_id,location,plan,username,state,since,available_at,note\n"
        "100.64.0.5,cgnat,5,LOC-1,fiber-100,ada@isp,,2029-12-01T10:00:00+01:00,,\n"
        "100.64.0.6,,6,LOC-1,fiber-100,,quarantine,,2030-02-01T00:00:00Z,\n"
        "\n"
        "200,metro/210,,,,,,,,for  the museum\n"
        "2001:DB8::/56,,,,,,,,,\n",
        "csv",
    )
    assert said(file, "number", "value", "state", "note", "faults") == [
        (2, "100.64.0.5", "assigned", "", ()),
        (3, "100.64.0.6", "quarantine", "", ()),
        (5, "200", "reserved", "for the museum", ()),
        (6, "2001:db8::/56", "reserved", "imported from CSV", ()),
    ]
    ada, cooling, vlan, _ = file.lines
    assert (ada.customer_id, ada.username, ada.location, ada.plan) == (5, "ada@isp", "LOC-1", "fiber-100")
    assert ada.since == datetime(2029, 12, 1, 9, tzinfo=UTC)
    assert cooling.available_at == datetime(2030, 2, 1, tzinfo=UTC)
    assert (vlan.vid, vlan.network, vlan.pool) == (200, None, "metro/210")


def test_all_that_is_wrong_with_a_line_of_ours_is_said_at_once() -> None:
    columns = "value,state,customer_id,username,location,plan,since,available_at,cvlan,note"
    wrong = {
        "100.64.0.5,reserved,,,,,0001-01-01T00:00:00+14:00,,,": [
            "since: '0001-01-01T00:00:00+14:00' is no time such as 2030-01-31T12:00:00Z",
        ],
        "100.64.0.5/28,lost,x,a b,,,yesterday,2030-01-01,1,": [
            "'100.64.0.5/28' has host bits set; do you mean 100.64.0.0/28?",
            "customer_id: 'x' is no positive whole number",
            "username: FreeRADIUS never looks up a name like 'a b'",
            "cvlan: '1' is no VLAN number 2..4094 (IEEE 802.1Q)",
            "since: 'yesterday' is no time such as 2030-01-31T12:00:00Z",
            "available_at: 2030-01-01 has no time zone; write 2030-01-01T00:00:00Z if it is UTC",
            "state: 'lost' is none of assigned, reserved, quarantine",
            "whose it is takes customer_id, location, plan: location, plan is missing",
        ],
        "100.64.0.5,assigned,-5,,LOC-1,fiber-100,,,,": ["customer_id: '-5' is no positive whole number"],
        "100.64.0,assigned,5,,,,,,,": [
            "'100.64.0' is not an IPv4 or IPv6 address",
            "what is assigned is somebody's: location, plan is missing",
        ],
        "100.64.0.5,,5,,LOC-1,,,2030-01-01T00:00Z,,": [
            "whose it is takes customer_id, location, plan: plan is missing",
            "available_at and sticky_until are for what is in quarantine",
        ],
        "4095,quarantine,5,,LOC-1,p,,,,": [
            "4095 is no VLAN number 2..4094 (IEEE 802.1Q)",
            "available_at is missing: when its quarantine is over",
        ],
        "100.64.0.5,reserved,,ada,,,,,," + "x" * 501: [
            "what is reserved is nobody's: leave its owner out, or its state",
            "note: takes at most 500 characters that can be seen",
        ],
        "100.64.0.5,,,": ["has 4 cells, and there are 10 columns"],
        ",reserved,,,,,,,,": ["value is missing"],
    }
    file = read("\n".join([columns, *wrong]) + "\n", "csv")
    assert [list(line.faults) for line in file.lines] == list(wrong.values())


def test_a_c_vlan_that_is_no_number_is_said_to_be_none() -> None:
    file = read("value,kind\nabc,cvlan\nabc,\n", "csv")
    assert [list(line.faults) for line in file.lines] == [
        ["'abc' is no VLAN number 2..4094 (IEEE 802.1Q)"],
        ["'abc' is not an IPv4 or IPv6 address"],
    ]


def test_netbox_s_tables_are_read_with_their_masks_and_their_global_vrf() -> None:
    addresses = read(NETBOX_ADDRESSES, "netbox")
    assert said(addresses, "vrf", "vrf_else") == [
        ("Global", ("default",)),
        ("Business (65000:7)", ("Business",)),
        ("Global", ("default",)),
        ("Global", ("default",)),
    ]
    assert said(addresses, "number", "value", "state", "note", "faults") == [
        (2, "100.64.0.5", "reserved", "imported from NetBox: Ada Byron", ()),
        (3, "100.64.0.6", "reserved", "imported from NetBox: the museum, north wing (Reserved)", ()),
        (5, "2001:db8:1000:2::1", "reserved", "imported from NetBox: host.example.net", ()),
        (
            6,
            "100.64.0.7",
            "reserved",
            "imported from NetBox",
            ("'100.64.0.7/33' has no prefix length of IPv4 behind its slash",),
        ),
    ]
    prefixes = read(NETBOX_PREFIXES, "netbox")
    assert said(prefixes, "value", "vrf", "skipped", "faults")[:2] == [
        ("100.64.0.0/28", "", "it is a container of prefixes", ()),
        ("2001:db8:2000:500::/56", "default", "", ()),
    ]
    assert prefixes.lines[2].faults[0].startswith("'2001:db8:2000:600::1/56' has host bits set")


def test_phpipam_s_sheets_are_read_with_titles_above_their_columns() -> None:
    assert said(read(PHPIPAM, "phpipam"), "value", "vrf", "note", "faults") == [
        ("100.64.0.5", "default", "imported from phpIPAM: Ada Byron", ()),
        ("100.64.0.6", "default", "imported from phpIPAM: NOC (Reserved)", ()),
        ("None", "default", "imported from phpIPAM", ("the address is missing",)),
    ]
    subnet = read(PHPIPAM_SUBNET, "phpipam")
    assert said(subnet, "number", "value", "note") == [(5, "100.64.0.5", "imported from phpIPAM: Ada, Byron")]
    assert [*subnet.with_errors({5: ["one", "two"]})] == [
        ["CGNAT of the north", "", ""],
        ["100.64.0.0/28", "", ""],
        ["ip address", "ip state", "description", "errors"],
        ["100.64.0.5", "Used", "Ada, Byron", "one; two"],
    ]


def test_custom_fields_have_their_names_with_or_without_what_their_system_puts_before_them() -> None:
    phpipam = "IP Address,Tag,custom_Customer_ID,custom_location,custom_plan\n100.64.0.5,Used,5,LOC-1,fiber-100\n"
    netbox = "IP Address,Customer ID,cf_location,Plan\n100.64.0.5/24,5,LOC-1,fiber-100\n"
    for file in (read(phpipam, "phpipam"), read(netbox, "netbox")):
        assert said(file, "customer_id", "location", "plan", "state") == [(5, "LOC-1", "fiber-100", "assigned")]


def test_where_phpipam_s_equipment_stands_is_not_where_its_owner_lives() -> None:
    beside = "IP Address,location,custom_customer_id,custom_location,custom_plan\n100.64.0.5,Rack 5,5,LOC-1,fiber-100\n"
    assert said(read(beside, "phpipam"), "customer_id", "location", "plan") == [(5, "LOC-1", "fiber-100")]
    mapping = "address,customer_id,location,plan\n100.64.0.5,5,LOC-1,fiber-100\n100.64.0.7,7,,fiber-100\n"
    by_itself = "IP Address,Location\n100.64.0.5,LOC-3\n100.64.0.6,LOC-3\n100.64.0.7,LOC-3\n"
    assert said(read(by_itself, "phpipam", mapping), "location", "state", "faults") == [
        ("LOC-1", "assigned", ()),
        ("", "reserved", ()),
        ("", "reserved", ("whose it is takes customer_id, location, plan: location is missing",)),
    ]
    whole = "IP Address,location,custom_customer_id,custom_plan\n100.64.0.5,LOC-3,5,fiber-100\n"
    assert said(read(whole, "phpipam"), "location", "state") == [("LOC-3", "assigned")]
    wrong = said(read(whole.replace(",5,", ",x,"), "phpipam"), "faults")
    assert wrong == [(("customer_id: 'x' is no positive whole number",),)]


@pytest.mark.parametrize("names", ["location,Location", "custom_location,custom_Location,location"])
def test_phpipam_has_one_column_of_each_sort_that_is_called_location(names: str) -> None:
    with pytest.raises(RequestInvalid, match="has two columns called location"):
        read(f"IP Address,{names}\n", "phpipam")


def test_an_empty_cell_is_netbox_s_global_table_unless_a_mapping_says_more() -> None:
    file = "IP Address,VRF\n100.64.0.5/28,\n100.64.0.6/28,—\n100.64.0.7/28,&mdash;\n100.64.0.8/28,\n"
    assert said(read(file, "netbox", "address,vrf\n100.64.0.8,blue\n"), "vrf") == [
        ("default",),
        ("default",),
        ("default",),
        ("blue",),
    ]
    assert said(read("IP Address\n100.64.0.5/28\n", "netbox"), "vrf", "vrf_else") == [("", ())]


def test_prefixes_of_netbox_stand_behind_bullets_and_ends_of_lines() -> None:
    nested = (
        'Prefix,Status\n"•\n        \n            •\n    \n\n100.64.0.0/29",Active\n"·\t\u00a0100.64.0.8/29\n",Active\n'
    )
    assert said(read(nested, "netbox"), "value", "faults") == [("100.64.0.0/29", ()), ("100.64.0.8/29", ())]


def test_what_netbox_renders_as_html_is_read_as_it_is_called() -> None:
    file = "IP Address,VRF,Tenant,Description\n100.64.0.5/28,R&amp;D (65000:1),Smith &#x27;n&#x27; Co,\n"
    file += "100.64.0.6/28,Global,,&amp; is an entity\n"
    assert said(read(file, "netbox"), "vrf", "vrf_else", "note") == [
        ("R&D (65000:1)", ("R&D",), "imported from NetBox: Smith 'n' Co"),
        ("Global", ("default",), "imported from NetBox: &amp; is an entity"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Prefix,VRF,Status,Beschreibung\n", "has the column beschreibung, which is description in English"),
        ("Prefix,Stav,Popis\n", "has the columns stav, popis, which are status, description in English"),
        ("IP-Adresse,VRF,Status\n", "has no line with the names of its columns, among them ip_address"),
    ],
)
def test_netbox_s_lists_in_another_language_are_refused_with_what_to_do(text: str, words: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        read(text, "netbox")
    assert words in str(refused.value)
    assert "export it in English (in NetBox the language stands in the user's preferences)" in str(refused.value)


def test_phpipam_s_lists_in_another_language_are_refused_with_what_to_do() -> None:
    with pytest.raises(RequestInvalid, match=r"if they are in another language, export it in English \(in phpIPAM"):
        read("IP-Adresse,Beschreibung\n", "phpipam")


def test_statuses_that_are_none_of_netbox_s_are_refused_by_their_line() -> None:
    words = ("Active", "reserved", "Deprecated", "DHCP", "SLAAC", "Container", "Available", "", "quarantined", "Aktiv")
    file = read("Prefix,Status\n" + "".join(f"100.64.0.{n}/32,{each}\n" for n, each in enumerate(words)), "netbox")
    assert [line.skipped for line in file.lines if line.skipped] == [
        "it is a container of prefixes",
        "it is available in NetBox",
    ]
    assert [line.faults for line in file.lines if line.faults] == [
        (
            "status: 'Aktiv' is none of NetBox's own (active, container, deprecated, dhcp, reserved, slaac): export it"
            " in English (in NetBox the language stands in the user's preferences), and write a status that only your"
            " NetBox has as its imports take it, in small letters",
        )
    ]


def test_further_columns_and_custom_fields_of_netbox_are_passed_over_whatever_they_are_called() -> None:
    names = "Prefix,Prefix (Flat),Depth,Children,Status,VRF,Utilization,Site,Comments,Last updated,Kundennummer"
    both = f"{names},Beschreibung,Description\n100.64.0.0/29,100.64.0.0/29,0,0,Active,,0%,,,,7,eins,one\n"
    assert said(read(both, "netbox"), "value", "note") == [("100.64.0.0/29", "imported from NetBox: one")]


def test_rows_of_radreply_give_addresses_and_all_others_are_left_out() -> None:
    file = read(RADREPLY, "radreply")
    assert said(file, "value", "kind", "skipped", "faults") == [
        ("100.64.0.5", "ipv4", "", ()),
        ("None", "", "Framed-IP-Netmask gives no address", ()),
        ("2001:db8:2000:500::/56", "ipv6_pd", "", ()),
        ("100.64.0.6", "ipv4", "", ("op: '==' gives nothing; FreeRADIUS replies with =, :=, +=",)),
        ("None", "", "255.255.255.254 leaves the address to the NAS (RFC 2865 s5.8)", ()),
        ("198.51.100.8/29", "ipv4_routed", "", ()),
    ]
    assert file.lines[0].note == "imported from radreply: ada@isp"
    rows: list[Sequence[str]] = [("ada@isp", "Framed-IP-Address", ":=", "100.64.0.5")]
    live = reply_file(rows)
    assert live.lines == [replace(file.lines[0], place="ada@isp's Framed-IP-Address")]
    assert (file.places[2], live.places) == ("line 2", {2: "ada@isp's Framed-IP-Address"})


def test_what_radreply_gives_twice_it_gives_once() -> None:
    rows = [
        ("ada@isp", "Delegated-IPv6-Prefix", ":=", "2001:db8:2000:500::/56"),
        ("ada@isp", "delegated-ipv6-prefix", "=", "2001:DB8:2000:500::/56"),
        ("bob@isp", "Delegated-IPv6-Prefix", ":=", "2001:db8:2000:500::/56"),
        ("ada@isp", "Framed-IP-Address", ":=", "100.64.0.300"),
        ("ada@isp", "Framed-IP-Address", "=", "100.64.0.300"),
    ]
    text = "\n".join(["username,attribute,op,value", *map(",".join, rows)])
    for file in (reply_file(rows), read(text, "radreply")):
        assert said(file, "skipped", "faults") == [
            ("", ()),
            ("line 2 gives it already", ()),
            ("", ()),
            ("", ("'100.64.0.300' is not an IPv4 or IPv6 address",)),
            ("", ("'100.64.0.300' is not an IPv4 or IPv6 address",)),
        ]
    given = "ada,Framed-IP-Address,:=,100.64.0.5"
    contradictory = f"username,attribute,op,value,customer_id\n{given},5\n{given},6\n"
    assert said(read(contradictory, "radreply"), "skipped") == [("",), ("",)]


def test_an_address_in_a_mapping_may_have_the_mask_of_its_link() -> None:
    mapping = "address,customer_id,location,plan\n100.64.0.5/28,5,LOC-1,fiber-100\n"
    assert said(read(NETBOX_ADDRESSES, "netbox", mapping), "customer_id", "state")[:2] == [
        (5, "assigned"),
        (None, "reserved"),
    ]
    for wrong, why in (("100.64.0.5/33", "no prefix length of IPv4"), ("2001:db8::1/129", "no prefix length of IPv6")):
        with pytest.raises(RequestInvalid, match=f"line 2: '{wrong}' has {why} behind its slash"):
            read_mapping(["address,customer_id\n", f"{wrong},5\n"])


def test_a_mapping_says_whose_the_addresses_of_other_systems_are() -> None:
    mapping = (
        "username,address,customer_id,location,plan,cvlan\n"
        "ada@isp,,5,LOC-1,fiber-100,\n"
        "bob@isp,100.64.0.6,6,LOC-2,fiber-100,300\n"
    )
    by_name = read(RADREPLY, "radreply", mapping)
    assert said(by_name, "username", "customer_id", "state")[:3] == [
        ("ada@isp", 5, "assigned"),
        ("", None, ""),
        ("ada@isp", 5, "assigned"),
    ]
    assert said(by_name, "username", "customer_id", "location", "cvlan", "state")[3:] == [
        ("bob@isp", 6, "LOC-2", 300, "assigned"),
        ("", None, "", None, ""),
        ("dora@isp", None, "", None, "reserved"),
    ]
    by_address = read(NETBOX_ADDRESSES, "netbox", mapping)
    assert said(by_address, "username", "state", "cvlan")[:2] == [("", "reserved", None), ("bob@isp", "assigned", 300)]


def test_a_mapping_says_what_a_line_of_ours_leaves_out() -> None:
    mapping = (
        "username,address,customer_id,location,plan,cvlan\n"
        "ada@isp,,5,LOC-1,fiber-100,\n"
        "bob@isp,2001:db8::/56,6,LOC-2,fiber-100,300\n"
    )
    lines = {
        "100.64.0.5,ada@isp,,,": ("ada@isp", 5, "LOC-1", None, "assigned", ()),
        "100.64.0.6,ada@isp,LOC-3,,": ("ada@isp", 5, "LOC-3", None, "assigned", ()),
        "2001:DB8::/56,,,,": ("bob@isp", 6, "LOC-2", 300, "assigned", ()),
        "300,,,metro/210,": ("", None, "", None, "reserved", ()),
        "100.64.0.300,ada@isp,,,": (
            "ada@isp",
            5,
            "LOC-1",
            None,
            "assigned",
            ("'100.64.0.300' is not an IPv4 or IPv6 address",),
        ),
        "2001:db8::/56,,,,reserved": ("", None, "", None, "reserved", ()),
    }
    file = read("\n".join(["value,username,location,pool,state", *lines]) + "\n", "csv", mapping)
    assert said(file, "username", "customer_id", "location", "cvlan", "state", "faults") == [*lines.values()]


@pytest.mark.parametrize(
    ("text", "source", "words"),
    [
        ("", "csv", "has no line with the names of its columns, among them value"),
        ("value,custommer\n1,2\n", "csv", "has unknown columns: custommer; it takes vrf, pool,"),
        ("value,note,\n", "csv", "has unknown columns: number 3, without a name; it takes vrf, pool,"),
        ("prefix,prefix\n", "netbox", "has two columns called prefix"),
        ("username,attribute,value\n", "radreply", "among them username and attribute and op and value"),
        ('value\n100.64.0.5\n"100.64.0.6\n', "csv", "is no CSV: unexpected end of data in line 3"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str, source: ImportSource, words: str) -> None:
    with pytest.raises(RequestInvalid, match=words):
        read(text, source)


def test_a_mapping_with_faults_is_refused_with_all_of_them() -> None:
    mapping = "username,address,customer_id\nada,,x\nada,,5\n,100.64,6\n,,7\n"
    with pytest.raises(RequestInvalid) as refused:
        read_mapping(mapping.splitlines(keepends=True))
    assert str(refused.value) == (
        "mapping has 4 fault(s): line 2: customer_id: 'x' is no positive whole number; line 3: ada stands in two lines;"
        " line 4: '100.64' is not an IPv4 or IPv6 address; line 5: names neither a username nor an address."
    )


def test_a_mapping_has_one_column_of_a_name_and_a_cell_for_each() -> None:
    for mapping, words in (
        ("username,plan,cvlan,plan\nada,a,,b\n", "has two columns called plan"),
        (
            "username,customer_id,cvlan\nada,5,105,oops\nbob\neve,7,\n",
            "has 2 fault(s): line 2: has 4 cells, and there are 3 columns;"
            " line 3: has 1 cells, and there are 3 columns",
        ),
    ):
        with pytest.raises(RequestInvalid) as refused:
            read_mapping(mapping.splitlines(keepends=True))
        assert str(refused.value) == f"mapping {words}."


def test_a_line_that_breaks_off_has_its_fault_again_in_the_file_of_errors() -> None:
    text, fault = "value,pool,note\n100.64.0.5,cgnat\n", "has 2 cells, and there are 3 columns"
    for _ in range(3):
        file = read(text, "csv")
        assert file.lines[0].faults == (fault,)
        [header, row] = file.with_errors({2: file.lines[0].faults})
        assert (header, row) == (["value", "pool", "note", "errors"], ["100.64.0.5", "cgnat", fault])
        text = "\n".join((",".join(header), f'100.64.0.5,cgnat,"{fault}"'))
        fault = "has 2 cells, and there are 4 columns"
    mended = read(text.replace("cgnat,", "cgnat,kept,"), "csv")
    assert said(mended, "value", "note", "faults") == [("100.64.0.5", "kept", ())]


def test_a_file_that_comes_again_with_its_errors_is_read_without_them() -> None:
    file = read("value,errors,note\n100.64.0.5,something was wrong,kept\n", "csv")
    assert said(file, "value", "note", "faults") == [("100.64.0.5", "kept", ())]
    assert [*file.with_errors({})] == [["value", "note", "errors"], ["100.64.0.5", "kept", ""]]


def test_cells_that_no_column_has_come_behind_what_is_wrong_with_their_line() -> None:
    file = read("value,note\n100.64.0.5,kept,too,much\n", "csv")
    assert [*file.with_errors({2: ["has 4 cells"]})][1] == ["100.64.0.5", "kept", "has 4 cells", "too", "much"]
