"""``firstlight partners``, ``licences`` and ``tenants``, as those who sell and support type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.cli.account import account
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import vandal

CLAIM_AGAIN = ("partners", "domains", "claim", 21, "kunden.example")


@pytest.fixture
def brought(isp: Settings, type_: Type) -> int:
    """The customer whom the partner has brought."""
    customers = type_("partners", "show", 21, "--json").json["customers"]
    return int(customers[0]["customer_id"])


def test_partners_are_listed_with_what_they_have_left_and_what_was_agreed(isp: Settings, type_: Type) -> None:
    listed = type_("partners", "list").out.splitlines()
    assert listed[0].split() == ["partner", "state", "licences", "commission", "name"]
    assert listed[1].split() == ["21", "✓", "active", "48", "of", "50", "12.5", "%", "Nordnetz"]
    assert [partner["quota_remaining"] for partner in type_("partners", "list", "--json").json] == [48]


def test_a_grant_stands_in_the_ledger_with_who_and_why(isp: Settings, brought: int, type_: Type) -> None:
    assert type_("partners", "grant", 21, 10, "--note", "autumn").out == "partner 21: 58 of 60 licences left\n"
    shown = type_("partners", "show", 21).out
    assert "licences: 58 of 60 left; commission: 12.5 %\n" in shown
    assert "allocated -2, 48 left: for customer" in shown
    assert f"granted +10, 58 left: autumn ({account()})\n" in shown
    assert f"customer {brought}: Ada Byron, ada@example.net\n" in shown
    assert f"commission 1: 6.24 EUR with customer {brought}, accrued\n" in shown
    assert type_("check").status == 0


def test_a_paid_commission_is_told_and_kept(isp: Settings, type_: Type) -> None:
    assert type_("partners", "paid", 1, "--reference", "SEPA 17").out == "commission 1: 6.24 EUR to partner 21, paid\n"
    assert type_("partners", "show", 21, "--json").json["commissions"][0]["state"] == "paid"
    again = type_("partners", "paid", 1, "--reference", "SEPA 18")
    assert (again.status, again.err.startswith("refused: Commission 1 was paid at")) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("partners", "show", 99), "refused: There is no partner 99"),
        (("partners", "grant", 99, 5, "--note", "x"), "refused: There is no partner 99"),
        (
            ("partners", "grant", 21, 0, "--note", " "),
            "  licenses: is not a positive whole number\n  note: is missing\n",
        ),
        (("partners", "paid", 9, "--reference", "x"), "refused: There is no commission 9."),
        (("tenants", "show", "nowhere"), "refused: There is no customer page nowhere."),
        (("licences", "verify", "FL1.x.y"), "refused: This is no licence key of ours"),
        (("licences", "verify", "FL1.x.y", "--public-key", "/nowhere"), "failed: /nowhere can't be used"),
        (("licences", "verify", "FL1.x.y", "--public-key", "/dev/null"), "refused: There is no block between BEGIN"),
    ],
)
def test_what_does_not_exist_is_refused(isp: Settings, type_: Type, words: tuple[object, ...], told: str) -> None:
    typed = type_(*words)
    assert typed.out == ""
    assert told in typed.err
    assert type_(*words, "--json").json["error"]["message"]


def test_a_key_is_proven_with_the_public_key_alone_where_no_database_is(
    isp: Settings, brought: int, type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = type_("licences", "list", "--partner", 21, "--json").json
    key = listed[0]["license_key"]
    shown = type_("licences", "list", "--customer", brought).out.splitlines()
    assert shown[1].split() == [
        str(listed[0]["license_id"]),
        str(brought),
        "21",
        "10",
        listed[0]["valid_until"],
        "✓",
        "active",
    ]
    assert not any(key in line for line in shown)
    pem = tmp_path / "licences.pem"
    pem.write_text(type_("licences", "public-key").out)
    assert type_("licences", "verify", key).out.startswith(
        f"licence {listed[0]['license_id']} of customer {brought} (default): proven, and not revoked\n"
    )
    with vandal(isp.database_url) as hand:
        hand.execute(
            "UPDATE license SET state = 'revoked', revoked_at = '2026-03-02 09:00:00.000000', revoke_reason = 'unpaid'"
        )
    revoked = type_("licences", "verify", key)
    assert (revoked.status, "was revoked at 2026-03-02 09:00 UTC (unpaid)" in revoked.err) == (2, True)
    monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    proven = type_("licences", "verify", key, "--public-key", pem)
    assert proven.out.splitlines()[1].startswith("  template 1, 10 seats, valid until 20")
    told = type_("licences", "verify", key, "--public-key", pem, "--json").json
    assert (told["customer"], told["tenant"], told["verdict"]) == (brought, "default", "proven by the public key alone")


def test_a_new_signing_key_leaves_the_old_one_in_the_public_keys(isp: Settings, type_: Type) -> None:
    (old,) = type_("licences", "public-key", "--json").json
    new = type_("licences", "new-key", "--json").json
    assert [key["kid"] for key in type_("licences", "public-key", "--json").json] == [old["kid"], new["kid"]]
    assert type_("check").status == 0


def test_a_page_is_shown_with_where_it_answers_and_what_it_says(
    isp: Settings, brought: int, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_PUBLIC_URL", "https://isp.example")
    (page,) = type_("tenants", "list", "--json").json
    assert page["tenant_url"] == f"https://isp.example/t/{page['tenant_id']}"
    listed = type_("tenants", "list", "--partner", 21).out.splitlines()
    assert listed[1].split() == ["1", str(brought), "21", "✓", "active", page["tenant_id"]]
    shown = type_("tenants", "show", page["tenant_id"]).out
    assert f"  {page['tenant_url']} and https://portal.nordnetz.example\n" in shown
    assert "  shows Nordnetz: service none, order scheduled\n" in shown
    told = type_("tenants", "show", page["tenant_id"], "--json").json
    assert (told["state"], told["page"]["brand"], told["page"]["order_state"]) == ("active", "Nordnetz", "scheduled")
    assert type_("tenants", "list", "--partner", 22).out == "no pages\n"


def test_a_host_name_is_claimed_proven_and_dropped(isp: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[str, tuple[str, ...]] = {}

    async def texts(name: str) -> tuple[str, ...]:
        return held.get(name, ())

    monkeypatch.setattr("provisioning.bootstrap.txt_records", texts)
    claimed = type_("partners", "domains", "claim", 21, "kunden.example").out
    assert claimed.startswith('put into the DNS of kunden.example: _firstlight.kunden.example TXT "firstlight-partner=')
    early = type_("partners", "domains", "prove", 21, "kunden.example")
    assert (early.status, "refused: kunden.example is not proven to be partner 21's: its DNS" in early.err) == (2, True)
    listed = type_("partners", "domains", "list", 21).out
    assert "nordnetz.example" in listed and "the TXT record is not there" in " ".join(listed.split())
    held["_firstlight.kunden.example"] = (claimed.split('"')[1],)
    proven = type_("partners", "domains", "prove", 21, "kunden.example").out
    assert proven == "kunden.example is proven to be partner 21's\n" == type_(*CLAIM_AGAIN).out
    held.clear()
    gone = type_("partners", "domains", "prove", 21, "kunden.example")
    assert (gone.status, "any more, and what was proven counts until" in gone.err) == (2, True)
    listed = " ".join(type_("partners", "domains", "list", 21).out.split())
    assert "kunden.example ! missing" in listed and "again; without it pages answer until" in listed
    [_, missing] = type_("partners", "domains", "list", 21, "--json").json
    assert (missing["state"], missing["lost_at"]) == ("missing", None)
    assert type_(*CLAIM_AGAIN).out == claimed
    dropped = type_("partners", "domains", "drop", 21, "nordnetz.example", "--reason", "sold").out
    assert dropped == "nordnetz.example is not partner 21's any more\n"
    (page,) = type_("tenants", "list", "--json").json
    shown = type_("tenants", "show", page["tenant_id"]).out
    assert "  not at portal.nordnetz.example: it is not proven to be partner 21's\n" in shown
    found = type_("check")
    assert (found.status, "tenant.at_its_host_name" in found.out) == (1, True)
    assert type_("partners", "domains", "list", 22).out == "partner 22 has claimed no host name\n"
