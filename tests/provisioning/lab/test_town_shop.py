"""What the town buys: sales of every kind in the past, and some of today that come to different ends."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

from provisioning.lab.town import HISTORY, homes
from provisioning.lab.town_partners import ASKS_TOO_MUCH, BRANDS, BROUGHT, TOO_MANY
from provisioning.lab.town_shop import ASKS, EMPTY, GOOD, TODAY, buyers, past_sales

EXAMPLES = Path("deploy/examples")


def test_sales_of_every_kind_lie_within_the_history_and_every_way_to_pay_is_taken() -> None:
    sales = past_sales()
    assert [sale.days_ago for sale in sales] == sorted((sale.days_ago for sale in sales), reverse=True)
    assert all(2 < sale.days_ago < HISTORY.days or sale.fate in ("drafted", "offered") for sale in sales)
    assert Counter(sale.fate for sale in sales) == {
        "paid": 21,
        "offered": 3,
        "given back": 1,
        "withdrawn": 1,
        "drafted": 1,
    }
    assert {sale.method for sale in sales if sale.fate == "paid"} == {"invoice", "card", "bank", "cash"}
    assert [purchase.card for purchase in TODAY] == [GOOD, EMPTY, ASKS, None, None]


def test_what_is_sold_is_in_the_estate_and_what_is_sold_by_the_month_still_runs() -> None:
    offers = {
        offer["id"]: offer
        for name in ("lab-estate.toml", "town-estate.toml")
        for offer in tomllib.loads((EXAMPLES / name).read_text())["offer"]
    }
    for sale in past_sales():
        offer = offers[sale.offer_id]
        if sale.fate in ("paid", "given back"):  # nobody visits them
            assert offer["payment_terms"] == "prepaid" and "plan" not in offer
            assert sale.days_ago < 28 * offer["term_months"]


def test_who_buys_has_been_there_since_before_and_is_somebody_else_each_time() -> None:
    everybody = homes()
    chosen = buyers(everybody, len(past_sales()) + len(TODAY))
    assert len({home.customer_id for home in chosen}) == len(chosen)
    assert all(home.came_before_days == HISTORY.days for home in chosen)
    assert len(buyers(homes(3), 40)) == 40  # of a few people some buy again


def test_partners_have_the_licences_that_they_sold_and_one_asks_for_more_than_there_are() -> None:
    partners = {
        partner["id"]: partner["license_quota"]
        for name in ("lab-estate.toml", "town-estate.toml")
        for partner in tomllib.loads((EXAMPLES / name).read_text())["partner"]
    }
    sold = Counter[int]()
    for brought in BROUGHT:
        sold[brought.partner_id] += brought.licences
    assert all(number < partners[partner_id] for partner_id, number in sold.items())
    assert set(sold) == set(BRANDS)
    assert partners[ASKS_TOO_MUCH] < TOO_MANY
