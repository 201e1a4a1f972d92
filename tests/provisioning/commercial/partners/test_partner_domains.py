"""Partners' host names: whoever claims one proves it by its DNS, and only then a page answers under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import cast

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from dns.asyncresolver import Resolver
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    DomainClaimsTooMany,
    DomainOfAnother,
    DomainProofs,
    DomainRecord,
    DomainUnknown,
    DomainUnproven,
    DomainUnresolved,
    PartnerDomains,
    PartnerUnknown,
    txt_records,
)
from provisioning.commercial.partners.domain_proofs import AT_ONCE
from provisioning.commercial.partners.domain_records import LOOKED_FOR, covering
from provisioning.commercial.partners.partner_domains import CLAIMS_AT_ONCE
from provisioning.errors import InvalidRequest
from tests.provisioning.commercial.conftest import ON_SQLITE
from tests.support.host_names import Dns, prove_host_name
from tests.support.partnership import FIXED, NOW, SHARE, TENANT, Partnership

NAME = "nordnetz.example"


def proofs(isp: Partnership, dns_: Dns, later: timedelta = timedelta()) -> DomainProofs:
    return DomainProofs(isp.begin, tenant_id=TENANT, now=lambda: NOW + later, texts=dns_, publish=nobody_is_told)


async def nobody_is_told(_db: AsyncSession, kind: str, *_: object) -> None:
    raise AssertionError(f"{kind} was told")


async def claim(
    isp: Partnership, domain: str = NAME, partner_id: int = SHARE, later: timedelta = timedelta()
) -> DomainRecord:
    async with isp.begin() as db:
        domains = PartnerDomains(db, tenant_id=TENANT, now=lambda: NOW + later, own_host="isp.example")
        return await domains.claim(partner_id=partner_id, domain=domain, by="nora")


async def claims(isp: Partnership, partner_id: int = SHARE) -> list[tuple[str, str, str | None]]:
    async with isp.begin() as db:
        found = await PartnerDomains(db, tenant_id=TENANT, now=lambda: NOW).domains(partner_id)
    return [(each["domain"], each["state"], each["fault"]) for each in found]


async def require(isp: Partnership, domain: str, partner_id: int = SHARE) -> None:
    async with isp.begin() as db:
        await PartnerDomains(db, tenant_id=TENANT, now=lambda: NOW).require_proven(partner_id, domain)


async def test_a_name_is_the_partners_once_its_dns_says_so_and_so_is_what_is_below_it(isp: Partnership) -> None:
    claimed, dns_ = await claim(isp), Dns()
    assert await claim(isp) == claimed
    assert (claimed["state"], claimed["txt_name"]) == ("claimed", f"_firstlight.{NAME}")
    dns_.texts[claimed["txt_name"]] = ("v=spf1 -all", "firstlight-partner=somebody else's")
    assert await proofs(isp, dns_).look() == 0
    assert await claims(isp) == [(NAME, "claimed", "the TXT record is not there")]
    with pytest.raises(DomainUnproven, match=f"its DNS has no TXT record _firstlight.{NAME} with firstlight-partner="):
        await require(isp, NAME)
    dns_.texts[claimed["txt_name"]] = ("v=spf1 -all", claimed["txt_value"])
    assert await proofs(isp, dns_).look() == 1
    assert await claims(isp) == [(NAME, "proven", None)]
    for name in (NAME, f"portal.{NAME}", f"a.b.{NAME}"):
        await require(isp, name)
    for name in (f"nicht{NAME}", "example"):
        with pytest.raises(DomainUnproven, match="claim it, or what it is below, with"):
            await require(isp, name)
    with pytest.raises(DomainUnproven):
        await require(isp, NAME, FIXED)
    asked = len(dns_.asked)
    assert (await proofs(isp, dns_).look(), len(dns_.asked)) == (0, asked)


async def test_of_two_partners_the_one_whom_the_dns_names_has_the_name(isp: Partnership) -> None:
    mine, theirs, dns_ = await claim(isp), await claim(isp, partner_id=FIXED), Dns()
    assert mine["txt_value"] != theirs["txt_value"]
    dns_.texts[mine["txt_name"]] = (mine["txt_value"],)
    assert await proofs(isp, dns_).look() == 1
    assert await claims(isp, FIXED) == [(NAME, "claimed", "the TXT record is not there")]
    dns_.texts[mine["txt_name"]] = (mine["txt_value"], theirs["txt_value"])
    assert await proofs(isp, dns_).look() == 0
    assert await claims(isp, FIXED) == [(NAME, "claimed", "it is proven to be another partner's")]
    with pytest.raises(DomainOfAnother, match="proven to be another partner's"):
        await proofs(isp, dns_).prove(partner_id=FIXED, domain=NAME)
    async with isp.begin() as db:
        await PartnerDomains(db, tenant_id=TENANT, now=lambda: NOW).drop(partner_id=SHARE, domain=NAME)
    assert (await proofs(isp, dns_).prove(partner_id=FIXED, domain=NAME))["state"] == "proven"
    assert await claims(isp) == []


@ON_SQLITE
async def test_a_dns_that_does_not_answer_says_nothing_and_holds_up_no_other_claim(isp: Partnership) -> None:
    dead, other, dns_ = await claim(isp, "dead.example"), await claim(isp), Dns()
    dns_.texts[dead["txt_name"]] = DomainUnresolved(dead["txt_name"], "LifetimeTimeout")
    dns_.texts[other["txt_name"]] = (other["txt_value"],)
    assert await proofs(isp, dns_).look() == 1
    assert await claims(isp) == [
        ("dead.example", "claimed", "the DNS did not answer: LifetimeTimeout"),
        (NAME, "proven", None),
    ]
    with pytest.raises(DomainUnresolved):
        await proofs(isp, dns_).prove(partner_id=SHARE, domain="dead.example")
    with pytest.raises(DomainUnknown, match=r"has not claimed other\.example"):
        await proofs(isp, dns_).prove(partner_id=SHARE, domain="other.example")


@ON_SQLITE
async def test_a_proof_is_looked_for_for_thirty_days_and_by_hand_ever_after(isp: Partnership) -> None:
    claimed, dns_ = await claim(isp), Dns()
    dns_.texts[claimed["txt_name"]] = (claimed["txt_value"],)
    late = proofs(isp, dns_, timedelta(days=30))
    assert (await late.look(), dns_.asked) == (0, [])
    assert (await late.prove(partner_id=SHARE, domain=NAME))["proven_at"] == NOW + timedelta(days=30)


async def test_a_claim_that_is_overdue_is_taken_up_again_with_the_same_proof(isp: Partnership) -> None:
    claimed, dns_ = await claim(isp), Dns()
    assert claimed["looked_for_until"] == NOW + LOOKED_FOR
    assert await claim(isp, later=LOOKED_FOR - timedelta(seconds=1)) == claimed
    renewed = await claim(isp, later=LOOKED_FOR)
    assert (renewed["txt_value"], renewed["looked_for_until"]) == (claimed["txt_value"], NOW + 2 * LOOKED_FOR)
    dns_.texts[claimed["txt_name"]] = (claimed["txt_value"],)
    assert await proofs(isp, dns_, LOOKED_FOR + timedelta(days=1)).look() == 1
    assert (await claim(isp, later=timedelta(days=90)))["looked_for_until"] is None


async def test_a_partner_has_so_many_names_looked_for_and_others_are_not_kept_from_theirs(isp: Partnership) -> None:
    for number in range(CLAIMS_AT_ONCE):
        await claim(isp, f"n{number}.example")
    with pytest.raises(DomainClaimsTooMany, match="20 host names whose proof is looked for, and that is the most"):
        await claim(isp)
    await claim(isp, "n0.example")
    assert (await claim(isp, partner_id=FIXED))["state"] == "claimed"
    later = LOOKED_FOR + timedelta(seconds=1)
    for number in range(1, CLAIMS_AT_ONCE):
        await claim(isp, f"n{number}.example", later=later)
    await claim(isp, later=later)
    with pytest.raises(DomainClaimsTooMany):
        await claim(isp, "n0.example", later=later)


@ON_SQLITE
async def test_a_round_looks_at_new_claims_always_and_at_older_ones_every_hour(isp: Partnership) -> None:
    await claim(isp)
    dns_, day, minute = Dns(), timedelta(days=1), timedelta(minutes=1)
    for later in (minute, 3 * minute, day, day + 2 * minute, day + 61 * minute, day + 63 * minute):
        await proofs(isp, dns_, later).look()
    assert len(dns_.asked) == 4  # twice on the first day, then with an hour in between


@ON_SQLITE
async def test_names_whose_dns_does_not_answer_are_asked_some_at_a_time_and_one_that_fails_holds_up_none(
    isp: Partnership,
) -> None:
    for number in range(AT_ONCE + 2):
        await claim(isp, f"n{number}.example")
    asking, most, answer = 0, 0, asyncio.Event()

    async def texts(name: str) -> tuple[str, ...]:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        if asking == AT_ONCE:
            answer.set()
        await answer.wait()
        asking -= 1
        if name == "_firstlight.n0.example":
            raise ValueError(name)
        return ()

    with pytest.raises(ValueError, match=r"n0\.example"):
        await DomainProofs(isp.begin, tenant_id=TENANT, now=lambda: NOW, texts=texts, publish=nobody_is_told).look()
    looked = [fault for _, _, fault in await claims(isp) if fault is not None]
    assert (most, len(looked)) == (AT_ONCE, AT_ONCE + 1)


@ON_SQLITE
async def test_a_claim_is_refused_with_every_fault(isp: Partnership) -> None:
    async with isp.begin() as db:
        domains = PartnerDomains(db, tenant_id=TENANT, now=lambda: NOW, own_host="isp.example")
        for name, reason in (
            ("Portal.example", "domain must be written in small letters"),
            ("example", "domain is no host name such as"),
            ("isp.example", "domain is the appliance's own name"),
        ):
            with pytest.raises(InvalidRequest, match=reason) as refused:
                await domains.claim(partner_id=0, domain=name, by="")
            fields = [fault.field for fault in refused.value.faults]
            assert fields[0] == "partner_id" and fields[-1] == "by"
        with pytest.raises(InvalidRequest, match="domain is missing"):
            await domains.claim(partner_id=SHARE, domain=" ", by="nora")
        with pytest.raises(PartnerUnknown):
            await domains.claim(partner_id=99, domain=NAME, by="nora")


@ON_SQLITE
async def test_a_page_is_promised_under_no_name_that_is_not_proven(isp: Partnership) -> None:
    customer_id = await isp.brings(licenses=1)
    brand = {"name": "Nordnetz", "domain": f"portal.{NAME}"}
    async with isp.begin() as db:
        with pytest.raises(DomainUnproven):
            await isp.deployment(db).provision_partner_tenant(
                customer_id=customer_id, partner_id=SHARE, white_label_config=brand
            )
        await prove_host_name(db, SHARE, NAME, tenant_id=TENANT, at=NOW)
        page = await isp.deployment(db).provision_partner_tenant(
            customer_id=customer_id, partner_id=SHARE, white_label_config=brand
        )
    assert page["tenant_id"].startswith("nordnetz-")


def test_the_names_above_count_up_to_two_labels() -> None:
    assert covering("a.portal.example.net") == ["a.portal.example.net", "portal.example.net", "example.net"]
    assert covering("example.net") == ["example.net"]


class NameServer(asyncio.DatagramProtocol):
    """Answers for two names; says nothing of one that is silent, and that it fails for one that is broken."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name
        answer = dns.message.make_response(query)
        asked = str(name)
        if asked == "split.example.":
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", '"firstlight-" "partner=1"', '"other"'))
        elif asked == "nobody.example.":
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif asked == "broken.example.":
            answer.set_rcode(dns.rcode.SERVFAIL)
        self._transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def resolver() -> AsyncIterator[Resolver]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    asking = Resolver(configure=False)
    asking.nameservers, asking.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
    yield asking
    transport.close()


async def test_texts_are_joined_none_is_none_and_a_failure_is_no_none(resolver: Resolver) -> None:
    assert sorted(await txt_records("split.example", resolver=resolver)) == ["firstlight-partner=1", "other"]
    assert await txt_records("nobody.example", resolver=resolver) == ()
    assert await txt_records("empty.example", resolver=resolver) == ()
    with pytest.raises(DomainUnresolved, match=r"did not say what broken\.example holds"):
        await txt_records("broken.example", resolver=resolver)
