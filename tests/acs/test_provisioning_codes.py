"""Another key makes other codes; those of the one before are good for as long as was said, and not a moment longer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from acs import (
    FIRST_SESSION_KEY,
    CodeKeyRecord,
    CodesRotatedLately,
    FirstSessionRefused,
    FirstSessions,
    ProvisioningCodes,
    provisioning_code,
)
from tests.acs.bench import SERIAL, Bench
from tests.acs.conftest import TENANT
from tests.acs.test_first_sessions import ASKING, KEY, code

MONTH = timedelta(days=30)


@pytest.fixture(autouse=True)
def first_key(bench: Bench) -> None:
    bench.secrets.plaintexts[FIRST_SESSION_KEY] = KEY


async def rotate(bench: Bench, keep: timedelta = MONTH, request_id: str | None = None) -> CodeKeyRecord:
    async with bench.devices.database.begin() as db:
        codes = ProvisioningCodes(db, tenant_id=TENANT, now=bench.devices.clock.now, secrets=bench.secrets)
        return await codes.rotate(keep=keep, request_id=request_id)


async def end_former(bench: Bench) -> CodeKeyRecord:
    async with bench.devices.database.begin() as db:
        codes = ProvisioningCodes(db, tenant_id=TENANT, now=bench.devices.clock.now, secrets=bench.secrets)
        return await codes.end_former()


async def told_why_not(bench: Bench, provisioning_code: str) -> str | None:
    """Why a CPE with that code is refused; None when it is answered for."""
    with capture_logs() as logs:
        try:
            async with bench.devices.database.begin() as db:
                clock = bench.devices.clock.now
                codes = ProvisioningCodes(db, tenant_id=TENANT, now=clock, secrets=bench.secrets)
                sessions = FirstSessions(db, tenant_id=TENANT, now=clock, secrets=bench.secrets, codes=codes)
                await sessions.hand_out(replace(ASKING, provisioning_code=provisioning_code))
        except FirstSessionRefused:
            return str(logs[-1]["why"])
    return None


def new_code(bench: Bench) -> str:
    return provisioning_code(bench.secrets.plaintexts[FIRST_SESSION_KEY], tenant_id=TENANT, serial=SERIAL)


async def test_after_a_rotation_both_codes_are_good_and_after_its_time_the_new_one_alone(bench: Bench) -> None:
    await bench.bind()
    record = await rotate(bench)
    until = bench.devices.clock.time + MONTH
    assert (record["rotated"], record["former_until"], record["former_is_good"], record["waiting"]) == (
        True,
        until,
        True,
        1,
    )
    assert new_code(bench) != code()
    assert [await told_why_not(bench, each) for each in (code(), new_code(bench), "x" * 32)] == [
        None,
        None,
        "wrong_code",
    ]
    bench.devices.clock.time = until
    assert [await told_why_not(bench, each) for each in (code(), new_code(bench))] == ["old_code", None]


async def test_who_last_used_a_former_code_is_told(bench: Bench) -> None:
    await bench.bind()
    await rotate(bench)
    await told_why_not(bench, new_code(bench))
    assert (await end_former(bench))["former_used_at"] is None
    await rotate(bench)
    former_code = provisioning_code(
        bench.secrets.plaintexts["secret:first_session/former_key"], tenant_id=TENANT, serial=SERIAL
    )
    assert await told_why_not(bench, former_code) is None
    record = await end_former(bench)
    assert (record["former_used_at"], record["former_used_by"]) == (bench.devices.clock.time, SERIAL)


async def test_a_second_rotation_ends_no_codes_that_were_promised_to_be_good(bench: Bench) -> None:
    await bench.bind()
    await rotate(bench)
    key = bench.secrets.plaintexts[FIRST_SESSION_KEY]
    with pytest.raises(CodesRotatedLately, match=r"are good until 2026-04-01 09:00 UTC.*Nothing was changed"):
        await rotate(bench)
    assert bench.secrets.plaintexts[FIRST_SESSION_KEY] == key
    assert await told_why_not(bench, code()) is None
    assert not (await end_former(bench))["former_is_good"]
    assert await told_why_not(bench, code()) == "old_code"
    assert (await rotate(bench))["rotated"]


async def test_a_key_that_was_seen_is_ended_at_once_with_the_one_before(bench: Bench) -> None:
    await bench.bind()
    await rotate(bench)
    seen = new_code(bench)
    assert not (await rotate(bench, timedelta()))["former_is_good"]
    whys = [await told_why_not(bench, each) for each in (code(), seen, new_code(bench))]
    assert whys == ["wrong_code", "old_code", None]


async def test_the_request_made_again_rotates_nothing(bench: Bench) -> None:
    await bench.bind()
    for keep in (MONTH, timedelta()):
        name = f"after nora left, {keep}"
        first = await rotate(bench, keep, name)
        key = bench.secrets.plaintexts[FIRST_SESSION_KEY]
        assert await rotate(bench, keep, name) == {**first, "rotated": False}
        assert bench.secrets.plaintexts[FIRST_SESSION_KEY] == key


async def test_of_two_who_rotate_at_once_one_does(bench: Bench) -> None:
    told = await asyncio.gather(*(rotate(bench) for _ in range(3)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in told) == ["CodesRotatedLately", "CodesRotatedLately", "dict"]
    await bench.bind()
    assert [await told_why_not(bench, each) for each in (code(), new_code(bench))] == [None, None]


async def test_where_no_code_was_ever_told_nothing_stays_good(bench: Bench) -> None:
    del bench.secrets.plaintexts[FIRST_SESSION_KEY]
    record = await rotate(bench)
    assert (record["former_until"], record["former_is_good"]) == (None, False)
    await bench.bind()
    assert [await told_why_not(bench, each) for each in (code(), new_code(bench))] == ["wrong_code", None]


async def test_no_key_is_in_what_is_told_or_logged(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    await bench.bind()
    told = [repr(await rotate(bench)), repr(await end_former(bench))]
    async with bench.devices.database.begin() as db:
        keys = await ProvisioningCodes(db, tenant_id=TENANT, now=bench.devices.clock.now, secrets=bench.secrets).keys()
    told += [repr(keys), capsys.readouterr().out]
    assert keys.current is not None and keys.former == KEY
    assert not [text for text in told if KEY in text or keys.current in text]
