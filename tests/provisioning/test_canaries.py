"""No secret gets out: an installation goes through bad days, and afterwards every place where words end up is searched.

The canaries are the subscribers' passwords, the CPEs' WiFi passphrases, the NAS' secret and the sealing keys. They may
stand, in clear, in FreeRADIUS' ``radcheck`` and ``nas`` and nowhere else; the keyring's file has the keys.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, create_engine, inspect, literal_column, select, table
from typer.testing import CliRunner

from acs.testing import Quirks
from provisioning.cli import app
from provisioning.commercial.testing import Quirk
from provisioning.database import sync_url
from provisioning.logs import configure_logs
from provisioning.settings import Settings
from tests.support.lab import Installation, JourneyLab, open_journey_lab
from tests.support.outages import mail_server_down, nbi_answers_rubbish, nbi_down, radius_database_down
from tests.support.postgres import PostgresServer, as_superuser

LOOKS = (
    ("runs", "list"),
    ("runs", "list", "--json"),
    ("runs", "show", "1"),
    ("runs", "show", "1", "--json"),
    ("runs", "show", "2"),
    ("runs", "show", "2", "--json"),
    ("runs", "retry", "1"),
    ("runs", "start", "/nowhere"),
    ("visits", "list", "--json"),
    ("mails", "list", "--json"),
    ("mails", "show", "1", "--json"),
    ("notices", "list", "--json"),
    ("tickets", "list", "--json"),
    ("check",),
    ("check", "--json"),
)


@pytest.fixture
def logged() -> io.StringIO:
    """Everything that is logged, at the most talkative level that an operator can set."""
    stream = io.StringIO()
    configure_logs(level="debug", form="json", stream=stream)
    return stream


@pytest.fixture
async def lab(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, logged: io.StringIO
) -> AsyncIterator[JourneyLab]:
    settings: dict[str, Any] = {}
    if database_url.startswith("postgresql"):
        server: PostgresServer = request.getfixturevalue("postgres")
        settings = {"database_url": database_url, "radius_database_url": server.create_database()}
    async with open_journey_lab(tmp_path / "lab", **settings) as opened:
        yield opened


@pytest.mark.scenario("D14")
async def test_no_secret_gets_out_on_bad_days(
    lab: JourneyLab,
    logged: io.StringIO,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    canaries = await bad_days(lab)
    settings = lab.appliance.settings
    canaries["sealing key"] = json.loads(settings.sealing_key_file.read_text())["keys"][0]["material"]
    assert len(set(canaries.values())) == 6
    places = {"log": logged.getvalue(), **await typed(settings, monkeypatch)}
    places |= {f"database: {where}": words for where, words in rows(settings.database_url, None)}
    allowed: dict[str, str] = {}
    others: dict[str, str] = {}
    for where, words in rows(settings.radius_database_url, settings.radius_database_schema):
        (allowed if where in ("radcheck", "nas") else others)[where] = words
    places |= {f"radius database: {where}": words for where, words in others.items()}
    places |= {f"file: {file.name}": words for file, words in files(tmp_path / "lab", settings)}
    screen = capfd.readouterr()
    places |= {"standard output": screen.out, "standard error": screen.err}

    for needed in ("log", "database: run_note", "database: run_step", "database: mail", "typed: runs show 1"):
        assert len(places[needed]) > 100, f"nothing was searched in {needed}"
    found = [(name, where) for where, words in places.items() for name, secret in canaries.items() if secret in words]
    assert found == []
    assert canaries["password of run 1"] in allowed["radcheck"], "the search itself works"
    assert canaries["NAS secret"] in allowed["nas"]


async def bad_days(lab: JourneyLab) -> dict[str, str]:
    """Two installations with everything going wrong on the way: one that succeeds, one that is cancelled."""
    canaries = {"NAS secret": await lab.reveal_nas_secret()}
    houses = [lab.household(), lab.household()]
    async with radius_database_down(lab):
        runs = [await lab.order(house) for house in houses]
        await runs[0].until_retrying()
    for run in runs:
        await run.until_waiting_for("visit")
    for run, house in zip(runs, houses, strict=True):
        cpe = await lab.plug(house.serial, house)
        cpe.quirks = Quirks(refuse={cpe.roles.ppp_password: 9007})
        await run.report("scanned", serial=house.serial, port=house.port)
        await run.until_held()
        canaries |= await secrets_of(lab, run, house.serial)
        cpe.quirks = Quirks(reachable=False)
    for outage in (nbi_answers_rubbish, nbi_down):
        async with outage(lab):
            await runs[0].retry()
            await runs[0].until_retrying()
    lab.world.acs.cpe(houses[0].serial).quirks = Quirks()
    lab.world.mail.misbehave(Quirk.DEFER_CONTENT)
    async with mail_server_down(lab):
        await runs[0].until_retrying(step="deliver_email")
    await runs[0].until_ended()
    lab.world.acs.cpe(houses[1].serial).quirks = Quirks()
    await runs[1].cancel("enough")
    await runs[1].until_ended()
    return canaries


async def secrets_of(lab: JourneyLab, run: Installation, serial: str) -> dict[str, str]:
    subscriber = await run.result("create_subscriber")
    async with lab.appliance.database.begin() as db:
        return {
            f"password of run {run.id}": await lab.appliance.vault.reveal(db, subscriber["password"]),
            f"passphrase of run {run.id}": await lab.appliance.vault.reveal(db, f"secret:device/{serial}/wifi"),
        }


# -- every place where words end up ------------------------------------------------------------------------------------


async def typed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the command line prints, errors included."""
    monkeypatch.setenv("FIRSTLIGHT_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("FIRSTLIGHT_RADIUS_DATABASE_URL", settings.radius_database_url)

    def type_all() -> dict[str, str]:
        results = {" ".join(words): CliRunner().invoke(app, list(words)) for words in LOOKS}
        return {f"typed: {words}": f"{one.output}{one.stderr}{one.exception!r}" for words, one in results.items()}

    return await asyncio.to_thread(type_all)


def rows(database_url: str, schema: str | None) -> Iterator[tuple[str, str]]:
    """(table, everything in it) of every table of every schema, but the ciphertext."""
    engine = create_engine(sync_url(as_superuser(database_url)))
    with engine.connect() as connection:
        for where in _schemas(connection, schema):
            for name in inspect(connection).get_table_names(schema=where):
                columns = [str(column["name"]) for column in inspect(connection).get_columns(name, schema=where)]
                wanted: list[ColumnElement[Any]] = [
                    literal_column(f'"{column}"') for column in columns if (name, column) != ("secret", "sealed")
                ]
                found = connection.execute(select(*wanted).select_from(table(name, schema=where)))
                yield name, "\n".join(repr(tuple(row)) for row in found)
    engine.dispose()


def _schemas(connection: Connection, schema: str | None) -> list[str | None]:
    if connection.dialect.name == "sqlite" or schema is not None:
        return [schema]
    return [name for name in inspect(connection).get_schema_names() if name != "information_schema"]


def files(home: Path, settings: Settings) -> Iterator[tuple[Path, str]]:
    """Everything on disk but the keyring and FreeRADIUS' database: mails, logs, our database's own file."""
    for file in sorted(home.rglob("*")):
        own = file.name == settings.sealing_key_file.name or file.name.startswith("radius.db")
        if file.is_file() and not own:
            yield file, file.read_bytes().decode("latin-1")
