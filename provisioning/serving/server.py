"""Serving the application until told to stop: requests under way are answered first, then the worker comes to rest."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from provisioning.api import create_app
from provisioning.api.errors import AddressUnusable
from provisioning.bootstrap import Appliance
from provisioning.console import LiveStreams, add_console, first_link
from provisioning.serving.tls import TlsFiles
from provisioning.settings import SettingsRefused
from provisioning.sole_worker import WorkerRunning
from provisioning.worker import open_worker

GRACE_SECONDS = 20
"""How long requests under way may take after the word to stop."""
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - as somebody may have asked to listen
"""Where a server listens, and nobody finds it (RFC 1122 s3.2.1.3, RFC 4291 s2.5.2)."""

Tell = Callable[[str], None]
"""Takes a sentence for whoever has started the server; no log, since it may hold a link that opens once."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Seat:
    """The place of one process among those that answer at the same address."""

    listening: socket.socket
    stop: int
    """A pipe that ends when this process shall."""
    tell: Callable[[], None]
    """To be called once requests are answered."""


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn raises them again when it is done, and the worker would die in mid-step."""

    def __init__(self, appliance: Appliance, tls: TlsFiles | None, ready: Callable[[], None] = lambda: None) -> None:
        self._ready = ready
        self.moves_runs = False
        application = create_app(appliance)
        self._streams: LiveStreams = add_console(application, appliance)
        super().__init__(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                server_header=False,
                forwarded_allow_ips=list(appliance.settings.trusted_proxies),
                timeout_graceful_shutdown=GRACE_SECONDS,
                ssl_certfile=None if tls is None else tls.certificate,
                ssl_keyfile=None if tls is None else tls.key,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
        for listening in sockets or ():
            host, port = listening.getsockname()[:2]
            log.info("serving", host=host, port=port, tls=self.config.is_ssl, worker=self.moves_runs)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.close()  # they would go on for as long as somebody looks
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run_serving(answering: Coroutine[Any, Any, None]) -> None:
    """Runs it on the quickest event loop there is."""
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(answering)


async def serve(
    appliance: Appliance,
    *,
    host: str,
    port: int,
    with_worker: bool | None,
    tls: TlsFiles | None = None,
    tell: Tell | None = None,
) -> None:
    """Answers until SIGTERM or SIGINT, by TLS where there are files for it. ``tell`` hears how the first person signs
    in, as long as there is nobody; without it no link is made. ``with_worker``: whether runs are moved here too; None:
    on SQLite, which bears one worker, if there is none and it can be started.

    Raises: AddressUnusable; with ``with_worker=True`` what ``open_worker`` raises.
    """
    with listen(host, port) as listening:
        await serve_on(listening, appliance, with_worker=with_worker, tls=tls, tell=tell)


async def serve_on(
    listening: socket.socket,
    appliance: Appliance,
    *,
    with_worker: bool | None,
    tls: TlsFiles | None = None,
    tell: Tell | None = None,
) -> None:
    """The same at an address that somebody has taken before.

    Raises: with ``with_worker=True`` what ``open_worker`` raises.
    """
    server = _Server(appliance, tls)
    with _stopped_by_signals(server):
        await _welcome(appliance, listening, tls, tell)
        await _serve(appliance, server, listening, with_worker)


async def serve_in(
    seat: Seat,
    appliance: Appliance,
    *,
    with_worker: bool | None,
    tls: TlsFiles | None = None,
    tell: Tell | None = None,
) -> None:
    """The same in one of several processes, also until the process that has made it ends.

    Raises: with ``with_worker=True`` what ``open_worker`` raises.
    """
    server = _Server(appliance, tls, seat.tell)
    with _stopped_by_signals(server), _stopped_by_end(server, seat.stop):
        await _welcome(appliance, seat.listening, tls, tell)
        await _serve(appliance, server, seat.listening, with_worker)


async def _serve(appliance: Appliance, server: _Server, listening: socket.socket, with_worker: bool | None) -> None:
    async with AsyncExitStack() as stack:
        server.moves_runs = await _start_worker(appliance, stack, with_worker)
        gc.collect()
        gc.freeze()  # what is there by now stays: a full collection that looked at all of it would hold up requests
        try:
            await server.serve(sockets=[listening])
        finally:
            gc.unfreeze()


async def _welcome(appliance: Appliance, listening: socket.socket, tls: TlsFiles | None, tell: Tell | None) -> None:
    """Says how the first person signs in: there is no password before somebody has chosen one. A link that nobody hears
    of would close the one that was told."""
    if tell is None:
        return
    host, port = listening.getsockname()[:2]
    if host in EVERYWHERE:
        host = "localhost"
    scheme = "http" if tls is None else "https"
    here = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    if (link := await first_link(appliance, base=str(appliance.settings.public_url or here))) is not None:
        tell(f"Nobody can sign in yet. This link makes the first administrator; it opens once, for 24 hours: {link}")


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
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at this address. Raises: AddressUnusable."""
    with listen_for_each(host, port, 1) as [listening]:
        yield listening


@contextmanager
def listen_for_each(host: str, port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many sockets at this one address; the kernel spreads the connections evenly over them (SO_REUSEPORT).

    Of processes that accept from one socket, whoever is awake takes most connections, and keeps them.

    Raises: AddressUnusable.
    """
    with ExitStack() as stack:
        try:
            if count > 1:  # of sockets that share an address, nobody is told that it was in use
                _create_server(host, port).close()
            first = stack.enter_context(_create_server(host, port, shared=count > 1))
            port = first.getsockname()[1]
            others = [stack.enter_context(_create_server(host, port, shared=True)) for _ in range(count - 1)]
        except OSError as error:
            raise AddressUnusable(host, port, error.strerror or str(error)) from error
        yield [first, *others]


def _create_server(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048, reuse_port=shared)


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


@contextmanager
def _stopped_by_end(server: uvicorn.Server, pipe: int) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_reader(pipe)
        server.should_exit = True

    loop.add_reader(pipe, stop)
    try:
        yield
    finally:
        loop.remove_reader(pipe)
