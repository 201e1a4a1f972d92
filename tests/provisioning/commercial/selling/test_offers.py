"""The catalogue: an offer keeps its number and its currency, and everything wrong with one is named at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from provisioning.commercial import OfferCatalogue, OfferConflict, OfferNotSold, OfferTerms, OfferUnknown
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest
from tests.provisioning.commercial.conftest import TENANT
from tests.provisioning.commercial.shop import FIBRE, FIBRE_TERMS, MESH, MESH_TERMS, YEN_TERMS


async def test_an_offer_is_found_as_it_was_defined_and_again_is_the_same(begin: Begin) -> None:
    async with begin() as db:
        first = await OfferCatalogue(db, tenant_id=TENANT).define(FIBRE, FIBRE_TERMS)
        assert await OfferCatalogue(db, tenant_id=TENANT).define(FIBRE, FIBRE_TERMS) == first
        await OfferCatalogue(db, tenant_id="south").define(FIBRE, YEN_TERMS)
    async with begin() as db:
        assert await OfferCatalogue(db, tenant_id=TENANT).offers() == [first]
    assert first == {
        "offer_id": 1,
        "title": "Fibre 300",
        "plan": "fiber-300",
        "price_minor": 3990,
        "currency": "EUR",
        "billing_period_months": 1,
        "setup_fee_minor": 4900,
        "term_months": 24,
        "license_template_id": None,
        "payment_terms": "postpaid",
        "active": True,
    }


async def test_a_new_price_is_taken_over_and_what_is_not_sold_any_more_is_kept(quick: Begin) -> None:
    async with quick() as db:
        catalogue = OfferCatalogue(db, tenant_id=TENANT)
        await catalogue.define(FIBRE, FIBRE_TERMS)
        await catalogue.define(MESH, replace(MESH_TERMS, active=False))
        dearer = await catalogue.define(FIBRE, replace(FIBRE_TERMS, price_minor=4490, title="Fibre 300 plus"))
        assert (dearer["price_minor"], dearer["title"]) == (4490, "Fibre 300 plus")
        assert await catalogue.sold(FIBRE) == dearer
        assert [offer["offer_id"] for offer in await catalogue.offers(active=True)] == [FIBRE]
        assert [offer["offer_id"] for offer in await catalogue.offers(active=False)] == [MESH]
        assert (await catalogue.find(MESH))["active"] is False
        with pytest.raises(OfferNotSold, match=r"Offer 2 \(Mesh WiFi\) isn't sold any more"):
            await catalogue.sold(MESH)
        with pytest.raises(OfferUnknown, match="There is no offer 9"):
            await catalogue.sold(9)


@pytest.mark.parametrize(
    ("terms", "differing"),
    [
        (replace(FIBRE_TERMS, plan="fiber-600"), ("plan",)),
        (replace(FIBRE_TERMS, plan=None, currency="CHF"), ("plan", "currency")),
    ],
)
async def test_a_number_never_comes_to_mean_another_product(
    quick: Begin, terms: OfferTerms, differing: tuple[str, ...]
) -> None:
    async with quick() as db:
        catalogue = OfferCatalogue(db, tenant_id=TENANT)
        first = await catalogue.define(FIBRE, FIBRE_TERMS)
        with pytest.raises(OfferConflict) as refused:
            await catalogue.define(FIBRE, terms)
        assert await catalogue.find(FIBRE) == first
    assert refused.value.differing == differing


async def test_all_faults_of_an_offer_are_named_at_once(quick: Begin) -> None:
    terms = OfferTerms(
        title=" ",
        price_minor=-1,
        currency="DEM",
        term_months=13,
        payment_terms=cast(Any, "barter"),
        billing_period_months=6,
        setup_fee_minor=cast(Any, 1.5),
        license_template_id=0,
    )
    async with quick() as db:
        catalogue = OfferCatalogue(db, tenant_id=TENANT)
        with pytest.raises(InvalidRequest) as refused:
            await catalogue.define(0, terms)
        with pytest.raises(InvalidRequest, match="term_months is more than 120 months"):
            await catalogue.define(1, replace(FIBRE_TERMS, term_months=1200))
        assert await catalogue.offers() == []
    assert {fault.field for fault in refused.value.faults} == {
        "offer_id",
        "title",
        "price_minor",
        "currency",
        "term_months",
        "payment_terms",
        "setup_fee_minor",
        "license_template_id",
    }
