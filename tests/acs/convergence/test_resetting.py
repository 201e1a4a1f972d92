"""A CPE whose service has ended: it is called reset only after it has said so, and nothing waits for it in vain."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acs import DeviceUnreachable, NotYet, ResetOutcome, ResetRequest
from acs.testing import LabCpe
from tests.acs.bench import SERIAL, USERNAME, Bench

pytestmark = pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)  # nothing of it depends on that

WITHIN = timedelta(hours=24)


async def left_behind(bench: Bench) -> LabCpe:
    """A CPE with a subscriber's login, unbound from its service."""
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.reboot_seconds = 1.0
    await bench.convergence.apply(SERIAL)
    await bench.convergence.release(SERIAL, service_id=7)
    assert cpe.value(USERNAME) == "u42@isp"
    return cpe


async def asked(bench: Bench) -> ResetRequest:
    return await bench.convergence.request_reset(SERIAL, within=WITHIN)


async def see(bench: Bench, request: ResetRequest, *, last_look: bool = False) -> ResetOutcome:
    return await bench.convergence.see_reset(request, last_look=last_look)


async def tasks(bench: Bench, cpe: LabCpe) -> list[str]:
    return [task.name for task in await bench.nbi.tasks(cpe.device_id)]


async def test_a_cpe_that_reports_as_a_new_one_was_reset(bench: Bench) -> None:
    cpe = await left_behind(bench)
    request = await asked(bench)
    assert (request["over"], await tasks(bench, cpe)) == (None, ["factoryReset"])
    assert cpe.value(USERNAME) == "u42@isp"

    outcome = await see(bench, request)

    assert (outcome["state"], outcome["reason"]) == (
        "reset",
        f"CPE {SERIAL} was reset: it has reported as a new one.",
    )
    assert cpe.value(USERNAME) == ""
    assert await tasks(bench, cpe) == []
    assert await see(bench, request) == outcome


async def test_asked_twice_it_is_reset_once(bench: Bench) -> None:
    cpe = await left_behind(bench)
    await asked(bench)
    request = await asked(bench)
    assert await tasks(bench, cpe) == ["factoryReset"]
    assert (await see(bench, request))["state"] == "reset"
    assert [rpc for rpc, _ in cpe.rpcs_seen].count("FactoryReset") == 1


async def test_one_that_cannot_be_reached_is_waited_for_and_then_called_not_reset(bench: Bench) -> None:
    cpe = await left_behind(bench)
    await cpe.power_off()
    request = await asked(bench)
    with pytest.raises(DeviceUnreachable, match=r"it is reset at its next Inform"):
        await see(bench, request)
    assert await tasks(bench, cpe) == ["factoryReset"]

    outcome = await see(bench, request, last_look=True)

    assert (outcome["state"], outcome["reason"]) == (
        "not_reached",
        f"CPE {SERIAL} could not be reached and was not reset; nothing waits for it at the ACS now.",
    )
    assert await tasks(bench, cpe) == []
    await cpe.power_on()
    assert cpe.value(USERNAME) == "u42@isp"


async def test_one_that_was_sent_the_reset_and_never_reports_again_is_not_called_reset(bench: Bench) -> None:
    cpe = await left_behind(bench)
    cpe.quirks.reboot_seconds = 3600.0
    request = await asked(bench)
    with pytest.raises(NotYet) as waiting:
        await see(bench, request)
    assert waiting.value.reason == "not_seen_since_reset"
    assert (await see(bench, request, last_look=True))["state"] == "unproven"


async def test_one_that_refuses_is_told_with_its_words(bench: Bench) -> None:
    cpe = await left_behind(bench)
    cpe.quirks.unsupported = frozenset({"FactoryReset"})
    outcome = await see(bench, await asked(bench))
    assert outcome["state"] == "refused"
    assert outcome["reason"].startswith(f"CPE {SERIAL} refused to be reset: the CPE does not know this method")
    assert (await tasks(bench, cpe), await bench.nbi.faults(cpe.device_id)) == ([], ())


async def test_one_that_serves_somebody_else_by_now_is_left_alone(bench: Bench) -> None:
    cpe = await left_behind(bench)
    request = await asked(bench)
    await bench.bind()
    assert (await see(bench, request))["state"] == "in_use"
    assert await tasks(bench, cpe) == []
    assert (await asked(bench))["over"] == "in_use"
    assert await tasks(bench, cpe) == []
    assert cpe.value(USERNAME) == "u42@isp"


async def test_one_that_the_acs_has_never_seen_was_not_reset(bench: Bench) -> None:
    await bench.bind()
    await bench.convergence.release(SERIAL, service_id=7)
    request = await asked(bench)
    assert (request["over"], request["device_id"]) == ("not_known", None)
    assert (await see(bench, request))["reason"] == f"CPE {SERIAL} is not known to the ACS and was not reset."
