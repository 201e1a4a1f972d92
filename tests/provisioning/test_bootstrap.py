"""The composition: settings become parts that know nothing of settings, and tenants that know nothing of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial import DeliveryUnknown
from provisioning.commercial.payments.ports import StoredCard
from provisioning.commercial.payments.tables import Payment, PaymentEvent
from provisioning.commercial.payments.testing import StripeDouble
from provisioning.commercial.testing import MailSink, Quirk
from provisioning.estate import import_estate
from provisioning.settings import SettingsRefused
from provisioning.tickets import read_ticket
from provisioning.vault import KeyringMissing
from provisioning.worker import Pace, open_worker
from tests.provisioning.commercial.conftest import ACTIVATION
from tests.support.appliances import ESTATE, TICKET, Original
from workflows import list_runs, show_run
from workflows.engine.tables import RunRow
from workflows.errors import CodeMissing, RunUnknown

NBI = "http://127.0.0.1:1"


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(migrated.copy(tmp_path, genieacs_nbi_url=NBI)) as opened:
        await import_estate(opened, ESTATE)
        yield opened


async def start(appliance: Appliance) -> int:
    async with appliance.database.begin() as db:
        return (await appliance.desk(db).accept(read_ticket(TICKET), by="test")).run_id


async def test_an_isps_patience_reaches_its_journeys(migrated_sqlite: Original, tmp_path: Path) -> None:
    patience = {"visit_hold_hours": 10, "line_wait_hours": 2, "inform_wait_minutes": 3, "session_wait_minutes": 4}
    patience |= {"testing_hours": 5, "payment_wait_days": 6, "renewal_reminder_days": 7}
    async with open_appliance(migrated_sqlite.copy(tmp_path, **patience)) as appliance:
        of_journey = {name: each.patience for (name, _), each in appliance.definitions.items()}
    assert of_journey["customer_renewal_process"] == {"reminder": timedelta(days=7), "payment": timedelta(days=6)}
    assert of_journey["quote_accepted_to_order"]["payment"] == timedelta(days=6)
    assert of_journey["isp_ticket_to_deployment"] == {
        "visit": timedelta(hours=10),
        "line": timedelta(hours=2),
        "inform": timedelta(minutes=3),
        "session": timedelta(minutes=4),
        "testing": timedelta(hours=5),
    }


async def test_the_settings_of_stripe_reach_the_one_who_takes_the_money(
    migrated_sqlite: Original, tmp_path: Path
) -> None:
    for name, value in (("key", "sk_test_double"), ("signing", "whsec_double")):
        (tmp_path / name).write_text(f"{value}\n")
    async with StripeDouble() as double:
        settings = migrated_sqlite.copy(
            tmp_path / "data",
            genieacs_nbi_url=NBI,
            stripe_url=double.url,
            stripe_api_key_file=tmp_path / "key",
            stripe_webhook_secret_file=tmp_path / "signing",
        )
        async with open_appliance(settings) as appliance, open_worker(appliance) as worker:
            await import_estate(appliance, ESTATE)
            async with appliance.database.begin() as db:
                row = Payment(
                    tenant_id=appliance.tenant_id,
                    order_id=3,
                    customer_id=1001,
                    amount_minor=1250,
                    currency="EUR",
                    method="card",
                    provider="stripe",
                    state="requested",
                    idempotency_key="payment/default/1",
                    requested_at=appliance.clock(),
                )
                db.add(row)
                await db.flush()
                await appliance.cards(db).give_to_payment(row.id, StoredCard("cus_ada", "pm_card_visa"))
            assert (await worker.outside.payments.capture(row.id))["state"] == "captured"
            told = double.account.webhooks[0]
            event = appliance.webhook_readers["stripe"].parse_webhook(told.body, told.headers)
            assert event is not None
            async with appliance.database.begin() as db:
                assert await appliance.payment_desk(db).hear(event) == []
                assert await db.scalar(select(PaymentEvent.outcome)) == "applied"


async def test_what_one_service_writes_another_of_the_same_transaction_reads(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        allocated = await services.network_service.allocate_resources(
            customer_id=1001, service_location="LOC-10293", bandwidth_plan="fiber-300"
        )
        assert allocated["username"].endswith("@isp.example")
        await services.billing_service.activate_service(customer_id=1001, service_id=allocated["service_id"])
        await db.rollback()
    async with appliance.database.begin() as db:
        assert await appliance.services(db).network_service.active_service_ids() == []


async def test_a_mail_servers_answer_is_waited_for_as_long_as_the_settings_say(
    migrated_sqlite: Original, tmp_path: Path
) -> None:
    async with MailSink(tmp_path / "mails") as sink:
        sink.misbehave(Quirk.KEEP_AND_SAY_NOTHING)
        smtp = {"smtp_host": "127.0.0.1", "smtp_port": sink.port, "smtp_answer_timeout_seconds": 0.2}
        settings = migrated_sqlite.copy(tmp_path / "copy", genieacs_nbi_url=NBI, **smtp)
        async with open_appliance(settings) as appliance, open_worker(appliance) as worker, asyncio.timeout(20):
            async with appliance.database.begin() as db:
                queued = await appliance.services(db).communications_service.send_template_email(
                    template="service_activated", recipient="ada@example.com", variables=ACTIVATION, request_id="a/mail"
                )
            with pytest.raises(DeliveryUnknown, match="which never said whether it took it"):
                await worker.outside.mail.deliver(queued["email_id"])


async def test_no_keyring_no_appliance(appliance: Appliance) -> None:
    appliance.settings.sealing_key_file.unlink()
    with pytest.raises(KeyringMissing):
        async with open_appliance(appliance.settings):
            pass


async def test_a_worker_needs_an_acs(appliance: Appliance) -> None:
    without = appliance.settings.model_copy(update={"genieacs_nbi_url": None})
    async with open_appliance(without) as opened:
        with pytest.raises(SettingsRefused, match="FIRSTLIGHT_GENIEACS_NBI_URL"):
            async with open_worker(opened):
                pass


async def test_a_worker_without_the_code_of_an_open_run_does_not_start(appliance: Appliance) -> None:
    run_id = await start(appliance)
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(version=99))
    with pytest.raises(CodeMissing, match=r"isp_ticket_to_deployment version 99 \(1 open\)"):
        async with open_worker(appliance):
            pass
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).values(state="cancelled", finished_at=appliance.clock()))
    async with open_worker(appliance) as worker:
        assert worker.dispatch.executor_id


async def test_what_a_dead_worker_had_in_hand_is_taken_up_when_the_next_one_starts(appliance: Appliance) -> None:
    run_id, is_postgresql = await start(appliance), appliance.database.is_postgresql
    table = "dbos.workflow_status" if is_postgresql else "workflow_status"
    async with appliance.database.begin() as db:
        dead = {"dead": "worker-dead" if is_postgresql else f"single-{appliance.tenant_id}", "name": f"run:{run_id}:1"}
        taken = f"UPDATE {table} SET status = 'PENDING', executor_id = :dead WHERE workflow_uuid = :name"
        await db.execute(text(taken), dead)
    async with open_worker(appliance, pace=Pace(lost_every_seconds=3600)), asyncio.timeout(30):
        while await state_of(appliance, run_id) != "pending":  # noqa: ASYNC110 - a row of the database
            await asyncio.sleep(0.05)


async def state_of(appliance: Appliance, run_id: int) -> str:
    async with appliance.database.read() as db:
        return (await db.get_one(RunRow, run_id)).state


async def test_two_isps_in_one_database_do_not_see_each_others_runs(appliance: Appliance) -> None:
    mine = await start(appliance)
    other = appliance.settings.model_copy(update={"tenant_id": "south"})
    async with open_appliance(other) as south, south.database.begin() as db:
        assert await list_runs(db, tenant_id=south.tenant_id) == []
        with pytest.raises(RunUnknown):
            await show_run(db, mine, tenant_id=south.tenant_id, definitions=south.definitions)
        for decision in (south.runs.retry(db, mine, by="x"), south.runs.cancel(db, mine, by="x", reason="y")):
            with pytest.raises(RunUnknown):
                await decision
        assert await south.services(db).network_service.active_service_ids() == []


async def test_a_worker_tells_teams_what_is_queued_for_them(migrated_sqlite: Original, tmp_path: Path) -> None:
    async with MailSink(tmp_path / "mails") as sink:
        settings = migrated_sqlite.copy(tmp_path, genieacs_nbi_url=NBI, smtp_host="127.0.0.1", smtp_port=sink.port)
        async with open_appliance(settings) as appliance:
            await import_estate(appliance, ESTATE)
            async with appliance.database.begin() as db:
                await appliance.services(db).notifications_service.notify_team(
                    team="deployment", channel="email", subject="Order 1", message="Order 1 is paid."
                )
            async with open_worker(appliance, pace=Pace(notices_every_seconds=0.1)):
                (mail,) = await sink.wait_for_mails(1)
    assert (mail.message["To"], mail.message["Subject"]) == ("deployment@isp.example", "Order 1")
