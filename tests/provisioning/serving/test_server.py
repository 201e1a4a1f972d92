"""Serving: until told to stop, with a worker where there is none."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest

from provisioning.api.errors import AddressUnusable
from provisioning.serving import serve
from provisioning.serving.server import GRACE_SECONDS, listen_for_each
from provisioning.sole_worker import WorkerRunning, sole_worker
from tests.support.api import Api
from tests.support.console import PASSWORD, SAME_ORIGIN, add_user


async def test_it_answers_until_it_is_told_to_stop(api: Api, log_lines: Callable[[], list[dict[str, Any]]]) -> None:
    token = await api.token("admin")
    with sole_worker(api.appliance.database.url, tenant_id=api.appliance.tenant_id):
        serving = asyncio.create_task(serve(api.appliance, host="127.0.0.1", port=0, with_worker=None))
        while not (started := [line for line in log_lines() if line["event"] == "serving"]):
            assert not serving.done()
            await asyncio.sleep(0.01)
        address = f"http://127.0.0.1:{started[0]['port']}/api/v1/runs"
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(address, headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, len(answer.json()["items"])) == (200, 4)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(serving, 30)
    assert started[0]["worker"] is False
    assert any(line["event"] == "serving without a worker" for line in log_lines())


async def test_a_second_worker_and_a_taken_address_are_refused_before_anybody_is_served(api: Api) -> None:
    with (
        sole_worker(api.appliance.database.url, tenant_id=api.appliance.tenant_id),
        pytest.raises(WorkerRunning),
    ):
        settings = api.appliance.settings.model_copy(update={"genieacs_nbi_url": "http://127.0.0.1:7557"})
        api.appliance.settings = settings
        await serve(api.appliance, host="127.0.0.1", port=0, with_worker=True)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AddressUnusable, match="in use"):
        await serve(api.appliance, host="127.0.0.1", port=taken.getsockname()[1], with_worker=False)


def test_connections_are_spread_over_the_sockets_of_one_address_that_nobody_else_gets() -> None:
    with listen_for_each("127.0.0.1", 0, 2) as sockets, ExitStack() as stack:
        [(host, port)] = {one.getsockname() for one in sockets}
        for _ in range(64):
            stack.enter_context(socket.create_connection((host, port)))
        accepted = []
        for one in sockets:
            one.setblocking(False)
            accepted.append(0)
            with suppress(BlockingIOError):
                while True:
                    stack.enter_context(one.accept()[0])
                    accepted[-1] += 1
        assert sum(accepted) == 64
        assert min(accepted) > 10
        with (
            pytest.raises(AddressUnusable, match=f"port {port}: Address already in use"),
            listen_for_each(host, port, 2),
        ):
            raise AssertionError("two have one address")


async def test_it_stops_at_once_although_somebody_looks_at_a_live_page(
    api: Api, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    await add_user(api.appliance, "nora", "noc")
    told: list[str] = []
    serving = asyncio.create_task(serve(api.appliance, host="127.0.0.1", port=0, with_worker=False, tell=told.append))
    while not (started := [line for line in log_lines() if line["event"] == "serving"]):
        assert not serving.done()
        await asyncio.sleep(0.01)
    base = f"http://127.0.0.1:{started[0]['port']}"
    async with httpx.AsyncClient(trust_env=False, base_url=base) as client:
        form = {"login_name": "nora", "password": PASSWORD}
        answer = await client.post("/sign-in", data=form, headers=SAME_ORIGIN)
        assert answer.status_code == 303 and "Secure" in answer.headers["set-cookie"]  # we answer at https from outside
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        async with client.stream("GET", "/live", params={"topic": "held"}, headers=cookie) as stream:
            lines = stream.aiter_lines()
            assert [await anext(lines), await anext(lines)] == ["event: moved", "data: held"]
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(serving, GRACE_SECONDS / 2)
            assert [line async for line in lines if line and not line.startswith(":")] == []
    assert told == []  # somebody can sign in


async def test_where_it_listens_at_every_address_the_first_person_is_led_to_this_machine(
    api: Api, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    api.appliance.settings = api.appliance.settings.model_copy(update={"public_url": None})
    told: list[str] = []
    serving = asyncio.create_task(serve(api.appliance, host="0.0.0.0", port=0, with_worker=False, tell=told.append))
    while not (started := [line for line in log_lines() if line["event"] == "serving"]):
        assert not serving.done()
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, GRACE_SECONDS / 2)
    [link] = told
    assert f": http://localhost:{started[0]['port']}/welcome/" in link


@pytest.mark.parametrize(
    ("proxies", "believed"),
    [
        (None, True),  # we come from loopback, as a proxy on the same machine does
        (("127.0.0.0/8", "10.0.0.5/32"), True),
        (("10.0.0.5/32",), False),
    ],
)
async def test_of_the_proxies_that_are_set_alone_it_believes_whose_address_it_is_and_that_it_was_tls(
    api: Api, log_lines: Callable[[], list[dict[str, Any]]], proxies: tuple[str, ...] | None, believed: bool
) -> None:
    wanted = {"public_url": None} | ({} if proxies is None else {"trusted_proxies": proxies})
    api.appliance.settings = api.appliance.settings.model_copy(update=wanted)
    await add_user(api.appliance, "nora", "noc")
    serving = asyncio.create_task(serve(api.appliance, host="127.0.0.1", port=0, with_worker=False))
    while not (started := [line for line in log_lines() if line["event"] == "serving"]):
        assert not serving.done()
        await asyncio.sleep(0.01)
    forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto": "https"}
    base = f"http://127.0.0.1:{started[0]['port']}"
    async with httpx.AsyncClient(trust_env=False, base_url=base, headers={**SAME_ORIGIN, **forwarded}) as client:
        refused = await client.post("/sign-in", data={"login_name": "nora", "password": "guess"})
        answer = await client.post("/sign-in", data={"login_name": "nora", "password": PASSWORD})
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, GRACE_SECONDS / 2)
    assert (refused.status_code, answer.status_code) == (401, 303)
    [address] = [line["address"] for line in log_lines() if line["event"] == "sign-in refused"]
    assert address == ("203.0.113.9" if believed else "127.0.0.1")  # never what the browser itself has written
    assert ("Secure" in answer.headers["set-cookie"]) is believed
