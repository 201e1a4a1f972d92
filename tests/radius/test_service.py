"""What ``RadiusService`` promises within one transaction, on both databases."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius import (
    AddressConflict,
    CoaChange,
    CoaTerms,
    CreatedSubscriber,
    DialectUnknown,
    FramedAddresses,
    GardenUnfit,
    IllegalMove,
    LineIdentity,
    NasAddressTaken,
    NasChange,
    NasRefused,
    NasUnknown,
    PlanRefused,
    PlanTerms,
    PlanUnknown,
    RadiusService,
    RateNotExpressible,
    RequestConflict,
    RequestRefused,
    SubscriberUnknown,
    SubscriberVerbs,
    TestingWindowOver,
    UsernameRefused,
    UsernameTaken,
    ValueRefused,
)
from radius.dialects import DIALECTS
from radius.plans.plans import find_plan
from radius.subscribers.requests import SubscriberRequest, refuse_all
from radius.tables import Plan, Subscriber
from tests.radius.conftest import ADDRESSES, PLAN, KeptSecret, Site, soon
from tests.support.postgres import until_it_waits_for_us


async def test_a_new_subscriber_is_pending_and_its_password_is_a_reference(site: Site) -> None:
    created = await site.create("anna@isp.example")
    password = await site.password(created)

    assert created == {
        "radacct_id": created["subscriber_id"],
        "subscriber_id": created["subscriber_id"],
        "username": "anna@isp.example",
        "password": f"secret:subscriber/{created['subscriber_id']}",
        "state": "pending",
    }
    assert len(password) == 20
    assert password.isascii() and password.isalnum()
    assert password not in json.dumps(created)


async def test_two_subscribers_never_share_a_password(site: Site) -> None:
    assert await site.password(await site.create()) != await site.password(await site.create())


async def test_the_same_request_again_gives_the_same_answer(site: Site) -> None:
    async def ask(service: RadiusService, plan: str = PLAN) -> object:
        return await service.create_subscriber(
            customer_id=7,
            username="berta",
            bandwidth_profile=plan,
            service_id=12,
            addresses=ADDRESSES,
            request_id="order-9/create_subscriber",
        )

    async with site.database.begin() as db:
        first = await ask(site.service(db))
    async with site.database.begin() as db:
        again = await ask(site.service(db))
        subscribers = await db.scalar(select(func.count()).select_from(Subscriber))
        secrets = await db.scalar(select(func.count()).select_from(KeptSecret))
    async with site.database.begin() as db:
        with pytest.raises(RequestConflict):
            await ask(site.service(db), plan="fiber-1000")

    assert again == first
    assert (subscribers, secrets) == (1, 1)


def _berta(site: Site) -> str:
    """A name of this test's own: the radius database is every test's."""
    return f"berta@{site.tenant_id}"


async def _order_again(
    site: Site, *, ipv4: str = "100.64.7.9", customer_id: int = 7, plan: str = PLAN
) -> CreatedSubscriber:
    async with site.database.begin() as db:
        return await site.service(db).create_subscriber(
            customer_id=customer_id,
            username=_berta(site),
            bandwidth_profile=plan,
            service_id=12,
            addresses=FramedAddresses(ipv4=ipv4),
            request_id="order-9/create_subscriber",
        )


async def test_the_same_request_again_answers_with_the_state_of_by_now(site: Site) -> None:
    created = await _order_again(site)
    await site.activate(created["subscriber_id"])
    assert await _order_again(site) == {**created, "state": "active"}


async def test_the_same_request_again_revives_a_terminated_subscriber_with_a_new_password(site: Site) -> None:
    created = await _order_again(site)
    await site.activate(created["subscriber_id"])
    former = await site.password(created)
    await site.projector.withdraw_subscriber(created["subscriber_id"])
    revived = await _order_again(site, ipv4="100.64.8.1")
    repeated = await _order_again(site, ipv4="100.64.8.1")
    with pytest.raises(RequestConflict):
        await _order_again(site)
    async with site.database.begin() as db:
        view = await site.service(db).subscriber(subscriber_id=created["subscriber_id"])
    await site.activate(created["subscriber_id"])
    new = await site.password(revived)
    nas = await site.nas()
    replies = [await nas.login(_berta(site), password) for password in (former, new)]
    await site.projector.withdraw_subscriber(created["subscriber_id"])

    assert revived == repeated == created
    assert (view["state"], view["version"], view["ipv4"], view["projected"]) == ("pending", 4, "100.64.8.1", False)
    assert (len(new), new != former) == (20, True)
    assert [reply.framed_ip_address for reply in replies] == [None, "100.64.8.1"]


async def test_a_revival_has_the_plan_that_its_request_says_whatever_plan_it_had_at_its_end(site: Site) -> None:
    created = await _order_again(site)
    await site.activate(created["subscriber_id"])
    async with site.database.begin() as db:
        service = site.service(db)
        await service.define_plan(name="slow", terms=PlanTerms(download_kbps=1_000, upload_kbps=1_000))
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.change_plan(subscriber_id=created["subscriber_id"], plan="slow")
        await service.terminate(subscriber_id=created["subscriber_id"])
    assert await _order_again(site) == created
    async with site.database.begin() as db:
        assert (await site.service(db).subscriber(subscriber_id=created["subscriber_id"]))["plan"] == PLAN


async def test_a_revival_is_for_the_same_request_only_and_takes_no_name_from_anybody(site: Site) -> None:
    created = await _order_again(site)
    async with site.database.begin() as db:
        await site.service(db).terminate(subscriber_id=created["subscriber_id"])
    with pytest.raises(RequestConflict):
        await _order_again(site, customer_id=8)
    with pytest.raises(PlanUnknown):
        await _order_again(site, plan="fiber-1000")
    heir = await site.create(_berta(site))
    with pytest.raises(UsernameTaken):
        await _order_again(site)

    assert heir["subscriber_id"] != created["subscriber_id"]


async def test_two_revivals_at_once_are_one(site: Site) -> None:
    created = await _order_again(site)
    async with site.database.begin() as db:
        await site.service(db).terminate(subscriber_id=created["subscriber_id"])
    answers = await asyncio.gather(*(_order_again(site) for _ in range(4)))
    async with site.database.begin() as db:
        view = await site.service(db).subscriber(subscriber_id=created["subscriber_id"])

    assert answers == [created] * 4
    assert (view["state"], view["version"]) == ("pending", 3)


async def test_a_name_with_a_successor_is_the_revived_ones_again_when_the_successor_has_ended(site: Site) -> None:
    first = await _order_again(site)
    await site.projector.withdraw_subscriber(first["subscriber_id"])
    heir = await site.create(_berta(site))
    for _ in range(3):
        await site.activate(heir["subscriber_id"])
    await site.projector.withdraw_subscriber(heir["subscriber_id"])
    await _order_again(site)
    await site.activate(first["subscriber_id"])
    drifts = await site.projector.drift()
    await site.projector.withdraw_subscriber(first["subscriber_id"])

    assert drifts == []


async def test_without_a_request_id_equal_input_gives_the_same_subscriber(site: Site) -> None:
    assert await site.create("carl") == await site.create("carl")


@pytest.mark.scenario("D10")
async def test_the_same_request_twice_at_once_makes_one_subscriber(site: Site) -> None:
    async def ask() -> object:
        async with site.database.begin() as db:
            return await site.service(db).create_subscriber(
                customer_id=7, username="bruno", bandwidth_profile=PLAN, request_id="order-10"
            )

    answers = await asyncio.gather(*(ask() for _ in range(4)))
    async with site.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Subscriber)) == 1
        assert await db.scalar(select(func.count()).select_from(KeptSecret)) == 1
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)  # on SQLite nobody can commit in the middle
@pytest.mark.parametrize("request_id", ["order-10", None])
async def test_a_twin_that_commits_between_two_looks_is_the_same_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch, request_id: str | None
) -> None:
    async def ask() -> CreatedSubscriber:
        async with site.database.begin() as db:
            return await site.service(db).create_subscriber(
                customer_id=7, username="bruno", bandwidth_profile=PLAN, request_id=request_id
            )

    twins: list[CreatedSubscriber] = []

    async def find_plan_after_a_twin(db: AsyncSession, tenant_id: str, name: str) -> Plan:
        monkeypatch.setattr("radius.subscribers.subscribers.find_plan", find_plan)
        twins.append(await ask())
        return await find_plan(db, tenant_id, name)

    monkeypatch.setattr("radius.subscribers.subscribers.find_plan", find_plan_after_a_twin)

    assert [await ask()] == twins


@pytest.mark.scenario("D7")
async def test_of_two_customers_who_want_one_username_at_once_one_gets_it(site: Site) -> None:
    async def ask(customer_id: int) -> str:
        try:
            async with site.database.begin() as db:
                await site.service(db).create_subscriber(
                    customer_id=customer_id, username="clara", bandwidth_profile=PLAN, request_id=f"order-{customer_id}"
                )
        except UsernameTaken as refused:
            return f"taken by {refused.owner_customer_id == 15 - customer_id and 'the other'}"
        return "got it"

    assert sorted(await asyncio.gather(ask(7), ask(8))) == ["got it", "taken by the other"]


async def test_addresses_are_kept_in_their_one_spelling(site: Site) -> None:
    created = await site.create(addresses=FramedAddresses(ipv4="100.64.0.9", delegated_prefix="2001:DB8:0:0::/56"))
    async with site.database.begin() as db:
        view = await site.service(db).subscriber(subscriber_id=created["subscriber_id"])
    assert (view["ipv4"], view["delegated_prefix"], view["ipv6_wan_prefix"]) == ("100.64.0.9", "2001:db8::/56", None)


async def test_a_username_of_another_customer_is_a_conflict_that_names_the_owner(site: Site) -> None:
    await site.create("dora")
    async with site.database.begin() as db:
        with pytest.raises(UsernameTaken) as refused:
            await site.service(db).create_subscriber(customer_id=8, username="dora", bandwidth_profile=PLAN)
    assert refused.value.owner_customer_id == 7
    assert not refused.value.transient


async def test_the_same_customer_cannot_have_a_username_twice(site: Site) -> None:
    await site.create("emil")
    async with site.database.begin() as db:
        with pytest.raises(UsernameTaken):
            await site.service(db).create_subscriber(
                customer_id=7, username="emil", bandwidth_profile=PLAN, request_id="another order"
            )


async def test_a_username_given_back_is_free_for_its_customer_and_nobody_else(site: Site) -> None:
    first = await site.create("frida")
    async with site.database.begin() as db:
        await site.service(db).terminate(subscriber_id=first["subscriber_id"])
    async with site.database.begin() as db:
        with pytest.raises(UsernameTaken):
            await site.service(db).create_subscriber(customer_id=8, username="frida", bandwidth_profile=PLAN)
    second = await site.create("frida")

    assert second["subscriber_id"] != first["subscriber_id"]


async def test_a_username_of_another_isp_of_this_server_is_taken_too(site: Site) -> None:
    await site.create("gustav")
    async with site.database.begin() as db:
        other = RadiusService(db, tenant_id="other-isp", now=site.now, secrets=site.secrets)
        await other.define_plan(name=PLAN, terms=PlanTerms(download_kbps=1000, upload_kbps=1000))
        with pytest.raises(UsernameTaken) as refused:
            await other.create_subscriber(customer_id=7, username="gustav", bandwidth_profile=PLAN)
    assert refused.value.owner_customer_id is None


async def test_an_unknown_plan_is_refused_with_the_known_ones(site: Site) -> None:
    async with site.database.begin() as db:
        with pytest.raises(PlanUnknown) as refused:
            await site.service(db).create_subscriber(customer_id=7, username="hans", bandwidth_profile="fibre")
    assert refused.value.known == (PLAN,)
    many = [f"fiber-{number}" for number in range(20)]
    assert str(PlanUnknown("fibre-7", many)).startswith("There is no RADIUS plan 'fibre-7'; known are: fiber-7, ")
    assert str(PlanUnknown("fibre-7", many)).endswith(", 12 more.")


async def test_a_request_id_of_another_request_is_told_alone_or_with_all_else_that_is_wrong(site: Site) -> None:
    await _order_again(site)
    other = SubscriberRequest(8, site.new_username(), PLAN, 12, FramedAddresses())
    async with site.database.begin() as db:
        with pytest.raises(RequestConflict):
            await refuse_all(db, site.tenant_id, other, "order-9/create_subscriber")
        with pytest.raises(RequestRefused) as refused:
            await refuse_all(db, site.tenant_id, replace(other, plan="gold"), "order-9/create_subscriber")
    assert refused.value.faults == (
        "There is no RADIUS plan 'gold'; known are: fiber-100",
        str(RequestConflict("order-9/create_subscriber")).rstrip("."),
    )


async def test_an_unknown_plan_hides_no_taken_name(site: Site) -> None:
    await site.create("gustav")
    async with site.database.begin() as db:
        with pytest.raises(RequestRefused) as refused:
            await site.service(db).create_subscriber(customer_id=8, username="gustav", bandwidth_profile="fibre")
    assert [fault.split()[0] for fault in refused.value.faults] == ["There", "Username"]


async def test_all_that_is_wrong_with_a_subscriber_is_told_at_once(site: Site) -> None:
    async with site.database.begin() as db:
        with pytest.raises(RequestRefused) as refused:
            await site.service(db).create_subscriber(customer_id=0, username="o'brien", bandwidth_profile="fibre")
        with pytest.raises(UsernameRefused):
            await site.service(db).create_subscriber(customer_id=7, username="o'brien", bandwidth_profile=PLAN)
    said = [fault.split(maxsplit=3)[:3] for fault in refused.value.faults]
    assert said == [["customer_id", "is", "0,"], ['"o\'brien"', "cannot", "be"], ["There", "is", "no"]]


async def test_what_freeradius_could_not_carry_is_refused_before_anything_is_written(site: Site) -> None:
    names = ["", "o'brien", "anna maria", "žofie", "x" * 129, "a`b", "a%{b}", "new\nline"]
    asked: list[tuple[str, FramedAddresses, type[Exception]]] = [
        *((name, ADDRESSES, UsernameRefused) for name in names),
        ("ida", FramedAddresses(ipv4="100.64.0.9", ipv4_pool="cgnat"), AddressConflict),
        ("ida", FramedAddresses(ipv4="100.64.0.9/24"), ValueRefused),
        ("ida", FramedAddresses(ipv4="255.255.255.254"), ValueRefused),
        ("ida", FramedAddresses(ipv4_pool="`%{sql:SELECT 1}`"), ValueRefused),
        ("ida", FramedAddresses(ipv6_wan_prefix="2001:db8::1"), ValueRefused),
        ("ida", FramedAddresses(delegated_prefix="2001:db8:0:1::/48"), ValueRefused),
    ]
    async with site.database.begin() as db:
        for username, addresses, error in asked:
            with pytest.raises(error):
                await site.service(db).create_subscriber(
                    customer_id=7, username=username, bandwidth_profile=PLAN, addresses=addresses
                )
        assert await db.scalar(select(func.count()).select_from(Subscriber)) == 0


async def test_a_transaction_that_fails_leaves_neither_subscriber_nor_secret(site: Site) -> None:
    with pytest.raises(RuntimeError):
        async with site.database.begin() as db:
            await site.service(db).create_subscriber(customer_id=7, username="jan", bandwidth_profile=PLAN)
            raise RuntimeError("the process dies here")
    async with site.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Subscriber)) == 0
        assert await db.scalar(select(func.count()).select_from(KeptSecret)) == 0


async def test_the_life_of_a_subscriber_counts_every_change_once(site: Site) -> None:
    subscriber_id = (await site.create())["subscriber_id"]
    until, later = soon(), soon() + timedelta(hours=8)
    async with site.database.begin() as db:
        service = site.service(db)
        states = [
            await service.subscriber(subscriber_id=subscriber_id),
            await service.begin_testing(subscriber_id=subscriber_id, until=until),
            await service.begin_testing(subscriber_id=subscriber_id, until=until),
            await service.begin_testing(subscriber_id=subscriber_id, until=later),
            await service.return_to_pending(subscriber_id=subscriber_id),
            await service.return_to_pending(subscriber_id=subscriber_id),
            await service.begin_testing(subscriber_id=subscriber_id, until=later),
            await service.activate(subscriber_id=subscriber_id),
            await service.activate(subscriber_id=subscriber_id),
            await service.terminate(subscriber_id=subscriber_id),
            await service.terminate(subscriber_id=subscriber_id),
        ]
    assert [(view["state"], view["version"]) for view in states] == [
        ("pending", 1),
        ("testing", 2),
        ("testing", 2),
        ("testing", 3),
        ("pending", 4),
        ("pending", 4),
        ("testing", 5),
        ("active", 6),
        ("active", 6),
        ("terminated", 7),
        ("terminated", 7),
    ]
    assert states[3]["testing_until"] == later.replace(microsecond=0)
    assert states[7]["testing_until"] is None
    assert not any(view["projected"] for view in states)


async def test_an_active_subscriber_cannot_go_back_to_testing_and_a_terminated_one_nowhere(site: Site) -> None:
    subscriber_id = (await site.create())["subscriber_id"]
    async with site.database.begin() as db:
        service = site.service(db)
        await service.activate(subscriber_id=subscriber_id)
        with pytest.raises(IllegalMove) as back:
            await service.begin_testing(subscriber_id=subscriber_id, until=soon())
        await service.terminate(subscriber_id=subscriber_id)
        with pytest.raises(IllegalMove):
            await service.activate(subscriber_id=subscriber_id)
        with pytest.raises(IllegalMove):
            await service.return_to_pending(subscriber_id=subscriber_id)
    assert (back.value.state, back.value.wanted) == ("active", "testing")


async def test_a_test_cannot_end_in_the_past(site: Site) -> None:
    subscriber_id = (await site.create())["subscriber_id"]
    async with site.database.begin() as db:
        with pytest.raises(TestingWindowOver):
            await site.service(db).begin_testing(
                subscriber_id=subscriber_id, until=datetime.now(UTC) - timedelta(minutes=1)
            )


async def test_a_terminated_subscribers_password_is_forgotten(site: Site) -> None:
    created = await site.create()
    async with site.database.begin() as db:
        await site.service(db).terminate(subscriber_id=created["subscriber_id"])
        assert await db.scalar(select(func.count()).select_from(KeptSecret)) == 0


async def test_somebody_elses_subscriber_is_unknown(site: Site) -> None:
    subscriber_id = (await site.create())["subscriber_id"]
    async with site.database.begin() as db:
        other = RadiusService(db, tenant_id="other-isp", now=site.now, secrets=site.secrets)
        with pytest.raises(SubscriberUnknown):
            await other.subscriber(subscriber_id=subscriber_id)
        with pytest.raises(SubscriberUnknown):
            await other.terminate(subscriber_id=subscriber_id)


async def test_a_plan_defined_twice_alike_is_one_plan_and_a_change_counts_up(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        first = await service.define_plan(name="home", terms=PlanTerms(download_kbps=50_000, upload_kbps=10_000))
        again = await service.define_plan(name="home", terms=PlanTerms(download_kbps=50_000, upload_kbps=10_000))
        changed = await service.define_plan(
            name="home", terms=PlanTerms(download_kbps=60_000, upload_kbps=10_000, session_timeout_seconds=86_400)
        )
        read = await service.plan(name="home")
    assert again == first
    assert (changed["plan_id"], changed["version"]) == (first["plan_id"], 2)
    assert read == changed
    assert (read["terms"].session_timeout_seconds, read["terms"].interim_interval_seconds) == (86_400, 300)


async def test_every_fault_of_a_plan_is_named_at_once(site: Site) -> None:
    async with site.database.begin() as db:
        with pytest.raises(PlanRefused) as refused:
            await site.service(db).define_plan(
                name="has space", terms=PlanTerms(download_kbps=0, upload_kbps=10, interim_interval_seconds=5)
            )
    assert len(refused.value.faults) == 3


async def test_a_nas_defined_twice_alike_is_one_nas_and_keeps_its_secret(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        first = await service.define_nas(name="bng-1", address="10.0.0.1", dialect="mikrotik")
        secret = await site.secrets.reveal(db, first["secret"])
        again = await service.define_nas(name="bng-1", address="10.0.0.1", dialect="mikrotik")
        moved = await service.define_nas(name="bng-1", address="10.0.0.2", dialect="wispr", coa_port=1700)
        kept = await site.secrets.reveal(db, moved["secret"])
        rotated = await service.define_nas(
            name="bng-1", address="10.0.0.2", dialect="wispr", coa_port=1700, secret="another-secret-made-for-it"
        )
        new = await site.secrets.reveal(db, rotated["secret"])
    assert (first["secret"], first["coa_port"]) == (f"secret:nas/{first['nas_id']}", 3799)
    assert len(secret) == 32
    assert again == first
    assert (moved["nas_id"], moved["version"], kept) == (first["nas_id"], 2, secret)
    assert (rotated["version"], new) == (3, "another-secret-made-for-it")


@pytest.mark.parametrize("kind", ["postgresql"])  # on SQLite the second one has not begun yet
async def test_what_a_nas_was_before_a_change_is_what_the_change_has_found(site: Site) -> None:
    async with site.database.begin() as db:
        await site.service(db).define_nas(name="bng-1", address="10.0.0.1", dialect="mikrotik")
    async with site.database.begin() as db:
        service = site.service(db)
        assert (await service.nas_named(name="bng-1"))["coa_port"] == 3799
        async with site.database.begin() as other:
            _, changed = await site.service(other).change_nas(name="bng-1", said=NasChange(coa_port=1700))
        before, after = await service.change_nas(name="bng-1", said=NasChange(address="10.0.0.2"))
    assert before == changed
    assert (after["address"], after["coa_port"], after["version"]) == ("10.0.0.2", 1700, 3)


@pytest.mark.parametrize("kind", ["postgresql"])  # on SQLite the second one has not begun yet
async def test_a_garden_stays_what_it_was_found_to_be_until_the_suspension_into_it_is_committed(site: Site) -> None:
    garden = PlanTerms(1000, 500, garden_filter="unpaid")
    subscriber = await site.active()
    async with site.database.begin() as db:
        await site.service(db).define_plan(name="garden", terms=garden)

    async def defined_meanwhile() -> None:
        async with site.database.begin() as other:
            terms = replace(garden, where_untold="refuse_login")
            await site.service(other).define_plan(name="garden", terms=terms)

    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.suspend(subscriber_id=subscriber["subscriber_id"], garden="garden")
        defining = asyncio.create_task(defined_meanwhile())
        await until_it_waits_for_us(db, defining)
    with pytest.raises(PlanRefused, match="it serves 1 subscribers in place of their own plan"):
        await defining


@pytest.mark.parametrize("kind", ["postgresql"])  # on SQLite the second one has not begun yet
async def test_who_changes_a_line_in_a_garden_that_is_defined_anew_waits_and_goes_by_what_it_is_then(
    site: Site,
) -> None:
    """Whoever defines it goes on to those whom it serves: neither has what the other one waits for."""
    line = (await site.active())["subscriber_id"]
    garden = PlanTerms(1000, 500, garden_filter="unpaid")
    async with site.database.begin() as db:
        for name in ("garden", "other"):
            await site.service(db).define_plan(name=name, terms=garden)
        await site.service(db).define_plan(name="faster", terms=PlanTerms(200_000, 40_000))
    acts: list[tuple[str, dict[str, str]]] = [
        ("suspend", {"garden": "garden"}),
        ("suspend", {"garden": "other"}),
        ("suspend", {"garden": "garden"}),
        ("change_plan", {"plan": "faster"}),
    ]

    async def take(verb: str, said: dict[str, str]) -> None:
        async with site.database.begin() as other:
            verbs = SubscriberVerbs(other, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
            await getattr(verbs, verb)(subscriber_id=line, **said)

    for turn, (verb, said) in enumerate(acts):
        async with site.database.begin() as db:
            pool = None if turn % 2 else f"pool-{turn}"
            await site.service(db).define_plan(name="other", terms=replace(garden, ipv4_pool=pool))
            taking = asyncio.create_task(take(verb, said))
            await until_it_waits_for_us(db, taking)
            await site.service(db).define_plan(name="garden", terms=replace(garden, ipv4_pool=pool))
        await taking
    async with site.database.begin() as db:
        found = await site.service(db).subscriber(subscriber_id=line)
    assert (found["state"], found["garden"], found["plan"]) == ("suspended", "garden", "faster")


@pytest.mark.parametrize("kind", ["postgresql"])  # on SQLite the second one has not begun yet
async def test_a_garden_is_looked_at_as_it_is_by_now_also_where_it_was_looked_at_before(site: Site) -> None:
    subscriber, garden = await site.active(), PlanTerms(1000, 500, garden_filter="unpaid")
    async with site.database.begin() as db:
        await site.service(db).define_plan(name="garden", terms=garden)
    async with site.database.begin() as db:
        kept = await find_plan(db, site.tenant_id, "garden")
        async with site.database.begin() as other:
            await site.service(other).define_plan(name="garden", terms=replace(garden, where_untold="refuse_login"))
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        with pytest.raises(GardenUnfit, match="is not told to every NAS"):
            await verbs.suspend(subscriber_id=subscriber["subscriber_id"], garden="garden")
        assert kept.where_untold == "refuse_login"


@pytest.mark.parametrize("kind", ["postgresql"])  # on SQLite the second one has not begun yet
async def test_a_plan_keeps_its_access_until_a_line_that_logs_in_on_it_is_committed(site: Site) -> None:
    await site.define_plan(access="ipoe")
    subscriber = await site.active()
    async with site.database.begin() as db:
        await site.service(db).define_nas(name="bng-1", address="10.0.0.1", dialect="mikrotik", lines=True)

    async def defined_meanwhile() -> None:
        await site.define_plan(access="pppoe")

    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        line = LineIdentity(station=f"station of {subscriber['username']}")
        await verbs.bind(subscriber_id=subscriber["subscriber_id"], line=line, logs_in=True)
        defining = asyncio.create_task(defined_meanwhile())
        await until_it_waits_for_us(db, defining)
    with pytest.raises(PlanRefused, match="its access stays ipoe, by which 1 subscribers log in by their line"):
        await defining


async def test_a_nas_is_changed_in_what_is_said_of_it_alone_and_keeps_its_secret(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        first = await service.define_nas(
            name="bng-1", address="10.0.0.1", dialect="mikrotik", coa=CoaTerms(per_second=50, may_end=False)
        )
        secret = await site.secrets.reveal(db, first["secret"])
        said = NasChange(
            address="10.0.0.2", coa_port=1700, coa=CoaChange(keys=("Acct-Session-Id",), event_timestamp=False)
        )
        was, changed = await service.change_nas(name="bng-1", said=said)
        again = await service.change_nas(name="bng-1", said=said)
        with pytest.raises(NasRefused, match="coa keys need Acct-Session-Id"):
            await service.change_nas(name="bng-1", said=NasChange(coa=CoaChange(keys=("User-Name",))))
        with pytest.raises(NasUnknown):
            await service.change_nas(name="bng-9", said=said)
        assert await site.secrets.reveal(db, changed["secret"]) == secret
    assert first["coa"] == {"keys": [], "event_timestamp": True, "per_second": 50, "may_end": False}
    assert (changed["nas_id"], changed["version"], was, again) == (first["nas_id"], 2, first, (changed, changed))
    assert (changed["address"], changed["dialect"], changed["coa_port"]) == ("10.0.0.2", "mikrotik", 1700)
    assert changed["coa"] == {**first["coa"], "keys": ["Acct-Session-Id"], "event_timestamp": False}


async def test_a_nas_that_cannot_be_meant_is_refused_with_every_fault(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        with pytest.raises(NasRefused) as refused:
            await service.define_nas(name="", address="bng", dialect="mikrotik", coa_port=0, secret="short")
        with pytest.raises(DialectUnknown):
            await service.define_nas(name="bng", address="10.0.0.1", dialect="klingon")
        with pytest.raises(NasRefused) as several:
            await service.define_nas(name="bng", address="bng", dialect="klingon", login_methods=["eap"])
    assert len(refused.value.faults) == 4
    assert "short" not in str(refused.value)
    assert [fault.split(" need")[0] for fault in several.value.faults] == [
        "its address is not an IPv4 address",
        "its login_methods",
        f"There is no NAS dialect 'klingon'; known are: {', '.join(sorted(DIALECTS))}",
    ]


async def test_an_address_from_which_no_packet_comes_is_no_nas(site: Site) -> None:
    for address, kind in (
        ("0.0.0.0", "the unspecified address"),
        ("224.0.0.1", "a multicast address"),
        ("255.255.255.255", "of a reserved block (240.0.0.0/4)"),
    ):
        async with site.database.begin() as db:
            with pytest.raises(NasRefused) as refused:
                await site.service(db).define_nas(name="bng", address=address, dialect="mikrotik")
        assert refused.value.faults == (f"its address {address} is {kind}, from which no packet comes",)
    async with site.database.begin() as db:
        made = await site.service(db).define_nas(name="bng", address="127.9.0.9", dialect="mikrotik")
    assert made["address"] == "127.9.0.9"


async def test_a_secret_is_one_nas_own(site: Site) -> None:
    secret = "a-secret-that-is-of-bng-1"
    async with site.database.begin() as db:
        service = site.service(db)
        for _ in range(2):  # its own it may be told again
            await service.define_nas(name="bng-1", address="10.0.0.1", dialect="mikrotik", secret=secret)
        with pytest.raises(NasRefused, match="its secret is that of bng-1: each NAS needs one of its own") as refused:
            await service.define_nas(name="bng-2", address="10.0.0.2", dialect="mikrotik", secret=secret)
    assert secret not in str(refused.value)


async def test_one_address_is_one_nas(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        await service.define_nas(name="bng-1", address="10.0.0.1", dialect="mikrotik")
        await service.define_nas(name="bng-2", address="10.0.0.2", dialect="mikrotik")
        with pytest.raises(NasAddressTaken):
            await service.define_nas(name="bng-3", address="10.0.0.1", dialect="mikrotik")
        with pytest.raises(NasAddressTaken):
            await service.define_nas(name="bng-2", address="10.0.0.1", dialect="mikrotik")
        assert (await service.define_nas(name="bng-2", address="10.0.0.2", dialect="mikrotik"))["version"] == 1
        with pytest.raises(NasRefused) as several:
            await service.add_nas(name="bng-2", address="10.0.0.1", dialect="klingon", coa_port=0)
    assert [fault.split(",")[0].split(";")[0] for fault in several.value.faults] == [
        "coa_port is 0",
        "There is a NAS bng-2 already",
        "NAS bng-2 cannot have address 10.0.0.1: another NAS has it. Correct one of the two",
        "There is no NAS dialect 'klingon'",
    ]


async def test_the_nases_and_the_services_with_a_subscriber_can_be_listed(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        for name, address in (("bng-2", "10.0.0.2"), ("bng-1", "10.0.0.1")):
            await service.define_nas(name=name, address=address, dialect="mikrotik")
        for username, service_id in (("anna", 5), ("berta", 3), ("carl", None), ("dora", 4)):
            created = await service.create_subscriber(
                customer_id=7, username=username, bandwidth_profile=PLAN, service_id=service_id
            )
        await service.terminate(subscriber_id=created["subscriber_id"])
        assert [nas["name"] for nas in await service.nas_list()] == ["bng-1", "bng-2"]
        assert await service.live_service_ids() == [3, 5]


async def test_a_rate_a_nas_in_use_cannot_be_told_is_refused_from_both_sides(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        await service.define_nas(name="hotspot", address="10.0.0.9", dialect="wispr")
        with pytest.raises(RateNotExpressible) as too_fast:
            await service.define_plan(name="xgs", terms=PlanTerms(download_kbps=10_000_000, upload_kbps=10_000_000))
    async with site.database.begin() as db:
        other = RadiusService(db, tenant_id="other-isp", now=site.now, secrets=site.secrets)
        await other.define_plan(name="xgs", terms=PlanTerms(download_kbps=10_000_000, upload_kbps=10_000_000))
        await other.define_nas(name="bng", address="10.0.0.10", dialect="mikrotik")
        with pytest.raises(RateNotExpressible):
            await other.define_nas(name="hotspot", address="10.0.0.11", dialect="wispr")
    assert (too_fast.value.dialect, too_fast.value.max_kbps) == ("wispr", 4_294_967)
