"""A proof is looked at ever after: one that is gone counts for a while, is withdrawn then, and can be had anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    DomainProofs,
    DomainRecord,
    DomainUnproven,
    DomainUnresolved,
    PartnerDomains,
)
from provisioning.commercial.partners.domain_records import DomainPatience
from tests.provisioning.commercial.conftest import ON_SQLITE
from tests.support.host_names import Dns
from tests.support.partnership import FIXED, NOW, SHARE, TENANT, Partnership

NAME = "nordnetz.example"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PATIENCE = DomainPatience(look_every=DAY, grace=3 * DAY)


class Proven:
    """A name that was proven long ago, and what was told since."""

    def __init__(self, isp: Partnership) -> None:
        self.isp = isp
        self.dns = Dns()
        self.now = NOW
        self.told: list[tuple[str, str, Mapping[str, Any]]] = []
        self.keys: set[str] = set()

    def domains(self, db: AsyncSession) -> PartnerDomains:
        return PartnerDomains(db, tenant_id=TENANT, now=lambda: self.now, patience=PATIENCE)

    @property
    def proofs(self) -> DomainProofs:
        return DomainProofs(
            self.isp.begin,
            tenant_id=TENANT,
            now=lambda: self.now,
            texts=self.dns,
            publish=self.publish,
            patience=PATIENCE,
        )

    async def publish(
        self, _db: AsyncSession, kind: str, subject: str, data: Mapping[str, Any], key: str, by: str
    ) -> None:
        assert by == "clock"
        if key not in self.keys:
            self.told.append((kind, subject, data))
        self.keys.add(key)

    async def claim(self, partner_id: int = SHARE) -> DomainRecord:
        async with self.isp.begin() as db:
            return await self.domains(db).claim(partner_id=partner_id, domain=NAME, by="nora")

    async def look(self, later: timedelta) -> DomainRecord:
        """A round so much later; how the name stands then."""
        self.now += later
        await self.proofs.look()
        return await self.stands()

    async def stands(self) -> DomainRecord:
        async with self.isp.begin() as db:
            return await self.domains(db).domain(SHARE, NAME)

    async def is_served(self) -> bool:
        async with self.isp.begin() as db:
            try:
                await self.domains(db).require_proven(SHARE, f"portal.{NAME}")
            except DomainUnproven:
                return False
        return True

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.told]


@pytest.fixture
async def proven(isp: Partnership) -> Proven:
    name = Proven(isp)
    claimed = await name.claim()
    name.dns.texts[claimed["txt_name"]] = (claimed["txt_value"],)
    assert (await name.look(HOUR))["state"] == "proven"
    name.now += 400 * DAY
    assert (await name.look(timedelta()))["looked_at"] == name.now
    return name


async def test_a_proof_that_is_gone_counts_for_its_time_of_grace_and_is_withdrawn_then(proven: Proven) -> None:
    proven.dns.texts.clear()
    missing = await proven.look(DAY)
    since = proven.now
    assert (missing["state"], missing["missing_since"], missing["proven_until"]) == ("missing", since, since + 3 * DAY)
    assert (missing["fault"], await proven.is_served()) == ("the TXT record is not there", True)
    assert (await proven.look(3 * DAY - timedelta(seconds=1)))["state"] == "missing"
    assert await proven.is_served()
    lost = await proven.look(HOUR)
    assert (lost["state"], lost["lost_at"], lost["proven_at"]) == ("lost", proven.now, None)
    assert (lost["missing_since"], lost["proven_until"], lost["looked_for_until"]) == (since, None, None)
    assert not await proven.is_served()
    said = {"domain_id": lost["domain_id"], "partner_id": SHARE, "domain": NAME, "missing_since": since.isoformat()}
    subject = f"partner_domain/{lost['domain_id']}"
    assert proven.told == [("partner.domain_missing", subject, said), ("partner.domain_lost", subject, said)]


async def test_another_value_is_an_absence_and_a_record_that_is_back_in_time_is_as_if_nothing_was(
    proven: Proven,
) -> None:
    held = proven.dns.texts["_firstlight.nordnetz.example"]
    proven.dns.texts["_firstlight.nordnetz.example"] = ("firstlight-partner=somebody else's",)
    before = await proven.stands()
    assert (await proven.look(DAY))["state"] == "missing"
    proven.dns.texts["_firstlight.nordnetz.example"] = held
    back = await proven.look(2 * DAY)
    assert back == {**before, "looked_at": proven.now}
    proven.dns.texts.clear()
    again = await proven.look(DAY)
    assert (again["state"], again["missing_since"]) == ("missing", proven.now)
    assert proven.kinds() == ["partner.domain_missing", "partner.domain_found_again", "partner.domain_missing"]


async def test_a_dns_that_does_not_answer_changes_nothing_however_long(proven: Proven) -> None:
    name, held = next(iter(proven.dns.texts.items()))
    proven.dns.texts[name] = DomainUnresolved(name, "LifetimeTimeout")
    silent = await proven.look(DAY)
    assert (silent["state"], silent["fault"]) == ("proven", "the DNS did not answer: LifetimeTimeout")
    assert (await proven.look(30 * DAY))["missing_since"] is None
    proven.dns.texts[name] = ()
    assert (await proven.look(DAY))["state"] == "missing"
    proven.dns.texts[name] = DomainUnresolved(name, "NoNameservers")
    since = proven.now
    unknown = await proven.look(30 * DAY)  # it may have been back in between
    assert (unknown["state"], unknown["missing_since"]) == ("missing", since)
    assert await proven.is_served()
    proven.dns.texts[name] = held
    assert ((await proven.look(DAY))["state"], (await proven.stands())["fault"]) == ("proven", None)


async def test_a_lost_name_is_looked_for_again_once_it_is_claimed_anew_by_the_same_record(proven: Proven) -> None:
    name, held = next(iter(proven.dns.texts.items()))
    proven.dns.texts.clear()
    await proven.look(DAY)
    lost = await proven.look(3 * DAY)
    proven.dns.texts[name] = held
    asked = len(proven.dns.asked)
    assert ((await proven.look(DAY))["state"], len(proven.dns.asked)) == ("lost", asked)
    async with proven.isp.begin() as db:
        with pytest.raises(DomainUnproven, match=r"any more since 2027-.*; put it back and claim it anew with"):
            await proven.domains(db).require_proven(SHARE, NAME)
    claimed = await proven.claim()
    assert (claimed["state"], claimed["txt_value"]) == ("claimed", lost["txt_value"])
    assert (claimed["looked_for_until"], claimed["lost_at"]) == (proven.now + 30 * DAY, None)
    assert (await proven.look(HOUR))["state"] == "proven"
    assert await proven.is_served()


async def test_a_lost_name_of_a_young_claim_is_claimed_anew_as_well(isp: Partnership) -> None:
    young = Proven(isp)
    claimed = await young.claim()
    young.dns.texts[claimed["txt_name"]] = (claimed["txt_value"],)
    await young.look(HOUR)
    young.dns.texts.clear()
    await young.look(DAY)
    assert (await young.look(3 * DAY))["state"] == "lost"
    assert (await young.look(DAY))["state"] == "lost"
    assert (await young.claim())["looked_for_until"] == young.now + 30 * DAY


async def test_the_new_owner_of_a_name_has_it_when_it_is_lost_and_not_before(proven: Proven) -> None:
    theirs = await proven.claim(FIXED)
    proven.dns.texts[theirs["txt_name"]] = (theirs["txt_value"],)
    assert (await proven.look(DAY))["state"] == "missing"
    async with proven.isp.begin() as db:
        waits = await proven.domains(db).domain(FIXED, NAME)
    assert (waits["state"], waits["fault"]) == ("claimed", "it is proven to be another partner's")
    assert (await proven.look(3 * DAY))["state"] == "lost"
    await proven.look(HOUR)  # unless the same round has found it
    async with proven.isp.begin() as db:
        assert (await proven.domains(db).domain(FIXED, NAME))["state"] == "proven"
        await proven.domains(db).require_proven(FIXED, f"portal.{NAME}")
    assert (await proven.stands())["state"] == "lost"


@ON_SQLITE
async def test_a_proof_is_looked_at_every_day_and_every_hour_while_something_is_wrong(proven: Proven) -> None:
    async def rounds(*, hours: int) -> int:
        asked = len(proven.dns.asked)
        for _ in range(hours * 2):
            await proven.look(HOUR / 2)
        return len(proven.dns.asked) - asked

    assert await rounds(hours=48) == 2
    name, held = next(iter(proven.dns.texts.items()))
    proven.dns.texts[name] = ()
    assert await rounds(hours=48) == 25  # seen after a day, then every hour
    proven.dns.texts[name] = held
    assert await rounds(hours=24) == 1
    proven.dns.texts[name] = DomainUnresolved(name, "LifetimeTimeout")
    assert await rounds(hours=12) == 12


@ON_SQLITE
async def test_a_proof_is_looked_at_by_hand_and_what_is_missing_is_told_with_its_time(proven: Proven) -> None:
    assert (await proven.proofs.prove(partner_id=SHARE, domain=NAME))["state"] == "proven"
    proven.dns.texts.clear()
    until = f"{proven.now + 3 * DAY:%Y-%m-%d}"
    with pytest.raises(DomainUnproven, match=f"any more, and what was proven counts until {until}"):
        await proven.proofs.prove(partner_id=SHARE, domain=NAME)
    assert (await proven.stands())["state"] == "missing"
    assert proven.kinds() == ["partner.domain_missing"]


@ON_SQLITE
async def test_what_is_missing_or_lost_is_in_trouble_and_of_one_partner_if_asked(proven: Proven) -> None:
    async def troubled(partner_id: int | None = None) -> list[tuple[str, datetime | None]]:
        async with proven.isp.begin() as db:
            found = await proven.domains(db).in_trouble(partner_id=partner_id)
        return [(each["state"], each["missing_since"]) for each in found]

    assert await troubled() == []
    proven.dns.texts.clear()
    await proven.look(DAY)
    since = proven.now
    assert await troubled() == [("missing", since)]
    await proven.look(3 * DAY)
    assert (await troubled(SHARE), await troubled(FIXED)) == ([("lost", since)], [])
    await proven.claim()
    assert await troubled() == []
