"""A partner's order becomes a customer of theirs with licences and a branded page; the last licence is sold once."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from provisioning.commercial import PartnerService
from provisioning.keeps import kept
from tests.support.customers import Standing, standing
from tests.support.host_names import prove_host_name
from tests.support.lab import Installation, JourneyLab
from tests.support.outages import mail_server_down
from tests.support.walks import MAIL_MAY_HAVE_ARRIVED_TWICE, begun_by_hand, walk, walk_killed_everywhere
from workflows import EventRefused, inputs_of
from workflows.answers import PartnerRecord

pytestmark = pytest.mark.asyncio(loop_scope="session")

JOURNEY = "partner_customer_provisioning"
SHARE = '{ type = "percentage", basis_points = 1250, currency = "EUR" }'
FIXED = '{ type = "fixed", fixed_minor = 2500, currency = "EUR" }'
NOTHING_LEFT = Standing(customers=("withdrawn",), licences=("revoked",), pages=("withdrawn",))

_numbers = itertools.count(100)


async def partner_with(lab: JourneyLab, folder: Path, quota: int, commission: str = SHARE) -> int:
    """A partner whom no other test has."""
    number = next(_numbers)
    await agree(lab, folder, number, quota, commission)
    return number


async def agree(lab: JourneyLab, folder: Path, number: int, quota: int, commission: str) -> None:
    """What holds with this partner from now on."""
    text = f"""
[[partner]]
id = {number}
name = "Südnetz {number}"
email = "orders@partner{number}.example"
license_template = 1
license_quota = {quota}
commission = {commission}
"""
    await lab.import_estate(folder / "partner.toml", text)


def order_of(partner: int, reference: str, **changes: Any) -> dict[str, Any]:
    """As the partner writes it."""
    brand = {"name": "Südnetz", "colours": {"primary": "#0b5d3b"}}
    order = {
        "order_ref": reference,
        "customer_data": {"name": "Grace Hopper", "email": address(partner, reference), "phone": "+49 30 555"},
        "license_count": 1,
        "white_label_config": brand,
        "sale_amount": "49.90",
    }
    return {field: value for field, value in (order | changes).items() if value is not None}


def address(partner: int, reference: str) -> str:
    return f"{reference.lower()}@customers{partner}.example"


def event_of(partner: int, reference: str, **changes: Any) -> dict[str, Any]:
    """As the event tells it."""
    terms = {"commission_type": "percentage", "commission_amount": "49.90", "currency": "EUR"}
    return {"partner_id": partner, **terms, **order_of(partner, reference, sale_amount=None, **changes)}


async def submit(lab: JourneyLab, partner: int, *orders: dict[str, Any]) -> list[str]:
    """The partner hands orders in, all in one commit; the keys of the events that this makes."""
    async with lab.appliance.database.begin() as db:
        desk = lab.appliance.partner_desk(db)
        return [(await desk.submit(partner, order, by="the partner"))["event_key"] for order in orders]


async def provisioning(lab: JourneyLab, partner: int, order: dict[str, Any]) -> Installation:
    [key] = await submit(lab, partner, order)
    return await lab.run_of(key)


async def partner_as_is(lab: JourneyLab, number: int) -> PartnerRecord:
    async with lab.appliance.database.read() as db:
        return await PartnerService(db, tenant_id=lab.appliance.tenant_id, now=lab.clock.now).partner(number)


async def left(lab: JourneyLab, partner: int) -> int:
    return (await partner_as_is(lab, partner))["quota_remaining"]


async def test_an_order_becomes_the_partners_customer(lab: JourneyLab, tmp_path: Path) -> None:
    partner = await partner_with(lab, tmp_path, quota=5)
    order = order_of(partner, "N-1", license_count=2)
    run = await provisioning(lab, partner, order)

    ended = await run.until_ended()

    assert (ended.summary.state, ended.summary.reason) == ("completed", None)
    email = address(partner, "N-1")
    customer_id = (await run.result("create_partner_customer"))["customer_id"]
    assert ended.summary.customer_id == customer_id
    assert await standing(lab, email) == Standing(
        customers=("active",),
        licences=("active", "active"),
        pages=("active",),
        mails=("sent",),
        live_links=1,
        earned_minor=624,  # 12.5 % of 49.90, half a cent rounded up
    )
    assert await left(lab, partner) == 3
    assert (await run.result("record_commission"))["amount"] == "6.24"

    url = (await run.result("provision_partner_tenant"))["tenant_url"]
    status, page = await lab.pages.page(url)
    assert (status, (await run.result("tenant_answers"))["status"]) == (200, 200)
    assert "<h1" in page and "Südnetz" in page
    [mail] = lab.mails_at(email)
    assert str(mail.message["Subject"]) == "Südnetz: your account is ready"
    assert f"Südnetz {partner} has set up your account. Licences for you: 2." in mail.body("plain")
    assert url in mail.body("plain") and "#0b5d3b" in mail.body("html")
    assert "FL1." not in mail.body("plain") + mail.body("html")

    # The same order again, at the door or as another system's event, is the same run: nothing is done twice.
    again = await provisioning(lab, partner, order)
    told = await lab.publish(
        "partner.customer.created",
        event_of(
            partner,
            "N-1",
            license_count=2,
            customer_data={"name": "Grace Hopper", "email": email, "phone": "4930555"},
        ),
        key=f"bss/{partner}/N-1",
    )
    assert (again.id, told.state) == (run.id, "refused")
    assert f"Order N-1 of partner {partner} was taken otherwise" in str(told.reason)
    assert "customer_data.phone is +4930555, not 4930555;" in str(told.reason)
    assert "white_label_config.colours.on_primary is #ffffff, and is not said now" in str(told.reason)
    async with lab.appliance.database.read() as db:
        known = await inputs_of(db, tenant_id=lab.appliance.tenant_id, run_ids=[run.id])
    with pytest.raises(EventRefused, match=r"was taken otherwise \(license_count is 2, not 3\)"):
        async with lab.appliance.database.begin() as db:
            changed = {**known[run.id], "license_count": 3}
            await lab.appliance.events.start(db, "partner_customer_provisioning", changed, by="desk")
    assert (await standing(lab, email)).earned_minor == 624
    assert len(lab.mails_at(email)) == 1
    assert await lab.broken_invariants() == []


async def test_without_licences_left_the_run_is_rejected_and_nothing_is_written(
    lab: JourneyLab, tmp_path: Path
) -> None:
    partner = await partner_with(lab, tmp_path, quota=1, commission=FIXED)
    before = await lab.row_counts()

    run = await provisioning(lab, partner, order_of(partner, "N-1", license_count=2, sale_amount=None))
    ended = await run.until_ended()

    assert (ended.summary.state, ended.summary.reason) == (
        "rejected",
        f"partner {partner} (Südnetz {partner}) has 1 licence(s) left, and 2 are wanted",
    )
    after = await lab.row_counts()
    changed = {table for table in after if after[table] != before[table]}
    assert {table for table in changed if not table.startswith("workflow_")} == {"event", "run", "run_note"}
    assert await left(lab, partner) == 1

    # The same order handed in again is its next round; once it has succeeded, it stays one.
    async with lab.appliance.database.begin() as db:
        pool = PartnerService(db, tenant_id=lab.appliance.tenant_id, now=lab.clock.now)
        await pool.grant(partner_id=partner, licenses=1, note="one more", by="sales")
    order = order_of(partner, "N-1", license_count=2, sale_amount=None)
    [key] = await submit(lab, partner, order)
    assert key == f"partner/{partner}/round/2/order/N-1"
    assert (await (await lab.run_of(key)).until_ended()).summary.state == "completed"
    assert await submit(lab, partner, order) == [key]
    assert (await standing(lab, address(partner, "N-1"))).licences == ("active", "active")
    assert await left(lab, partner) == 0


async def test_of_two_runs_at_once_one_takes_the_last_licence(lab: JourneyLab, tmp_path: Path) -> None:
    partner = await partner_with(lab, tmp_path, quota=1)
    keys = await submit(lab, partner, order_of(partner, "N-1"), order_of(partner, "N-2"))

    runs = [await lab.run_of(key) for key in keys]
    ended = [(await run.until_ended()).summary.state for run in runs]

    assert sorted(ended) == ["completed", "rejected"]
    assert await left(lab, partner) == 0
    winner = "N-1" if ended[0] == "completed" else "N-2"
    assert (await standing(lab, address(partner, winner))).licences == ("active",)
    assert await lab.broken_invariants() == []


async def test_who_passed_the_gate_but_comes_second_to_the_pool_is_rejected_and_undone(
    lab: JourneyLab, tmp_path: Path
) -> None:
    partner = await partner_with(lab, tmp_path, quota=1)
    first = await begun_by_hand(lab, JOURNEY, event_of(partner, "N-1"))
    second = await begun_by_hand(lab, JOURNEY, event_of(partner, "N-2"))
    for run in (first, second):
        await walk(run, stop_at="create_partner_customer.committed")
        assert (await run.result("check_license_quota"))["available"] is True

    await walk(first)
    await walk(second)

    assert (await first.view()).summary.state == "completed"
    lost = (await second.view()).summary
    assert (lost.state, str(lost.reason).partition(";")[0]) == (
        "rejected",
        f"Partner {partner} has 0 licence(s) left and 1 are wanted",
    )
    assert await standing(lab, address(partner, "N-2")) == Standing(customers=("withdrawn",))
    assert await left(lab, partner) == 0
    assert await lab.broken_invariants() == []


async def test_killed_at_every_instant_everything_is_there_once(lab: JourneyLab, tmp_path: Path) -> None:
    partner = await partner_with(lab, tmp_path, quota=3)
    email = address(partner, "N-1")
    run = await begun_by_hand(lab, JOURNEY, event_of(partner, "N-1", license_count=2))

    killed_at = await walk_killed_everywhere(run, but=MAIL_MAY_HAVE_ARRIVED_TWICE)

    assert (await run.view()).summary.state == "completed"
    assert {"record_commission.in_tx", "allocate_from_partner.committed", "deliver_email.effect"} <= set(killed_at)
    assert await standing(lab, email) == Standing(
        customers=("active",),
        licences=("active", "active"),
        pages=("active",),
        mails=("sent",),
        live_links=1,
        earned_minor=624,
    )
    assert await left(lab, partner) == 1
    assert await lab.broken_invariants() == []


async def test_cancelled_before_the_mail_is_out_everything_is_taken_back(lab: JourneyLab, tmp_path: Path) -> None:
    partner = await partner_with(lab, tmp_path, quota=2, commission=FIXED)
    email = address(partner, "N-1")
    async with mail_server_down(lab):
        run = await provisioning(lab, partner, order_of(partner, "N-1", license_count=2, sale_amount=None))
        await run.until_retrying("deliver_email")
        assert await left(lab, partner) == 0
        assert (await standing(lab, email)).earned_minor == 2500

        # Done anew from the commission on, it is still one commission.
        await run.retry(from_step="record_commission")
        await run.until_retrying("deliver_email")
        assert (await standing(lab, email)).earned_minor == 2500
        view = await run.view()
        assert [step.round for step in view.steps if step.name == "record_commission"] == [2]
        keeps = [thing.what.partition(" ")[0] for thing in kept(view)]
        assert keeps == ["customer", "allocation", "customer", "commission"]  # the third is their page
        assert kept(view)[3].particulars == "25.00 EUR"

        await run.cancel("ordered by mistake")
        ended = await run.until_ended()

    assert ended.summary.state == "cancelled"
    assert await standing(lab, email) == Standing(
        customers=("withdrawn",),
        licences=("revoked", "revoked"),
        pages=("withdrawn",),
        mails=("withdrawn", "withdrawn"),
    )
    assert await left(lab, partner) == 2
    url = (await run.result("provision_partner_tenant"))["tenant_url"]
    assert (await lab.pages.page(url))[0] == 404
    assert await lab.broken_invariants() == []


async def test_terms_that_are_changed_meanwhile_reject_the_order_and_everything_of_it_is_undone(
    lab: JourneyLab, tmp_path: Path
) -> None:
    partner = await partner_with(lab, tmp_path, quota=2)
    lab.pages.out_of_order = True
    try:
        run = await provisioning(lab, partner, order_of(partner, "N-1"))
        await run.until_retrying("tenant_answers", "tenant.not_answering")
        await agree(lab, tmp_path, partner, quota=2, commission=FIXED)
    finally:
        lab.pages.out_of_order = False
    ended = await run.until_ended()
    assert (ended.summary.state, ended.summary.reason) == (
        "rejected",
        f"with partner {partner} a fixed commission in EUR is agreed, and the order names a percentage commission in "
        "EUR",
    )
    assert await standing(lab, address(partner, "N-1")) == NOTHING_LEFT
    assert await left(lab, partner) == 2


async def test_a_domain_that_is_taken_holds_the_run_before_anything_is_earned(lab: JourneyLab, tmp_path: Path) -> None:
    partner = await partner_with(lab, tmp_path, quota=2)
    brand = {"name": "Südnetz", "domain": f"portal{partner}.example.net"}
    async with lab.appliance.database.begin() as db:
        await prove_host_name(db, partner, brand["domain"], tenant_id=lab.appliance.tenant_id, at=lab.clock.now())
    first = await provisioning(lab, partner, order_of(partner, "N-1", white_label_config=brand))
    assert (await first.until_ended()).summary.state == "completed"

    run = await provisioning(lab, partner, order_of(partner, "N-2", white_label_config=brand))
    held = await run.until_held()

    assert (held.summary.current_step, held.summary.reason_code) == ("provision_partner_tenant", "tenant.domain_taken")
    assert (await standing(lab, address(partner, "N-2"))).earned_minor == 0
    await run.roll_back("they want another domain")
    assert (await run.until_ended()).summary.state == "failed"
    assert await standing(lab, address(partner, "N-2")) == Standing(customers=("withdrawn",), licences=("revoked",))
    assert await left(lab, partner) == 1


async def test_an_event_that_can_not_be_meant_is_refused_with_every_fault(lab: JourneyLab, tmp_path: Path) -> None:
    partner = await partner_with(lab, tmp_path, quota=2, commission=FIXED)
    unreadable = {"name": "Südnetz", "colours": {"primary": "#ffffff", "on_primary": "#fffffe"}}
    data = event_of(partner, "N-1", customer_data={"name": "Grace", "email": "nowhere"}, white_label_config=unreadable)
    before = await lab.row_counts()

    told = await lab.publish("partner.customer.created", data | {"license_count": 5000}, key=f"bss/{partner}/1")

    reason = str(told.reason)
    assert told.state == "refused"
    assert reason.startswith("The partner's order was refused, nothing was written: ")
    for fault in (
        "commission_type is percentage; fixed was agreed",
        "customer_data.email is not a mail address: nowhere",
        "white_label_config.colours.on_primary can't be read on #ffffff",
        "license_count is more than 1000",
    ):
        assert fault in reason
    malformed = data | {"license_count": 0, "partner_id": 99, "commission_type": "none"}
    reason = str((await lab.publish("partner.customer.created", malformed, key=f"bss/{partner}/malformed")).reason)
    for fault in (
        "license_count should be greater than 0",
        "commission_type should be 'percentage' or 'fixed'",
        "partner_id There is no partner 99",
        "customer_data.email is not a mail address: nowhere",
        "white_label_config.colours.on_primary can't be read on #ffffff",
    ):
        assert fault in reason
    fixed = event_of(partner, "N-2", commission_type="fixed", commission_amount="30.00")
    told = await lab.publish("partner.customer.created", fixed, key=f"bss/{partner}/2")
    assert "commission_amount is 30.00; another fixed amount was agreed" in str(told.reason)
    told = await lab.publish("partner.customer.created", fixed | {"partner_id": 99}, key=f"bss/{partner}/3")
    assert "partner_id There is no partner 99" in str(told.reason)
    after = await lab.row_counts()
    assert {table for table in after if after[table] != before[table]} == {"event"}
