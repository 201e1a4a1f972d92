"""Fixtures for every test: each database-bound test runs once on SQLite and once on PostgreSQL.

Those of the packages (ipam, radius, acs, workflows) always run on both. Those of a whole appliance are many and dear:
they go by turns, each in `make test` on one of the two and in `make turns` on the other.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from inspect import isasyncgenfunction, iscoroutinefunction
from pathlib import Path
from typing import Any
from zlib import crc32

import hypothesis
import pytest
import structlog
import uvloop

from provisioning.__main__ import COLLECT_AFTER
from provisioning.database import EVERY_TENANT, Database
from provisioning.logs import configure_logs
from tests.support.appliances import COPIES, Original, make_migrated, one_original
from tests.support.compiled_once import compile_once
from tests.support.postgres import PostgresServer

DATABASES = ("sqlite", "postgresql")
SETTINGS, OF_THE_TESTS = "FIRSTLIGHT_", "FIRSTLIGHT_TEST_"
POSTGRES = pytest.StashKey[PostgresServer]()
REAL_GENIEACS = "FIRSTLIGHT_GENIEACS_NBI_URL"


def pytest_configure() -> None:
    """No test reads the settings of the machine it runs on: with them it would go to real systems. Errors are logged as
    the appliance logs them, and not in colours with all that was at hand, which takes a second each; garbage is
    looked for as seldom as the appliance does.

    A GenieACS that they name is kept under another name, for ``tests/acs/nbi/test_client.py`` alone.
    """
    if REAL_GENIEACS in os.environ:
        os.environ["FIRSTLIGHT_TEST_GENIEACS_NBI_URL"] = os.environ[REAL_GENIEACS]
    for name in settings_in(os.environ):
        del os.environ[name]
    # A machine that is busy makes no example wrong; and each run tries the same ones, so that what fails fails again.
    hypothesis.settings.register_profile("firstlight", deadline=None, database=None, derandomize=True)
    hypothesis.settings.load_profile("firstlight")
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    gc.set_threshold(COLLECT_AFTER)
    compile_once()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the event loop that the appliance runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Of pytest-xdist, in the process that gives the tests out: each of its workers is told of the one PostgreSQL."""
    server: PostgresServer | None = node.config.stash.get(POSTGRES, None)
    if server is None:
        server = node.config.stash[POSTGRES] = PostgresServer()
        server.start()
        node.config.add_cleanup(server.stop)
    node.workerinput["postgres"] = str(server.home)


def settings_in(environment: Iterable[str]) -> set[str]:
    """Variables that the appliance would read, in whatever case."""
    return {
        name for name in environment if name.upper().startswith(SETTINGS) and not name.upper().startswith(OF_THE_TESTS)
    }


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> Iterator[None]:
    """Of a test that goes by turns one database is taken in an ordinary run, always the same, and both in the sweep.

    Whoever names a test with its parameters gets that one.
    """
    known = {item.nodeid for item in items}
    if mixed := sorted({item.nodeid.partition("[")[0] for item in items if _has_no_loop_of_its_own(item)}):
        raise pytest.UsageError(f"async fixtures in tests that aren't async: {', '.join(mixed)}")
    items[:] = [item for item in items if _has_turn(item.nodeid, known) or not _runs_on_either(item)]
    for item in items:
        if _goes_by_turns(item) and item.nodeid not in config.args and not _has_turn(item.nodeid, known):
            item.add_marker("second_half")
    yield
    items[:] = dealt(items, getattr(config, "workerinput", {}).get("workercount", 1))


def dealt(items: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """In the order in which ``--dist worksteal`` gives each process its share of the sweep's tests first: who came to
    one of them last would work on when all the others have ended."""
    dear = [item for item in items if item.get_closest_marker("durability_sweep")]
    others = [item for item in items if not item.get_closest_marker("durability_sweep")]
    order: list[pytest.Item] = []
    for number in range(processes if dear else 0):
        share = (len(items) - len(order)) // (processes - number)
        mine = dear[number::processes]
        order += mine + others[: (rest := max(share - len(mine), 0))]
        del others[:rest]
    return [*order, *others]


def pytest_collection_finish() -> None:
    """All that was imported stays: the garbage collector need not look through it thousands of times."""
    gc.collect()
    gc.freeze()


def _has_no_loop_of_its_own(item: pytest.Item) -> bool:
    """Whether a test that isn't async asks for fixtures that are.

    They would get a loop of the wrong kind, and with it all that lives in the loop of the session would be torn down.
    """
    assert isinstance(item, pytest.Function)
    made_by = [definitions[-1].func for definitions in item._fixtureinfo.name2fixturedefs.values()]
    return not iscoroutinefunction(item.function) and any(
        iscoroutinefunction(function) or isasyncgenfunction(function) for function in made_by
    )


def _runs_on_either(item: pytest.Item) -> bool:
    return item.get_closest_marker("either_database") is not None


def _goes_by_turns(item: pytest.Item) -> bool:
    return item.get_closest_marker("both_databases") is None


def _has_turn(test: str, known: set[str]) -> bool:
    """Whether this is the one of both databases that the test's name falls to."""
    function, _, parameters = test.partition("[")
    kind = next((name for name in DATABASES if name in parameters), None)
    twins = [f"{function}[{parameters.replace(kind, name)}" for name in DATABASES] if kind else []
    if not known.issuperset(twins):
        return True  # it has no twin
    return not twins or test == twins[crc32(twins[0].encode()) % len(twins)]


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command configures the logs of its process, and here that process is the tests' own."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in list(logging.Logger.manager.loggerDict)}
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, its_level in levels.items():
        logging.getLogger(name).setLevel(its_level)


@pytest.fixture(autouse=True)
def _copies_end_with_their_test() -> Iterator[None]:
    """Hundreds of them would fill the memory."""
    before = len(COPIES)
    yield
    for server, url in COPIES[before:]:
        server.drop_database(url)
    del COPIES[before:]


@pytest.fixture
def log_lines() -> Callable[[], list[dict[str, Any]]]:
    """What has been logged since the test began, as the appliance writes it."""
    stream = io.StringIO()
    configure_logs(level="info", form="json", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """That of the whole run; without workers it is this process's own."""
    of_the_run = getattr(request.config, "workerinput", {}).get("postgres")
    if of_the_run is None:
        server = PostgresServer()
        server.start()
        yield server
        server.stop()
        return
    server = PostgresServer(Path(of_the_run))
    server.attach()
    yield server
    server.detach()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return one_original(tmp_path_factory, "migrated-sqlite", make_migrated, Original)


@pytest.fixture(scope="session")
def migrated_postgresql(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Original:
    return one_original(tmp_path_factory, "migrated-postgresql", make_migrated, Original, postgres)


@pytest.fixture(params=DATABASES)
def migrated(request: pytest.FixtureRequest) -> Original:
    """A migrated database with nothing in it, of either kind; take a copy."""
    made: Original = request.getfixturevalue(f"migrated_{request.param}")
    return made


def migrated_copy(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """For a fixture ``database_url`` with the appliance's tables in it; its parameter is the kind of database."""
    original: Original = request.getfixturevalue(f"migrated_{request.param}")
    return original.copy_database(tmp_path)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new, empty database of either kind."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/firstlight.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A new, empty database, opened. A package's tests create their own tables in it, for several tenants."""
    opened = Database(database_url, tenant_id=EVERY_TENANT)
    yield opened
    await opened.close()
