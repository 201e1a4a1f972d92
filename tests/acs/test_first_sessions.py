"""What a CPE is told in its very first session: all of it and nothing else, and only one that proves who it is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from acs import (
    FIRST_SESSION_KEY,
    AcsDevice,
    Asking,
    FirstSessionRefused,
    FirstSessions,
    HandedOut,
    ProvisioningCodes,
    provisioning_code,
)
from tests.acs.bench import SERIAL, Bench
from tests.acs.conftest import TENANT

KEY = "0f" * 32
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HEX_SPELLING = "4857544312345678"


def code(serial: str = SERIAL, *, key: str = KEY, tenant_id: str = TENANT) -> str:
    return provisioning_code(key, tenant_id=tenant_id, serial=serial)


ASKING = Asking(acs_name="default", serial=SERIAL, data_model="TR-181", provisioning_code=code())


async def ask(bench: Bench, asking: Asking = ASKING, *, key: str | None = KEY) -> HandedOut:
    async with bench.devices.database.begin() as db:
        clock = bench.devices.clock
        if key is not None:
            bench.secrets.plaintexts[FIRST_SESSION_KEY] = key
        codes = ProvisioningCodes(db, tenant_id=TENANT, now=clock.now, secrets=bench.secrets)
        sessions = FirstSessions(db, tenant_id=TENANT, now=clock.now, secrets=bench.secrets, codes=codes)
        return await sessions.hand_out(asking)


async def set_row(bench: Bench, **facts: Any) -> None:
    async with bench.devices.database.begin() as db:
        await db.execute(update(AcsDevice).values(**facts))


def test_a_code_is_of_one_serial_one_tenant_and_one_key_however_the_serial_is_spelt() -> None:
    assert code(HEX_SPELLING) == code(SERIAL.lower()) == code()
    assert len({code(), code("HWTC12345679"), code(tenant_id="south"), code(key="00" * 32)}) == 4
    assert len(code()) == 32 and code().isalnum() and code().islower()


async def test_a_cpe_with_its_code_is_told_what_is_rendered_for_it(bench: Bench) -> None:
    bound = await bench.bind()
    told = await ask(bench, replace(ASKING, serial=HEX_SPELLING))
    async with bench.devices.database.begin() as db:
        rendered = await bench.devices.settings(db).rendered(device_serial=SERIAL)
    opened = bench.secrets.plaintexts
    shown = {each["path"]: opened.get(str(each["value"]), each["value"]) for each in rendered["parameters"]}
    said = json.loads(told.argument)
    assert {path: value for path, value, *_ in said["params"]} == shown
    assert (said["rev"], said["stale_tags"], told.serial, told.customer_id) == (bound["revision"], [], SERIAL, 1)
    row = await bench.row()
    assert (row.state, row.applied_revision, row.queued_at) == ("awaiting_first_inform", None, None)
    assert (row.handed_out_revision, row.handed_out_at) == (bound["revision"], bench.devices.clock.now())
    assert "s3cret-of-42" not in repr(told)


async def test_it_is_told_the_same_again_in_the_same_session(bench: Bench) -> None:
    await bench.bind()
    assert (await ask(bench)).argument == (await ask(bench)).argument


@pytest.mark.parametrize(
    ("asking", "why"),
    [
        (replace(ASKING, provisioning_code=code("HWTC12345679")), "wrong_code"),
        (replace(ASKING, provisioning_code=""), "wrong_code"),
        (replace(ASKING, provisioning_code="é" * 32), "wrong_code"),
        (replace(ASKING, serial="HWTC12345679"), "wrong_code"),
        (replace(ASKING, serial="HWTC12345679", provisioning_code=code("HWTC12345679")), "not_waiting"),
        (replace(ASKING, serial="*"), "no_code"),
        (replace(ASKING, acs_name="south"), "other_acs"),
        (replace(ASKING, data_model="TR-098"), "wrong_data_model"),
    ],
    ids=str,
)
async def test_nobody_else_is_told_anything_nor_why(bench: Bench, asking: Asking, why: str) -> None:
    await bench.bind()
    with capture_logs() as logs, pytest.raises(FirstSessionRefused) as refused:
        await ask(bench, asking)
    assert str(refused.value) == str(FirstSessionRefused())
    assert [line["why"] for line in logs] == [why]
    assert not asking.provisioning_code or asking.provisioning_code not in str(logs) + repr(asking)
    assert (await bench.row()).handed_out_at is None


async def test_before_a_key_was_made_no_code_is_good(bench: Bench) -> None:
    await bench.bind()
    with pytest.raises(FirstSessionRefused):
        await ask(bench, key=None)


async def test_one_of_another_model_is_told_nothing(bench: Bench) -> None:
    await bench.bind(template="huawei-tr098")
    fitting = replace(ASKING, data_model="TR-098", manufacturer="Huawei", product_class="HG8245H")
    with pytest.raises(FirstSessionRefused):
        await ask(bench, replace(fitting, manufacturer="ZTE", product_class="F670L"))
    assert json.loads((await ask(bench, fitting)).argument)["select"]


@pytest.mark.parametrize(
    "facts",
    [{"state": "faulted"}, {"state": "verified"}, {"applied_at": NOW}, {"handed_over_at": NOW}],
    ids=str,
)
async def test_a_cpe_that_had_its_first_settings_or_is_at_rest_is_told_nothing(
    bench: Bench, facts: dict[str, Any]
) -> None:
    await bench.bind()
    await set_row(bench, **facts)
    with pytest.raises(FirstSessionRefused):
        await ask(bench)


async def test_a_withdrawn_one_is_told_nothing(bench: Bench) -> None:
    await bench.bind()
    await ask(bench)
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    with pytest.raises(FirstSessionRefused):
        await ask(bench)


async def test_what_was_handed_out_before_a_withdrawal_is_looked_for_at_the_acs(bench: Bench) -> None:
    await bench.bind()
    await ask(bench)
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    assert (await bench.row()).cleared_at is None
    assert (await bench.convergence.withdraw(SERIAL))["cleared"]
    assert (await bench.row()).cleared_at is not None


async def test_a_secret_that_does_not_open_keeps_all_of_it_back(bench: Bench) -> None:
    await bench.bind()
    del bench.secrets.plaintexts["secret:subscriber/42"]
    with pytest.raises(FirstSessionRefused):
        await ask(bench)
