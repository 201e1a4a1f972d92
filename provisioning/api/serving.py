"""Serving the application until told to stop: requests under way are answered first, then the worker comes to rest."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import structlog
import uvicorn

from provisioning.api.app import create_app
from provisioning.api.errors import AddressUnusable
from provisioning.bootstrap import Appliance
from provisioning.settings import SettingsRefused
from provisioning.sole_worker import WorkerRunning
from provisioning.worker import open_worker

GRACE_SECONDS = 20
"""How long requests under way may take after the word to stop."""

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn raises them again when it is done, and the worker would die in mid-step."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(appliance: Appliance, *, host: str, port: int, with_worker: bool | None) -> None:
    """Answers until SIGTERM or SIGINT. ``with_worker``: whether runs are moved here too; None: on SQLite, which bears
    one worker, if there is none and it can be started.

    Raises: AddressUnusable; with ``with_worker=True`` what ``open_worker`` raises.
    """
    config = uvicorn.Config(
        create_app(appliance),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    async with AsyncExitStack() as stack:
        stack.enter_context(_stopped_by_signals(server))
        listening = stack.enter_context(_listen(host, port))
        moves_runs = await _start_worker(appliance, stack, with_worker)
        bound_host, bound_port = listening.getsockname()[:2]
        log.info("serving", host=bound_host, port=bound_port, worker=moves_runs)
        await server.serve(sockets=[listening])


async def _start_worker(appliance: Appliance, stack: AsyncExitStack, wanted: bool | None) -> bool:
    if wanted is None and appliance.database.is_postgresql:
        return False
    if wanted is False:
        return False
    try:
        await stack.enter_async_context(open_worker(appliance))
    except (WorkerRunning, SettingsRefused) as reason:
        if wanted:
            raise
        log.warning("serving without a worker", reason=str(reason))
        return False
    return True


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise AddressUnusable(host, port, error.strerror or str(error)) from error
    with listening:
        yield listening


@contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    def stop() -> None:
        server.should_exit = True

    loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
