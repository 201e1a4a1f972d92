"""The language of a customer: one that there are mails in, and the ISP's own where nobody has said any."""

from __future__ import annotations

import pytest

from provisioning.commercial import CustomerService, CustomerUnknown
from provisioning.commercial.customers.customer_language import read_language, spoken
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest
from provisioning.intake import Faults
from tests.provisioning.commercial.conftest import NOW, TENANT


@pytest.mark.parametrize(
    ("given", "kept", "reason"),
    [
        (None, None, None),
        ("", None, None),
        ("DE-at", "de-AT", None),
        ("en", "en", None),
        ("fr", None, "is fr, and there are no mails in it; there are: de, en"),
        ("german", None, "is not a language such as de or de-AT"),
        ("de_AT", None, "is not a language such as de or de-AT"),
    ],
)
def test_only_a_language_of_the_mails_is_taken(given: str | None, kept: str | None, reason: str | None) -> None:
    faults = Faults("The customer")
    assert read_language(faults, "language", given) == kept
    assert spoken() == ("de", "en")
    if reason is None:
        faults.refuse_if_any()
        return
    with pytest.raises(InvalidRequest) as refused:
        faults.refuse_if_any()
    assert [(fault.field, fault.reason) for fault in refused.value.faults] == [("language", reason)]


async def test_a_customer_speaks_a_language_from_then_on_or_the_isps_own(begin: Begin) -> None:
    async with begin() as db:
        customers = CustomerService(db, tenant_id=TENANT, now=lambda: NOW)
        known = await customers.register(name="Ada", email="ada@example.com", customer_id=42, language="de-at")
        assert known["language"] == "de-AT"
        assert (await customers.speak(customer_id=42, language="en"))["language"] == "en"
    async with begin() as db:
        customers = CustomerService(db, tenant_id=TENANT, now=lambda: NOW)
        again = await customers.register(name="Ada", email="ada@example.com", customer_id=42, language="de-at")
        assert again["language"] == "en", "whoever knows them again does not change them"
        assert [each["language"] for each in await customers.customers()] == ["en"]
        assert (await customers.speak(customer_id=42, language=None))["language"] is None
        with pytest.raises(InvalidRequest, match="there are no mails in it"):
            await customers.speak(customer_id=42, language="fr")
        with pytest.raises(CustomerUnknown):
            await customers.speak(customer_id=43, language="de")
