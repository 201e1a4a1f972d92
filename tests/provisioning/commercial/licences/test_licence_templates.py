"""Licence templates: their terms never change under the licences that stand on them."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.commercial import LicenseTemplateConflict, LicenseTemplates
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest
from tests.provisioning.commercial.conftest import ON_SQLITE, TENANT


@ON_SQLITE
async def test_a_template_is_known_again_and_never_changed(begin: Begin) -> None:
    async with begin() as db:
        templates = LicenseTemplates(db, tenant_id=TENANT)
        terms: dict[str, Any] = {
            "license_template_id": 1,
            "name": "Portal",
            "seats": 10,
            "features": {"portal": True, "languages": 2},
        }
        defined = await templates.define(**terms)
        assert await templates.define(**terms) == defined
        assert defined["features"] == {"portal": True, "languages": 2}
        with pytest.raises(LicenseTemplateConflict, match="known with another seats, valid_months"):
            await templates.define(**terms | {"seats": 11, "valid_months": 12})


@ON_SQLITE
async def test_every_fault_of_a_template_is_named_at_once(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await LicenseTemplates(db, tenant_id=TENANT).define(
                license_template_id=0,
                name="",
                seats=2_000_000,
                valid_months=0,
                features={"Portal": True, "limits": [1], "note": "a\nb"},
            )
    assert [fault.field for fault in refused.value.faults] == [
        "license_template_id",
        "name",
        "seats",
        "valid_months",
        "features.Portal",
        "features.limits",
        "features.note",
    ]
