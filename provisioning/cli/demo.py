"""``firstlight demo``: the main job in a laboratory, and a laboratory to play in."""

from __future__ import annotations

import asyncio
import shlex
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.text import Text
from sqlalchemy.engine import make_url

from provisioning.bootstrap import utc_now
from provisioning.cli.printing import err, out, print_json
from provisioning.cli.running import AsJson, guarded
from provisioning.lab.errors import DemoFailed
from provisioning.logs import configure_logs
from provisioning.settings import PREFIX, Settings, load_settings
from provisioning.worker import open_worker
from radius.testing import RadiusLabError

if TYPE_CHECKING:
    from provisioning.lab.demo import Lab
    from provisioning.lab.phone import PhoneDoor
    from provisioning.lab.proof import Proof
    from provisioning.lab.world import LabWorld

T = TypeVar("T")

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
ESTATE, TOWN_ESTATE = EXAMPLES / "lab-estate.toml", EXAMPLES / "town-estate.toml"
CUSTOMERS = 2_000
WITHIN_SECONDS = 300.0
WITH_A_REAL_CPE_SECONDS = 1800.0
CALLED_OFF_BY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
THE_LABORATORYS = (
    *("data_dir", "database_url", "radius_database_url", "genieacs_nbi_url", "tenant_id", "username_realm"),
    "public_url",
)
"""The settings by which another process finds the laboratory."""
CONSOLE_HOST = "127.0.0.1"


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(
    ticket: Annotated[Path, typer.Option(help="JSON file of the ticket.")] = EXAMPLES / "install-ticket.json",
    estate: Annotated[Path, typer.Option(help="TOML file of the estate.")] = ESTATE,
    home: Annotated[Path, typer.Option(help="Folder of the laboratory; it is emptied first, but for its CA.")] = Path(
        ".lab/demo"
    ),
    once: Annotated[bool, typer.Option("--once", help="End after the proof instead of staying open.")] = False,
    within: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help=f"Seconds until it gives up. Unset: {WITHIN_SECONDS:g}; with a GenieACS of your own, where a person"
            f" has to switch the CPE on, {WITH_A_REAL_CPE_SECONDS:g}.",
        ),
    ] = None,
    customers: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=CUSTOMERS,
            help="How many customers live around it when it stays open. Unset:"
            f" {CUSTOMERS}, and none with an estate or a GenieACS of your own.",
        ),
    ] = None,
    phone: Annotated[
        bool,
        typer.Option(
            "--phone",
            help="Stay open to this machine's network, by TLS with a CA of the laboratory's own for a phone to trust.",
        ),
    ] = False,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="The console's port when it stays open, without --phone; 0: a free one."),
    ] = 8080,
    json_: AsJson = False,
) -> None:
    """Turn a ticket into a live subscriber on real parts, and prove it; then stay open, with a town to look after. With
    --json the last line is the proof."""
    configure_logs(level="error", form="console")
    say = _Voice(err if json_ else out)
    if customers is None:
        customers = CUSTOMERS if estate == ESTATE and load_settings().genieacs_nbi_url is None else 0

    async def act() -> Proof:
        try:
            door = _phone_door(home) if phone and not once else None
            with _console_at(None if once else port, door) as listening:
                return await _called_off(
                    _demo(home, estate, ticket, say, listening, door, within=within, customers=customers)
                )
        except RadiusLabError as error:
            raise DemoFailed(str(error)) from error

    proof = guarded(lambda: uvloop.run(act()), as_json=json_)
    for sentence in proof.broken:
        err.print(Text.assemble(("not proven: ", "bold red"), sentence))
    if json_:
        print_json(proof.report)
    if proof.broken:
        raise typer.Exit(1)


class _Voice:
    """Says a sentence with the seconds since the beginning, and remembers it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = time.monotonic()
        self.last = "nothing yet"

    def __call__(self, sentence: str) -> None:
        self.last = sentence.strip()
        self._console.print(f"{time.monotonic() - self._begun:6.1f} s  {sentence}")


@contextmanager
def _console_at(port: int | None, door: PhoneDoor | None) -> Iterator[socket.socket | None]:
    """Where the console will be: at the phones' door if there is one; nothing without a port. What it lacks, and that
    its address is taken, is better said before the job than after it."""
    if port is None:
        yield None
        return
    from provisioning.api.errors import AddressUnusable
    from provisioning.console.assets import assets
    from provisioning.serving import listen

    assets()
    with ExitStack() as stack:
        try:
            host, port = (CONSOLE_HOST, port) if door is None else (door.listens_at, door.port)
            listening = stack.enter_context(listen(host, port))
        except AddressUnusable as taken:
            raise DemoFailed(
                f"{taken} Nothing was started; choose another port with --port, 0 for a free one."
            ) from taken
        yield listening


async def _called_off(act: Awaitable[T]) -> T:
    """Obeys a signal to end in good order: FreeRADIUS and whatever else was started ends before the process does."""
    task = asyncio.current_task()
    assert task is not None
    told: list[int] = []

    def call_off(number: int) -> None:
        if not told:  # a second one must not cut the putting away short
            told.append(number)
            task.cancel()

    for number in CALLED_OFF_BY:
        asyncio.get_running_loop().add_signal_handler(number, call_off, number)
    try:
        return await act
    except asyncio.CancelledError:
        if not told:
            raise
        raise typer.Exit(128 + told[0]) from None


async def _demo(
    home: Path,
    estate: Path,
    ticket: Path,
    say: _Voice,
    console: socket.socket | None,
    door: PhoneDoor | None,
    *,
    within: float | None,
    customers: int,
) -> Proof:
    try:
        from provisioning.lab.demo import open_lab
        from provisioning.lab.inhabiting import inhabited
        from provisioning.lab.installing import install
        from provisioning.lab.proof import prove
    except ModuleNotFoundError as error:  # the other commands need nothing of the laboratory
        raise DemoFailed(f"the laboratory needs {error.name}; install firstlight[lab]") from error
    real_cpe = load_settings().genieacs_nbi_url is not None
    has_town = console is not None and customers > 0
    overrides: dict[str, Any] = {"public_url": _public_url(console, door)} if console is not None else {}
    seconds = within or (WITH_A_REAL_CPE_SECONDS if real_cpe else WITHIN_SECONDS)
    try:
        async with (
            asyncio.timeout(seconds) as deadline,
            open_lab(home, estate, say, sells=has_town, **overrides) as lab,
            open_worker(lab.appliance),
        ):
            view, before_scan = await install(lab, ticket, say)
            proof = await prove(lab.world, lab.appliance, view, before_scan)
            deadline.reschedule(None)
            if not proof.broken:
                say("proven: its own CPE has logged in with what it was given, the bill runs, the mail is there:")
                say(f"  {proof.report['mail']['file']}")
            if console is not None and has_town:
                async with inhabited(lab, TOWN_ESTATE, home, customers, say):
                    await _stay_open(lab, console, door, say)
            elif console is not None:
                await _stay_open(lab, console, door, say)
            return proof
    except TimeoutError:
        if not deadline.expired():
            raise
        raise DemoFailed(f"the demo was not at its end after {seconds:g} s; the last it said was: {say.last}") from None


def _public_url(console: socket.socket, door: PhoneDoor | None) -> str:
    """Where customers' pages and the links in mails lead; the environment may name another address."""
    if door is not None:
        return door.url
    host, port = console.getsockname()[:2]
    return load_settings().public_url or f"http://{host}:{port}"


def _phone_door(home: Path) -> PhoneDoor:
    from provisioning.lab.phone import open_phone_door

    return open_phone_door(home, public_url=load_settings().public_url, now=utc_now())


async def _stay_open(lab: Lab, console: socket.socket, door: PhoneDoor | None, say: Callable[[str], None]) -> None:
    """Keeps the laboratory running for a person to play in, its console included, until Ctrl-C."""
    from provisioning.lab.demo import set_aside
    from provisioning.lab.phone import ways_of_a_phone
    from provisioning.lab.town_people import invite_people
    from provisioning.serving import serve_on, tls_files

    say("the laboratory stays open; in another terminal:")
    if aside := set_aside(lab.appliance.settings):
        say(f"  unset {' '.join(aside)}")
    for line in [*ways_in(lab.appliance.settings), *way_to_freeradius(lab.world)]:
        say(f"  {line}")
    say("  .venv/bin/firstlight runs list        (Ctrl-C here ends it)")
    if lab.world.neighbours is not None:
        say("at the console each of these chooses a password by their link, which opens once:")
        for line in await invite_people(lab.appliance):
            say(f"  {line}")
    tls = None
    if door is not None:
        for line in ways_of_a_phone(door):
            say(line)
        tls = tls_files(door.certificate.certificate, door.certificate.key, now=utc_now())
    await serve_on(console, lab.appliance, with_worker=False, tls=tls, tell=say)
    for number in CALLED_OFF_BY:  # it ends now; a second word must not cut the putting away short
        asyncio.get_running_loop().add_signal_handler(number, lambda: None)


def ways_in(settings: Settings) -> list[str]:
    """What a shell has to be told so that ``firstlight`` finds this laboratory. No password is in it: a variable that
    holds one was set by whoever started the demo, who can set it there as well."""
    lines = []
    for name in THE_LABORATORYS:
        if getattr(settings, name) is None:
            continue
        variable, value = PREFIX + name.upper(), str(getattr(settings, name))
        if not name.endswith("database_url") or not _holds_password(value):
            lines.append(f"export {variable}={shlex.quote(value)}")
        elif name in settings.model_fields_set and (name == "database_url" or value != settings.database_url):
            lines.append(f"# {variable} too, as it was set for this demo; its password is not shown here")
    return lines


def way_to_freeradius(world: LabWorld) -> list[str]:
    """What `doctor`, `nas test` and `subscribers diagnose` ask and read, for the same shell."""
    said = world.freeradius_settings()
    return [f"export {PREFIX}{name.upper()}={shlex.quote(str(value))}" for name, value in said.items()]


def _holds_password(database_url: str) -> bool:
    url = make_url(database_url)
    return url.password is not None or "password" in url.query  # libpq takes it from either place
