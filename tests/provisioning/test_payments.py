"""The door for settlements: the payment and the run that waits for it change in one commit, or neither does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial import CustomerService
from provisioning.commercial.payments import (
    GatewayEvent,
    NotSettledByHand,
    PaymentOver,
    RefundNotAsked,
    SettlementConflict,
)
from provisioning.commercial.payments.ports import Awaiting, Captured
from provisioning.commercial.payments.tables import Payment, PaymentEvent
from provisioning.database import Database
from provisioning.errors import InvalidRequest
from provisioning.payments import PaymentDesk
from provisioning.tables import ProvisioningBase
from workflows import Definition, Runs
from workflows.answers import PaymentMethod, PaymentSettled
from workflows.engine.interpreter import Interpreter
from workflows.engine.run_views import show_run
from workflows.engine.step_kit import wait_for
from workflows.engine.tables import WorkflowBase
from workflows.testing import InlineDispatch, VirtualClock

TENANT = "north"


class Waiting(TypedDict):
    payment_id: int


settled = wait_for(
    "settled",
    signal="payment_settled",
    payload=PaymentSettled,
    says="waiting for the money",
    subject=lambda run: str(run.input["payment_id"]),
)
JOURNEY = Definition(
    name="waiting",
    version=1,
    input=Waiting,
    steps=(settled,),
    key=lambda data: f"payment/{data['payment_id']}",
    customer_id=lambda _data: 42,
)
DEFINITIONS: dict[tuple[str, int], Definition[Any]] = {("waiting", 1): JOURNEY}


@dataclass
class Office:
    """One payment of an order, and a run that waits for it."""

    database: Database
    clock: VirtualClock
    runs: Runs

    def desk(self, db: AsyncSession) -> PaymentDesk:
        return PaymentDesk(db, runs=self.runs, tenant_id=TENANT, now=self.clock)

    async def add(self, method: PaymentMethod) -> tuple[int, int]:
        """(payment, run)"""
        async with self.database.begin() as db:
            row = Payment(
                tenant_id=TENANT,
                order_id=3,
                customer_id=42,
                amount_minor=1250,
                currency="EUR",
                method=method,
                provider="stripe" if method == "card" else "manual",
                state="awaiting",
                provider_ref="pi_1" if method == "card" else None,
                idempotency_key="payment/north/1",
                requested_at=self.clock(),
            )
            db.add(row)
            await db.flush()
            run_id, _ = await self.runs.start(db, "waiting", {"payment_id": row.id}, by="test")
            payment_id = row.id
        await self.drain()
        return payment_id, run_id

    async def drain(self) -> None:
        interpreter: Interpreter[Any, Any] = Interpreter(
            begin=self.database.begin,
            services=lambda db: db,
            outside=None,
            definitions=DEFINITIONS,
            clock=self.clock,
            tenant_id=TENANT,
        )
        await InlineDispatch(self.database.begin, interpreter, self.runs, self.clock).drain()

    async def run(self, run_id: int) -> tuple[str, Any]:
        await self.drain()
        async with self.database.begin() as db:
            view = await show_run(db, run_id, tenant_id=TENANT, definitions=DEFINITIONS)
        return view.summary.state, view.steps[0].result


@pytest.fixture
async def office(database: Database) -> Office:
    async with database.engine.begin() as connection:
        await connection.run_sync(ProvisioningBase.metadata.create_all)
        await connection.run_sync(WorkflowBase.metadata.create_all)
    clock = VirtualClock()
    runs = Runs(definitions=DEFINITIONS, doorbell=InlineDispatch.doorbell, clock=clock, tenant_id=TENANT)
    async with database.begin() as db:
        await CustomerService(db, tenant_id=TENANT, now=clock).register(
            name="Ada", email="ada@example.com", customer_id=42
        )
    return Office(database, clock, runs)


async def test_an_operators_word_captures_the_payment_and_moves_the_run_once(office: Office) -> None:
    payment_id, run_id = await office.add("bank")
    async with office.database.begin() as db:
        assert await office.desk(db).settle(payment_id=payment_id, reference="statement 7", by="nora") == [run_id]
    async with office.database.begin() as db:
        assert await office.desk(db).settle(payment_id=payment_id, reference="statement 7", by="nora") == []
        row = await db.get_one(Payment, payment_id)
        assert (row.state, row.provider_ref, row.settled_by) == ("captured", "statement 7", "nora")
        with pytest.raises(SettlementConflict, match="settled with statement 7 by nora already"):
            await office.desk(db).settle(payment_id=payment_id, reference="statement 8", by="otto")
    assert await office.run(run_id) == ("completed", {"state": "captured", "reference": "statement 7"})


async def test_a_commit_that_fails_leaves_payment_and_run_as_they_were(office: Office) -> None:
    payment_id, run_id = await office.add("cash")
    with pytest.raises(RuntimeError):
        async with office.database.begin() as db:
            await office.desk(db).settle(payment_id=payment_id, reference="till 4", by="nora")
            raise RuntimeError
    async with office.database.begin() as db:
        assert (await db.get_one(Payment, payment_id)).state == "awaiting"
    assert (await office.run(run_id))[0] == "pending"


async def test_a_gateways_event_moves_the_run_once_and_one_that_settles_nothing_does_not(office: Office) -> None:
    payment_id, run_id = await office.add("card")
    event = GatewayEvent("stripe", "e1", "t", office.clock(), "payment/north/1", "pi_1", Awaiting("pi_1"))
    captured = GatewayEvent("stripe", "e2", "t", office.clock(), None, "pi_1", Captured("pi_1", 1250, "EUR"))
    told = []
    for each in (event, captured, captured, event):
        async with office.database.begin() as db:
            told.append(await office.desk(db).hear(each))
    assert told == [[], [run_id], [], []]
    assert await office.run(run_id) == ("completed", {"state": "captured", "reference": "pi_1"})
    async with office.database.begin() as db:
        assert (await db.scalars(select(PaymentEvent.outcome).order_by(PaymentEvent.id))).all() == [
            "applied",
            "applied",
        ]
        assert (
            await office.desk(db).hear(GatewayEvent("stripe", "e3", "t", office.clock(), None, "pi_9", Awaiting()))
            == []
        )
    assert payment_id


async def test_nobody_settles_what_a_gateway_takes_or_what_was_taken_back(office: Office) -> None:
    payment_id, _ = await office.add("card")
    async with office.database.begin() as db:
        with pytest.raises(NotSettledByHand, match="is taken by stripe, which says itself"):
            await office.desk(db).settle(payment_id=payment_id, reference="x", by="nora")
        row = await db.get_one(Payment, payment_id)
        row.provider, row.state, row.reason = "manual", "cancelled", "order undone"
        await db.flush()
        with pytest.raises(PaymentOver, match=r"is cancelled \(order undone\)"):
            await office.desk(db).settle(payment_id=payment_id, reference="x", by="nora")
        with pytest.raises(RefundNotAsked, match="nobody has asked for its money to go back"):
            await office.desk(db).paid_back(payment_id=payment_id, reference="x", by="nora")
        with pytest.raises(InvalidRequest, match="reference is missing; by is missing"):
            await office.desk(db).settle(payment_id=payment_id, reference=" ", by="")
