"""Each trap is found in a configuration, a database or an answer that has it, and none in what we deliver."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Executable, create_engine, insert, select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.database import Database, sync_url
from radius import AuthDoor, Examination, LoginCarrier, Patient, ensure_freeradius_tables, examine, nas_doors
from radius.doctor import running
from radius.doctor.database import database_traps
from radius.doctor.examination import PROGRAM_FOLDERS
from radius.doctor.privileges import privilege_traps
from radius.doctor.raddb import Raddb, read_raddb
from radius.doctor.running import folders_of
from radius.doctor.traps import Trap, config_traps, lifetime_traps, signing_traps
from radius.logins.tables import radius_login, radius_unknown_nas, radius_unknown_user
from radius.projection.freeradius_tables import radacct
from radius.testing import FreeRadiusServer
from tests.radius.conftest import Site
from tests.support.command_line import parsed
from tests.support.freeradius import RADDB, RadiusBackend
from tests.support.postgres import as_superuser

WAITS = (0.3, 0.3)
PATIENTLY = (0.3, 0.6, 1.2, 2.4, 4.8)
"""For what is to be answered: a busy machine takes its time, and nobody waits once there is an answer."""
NO_EAP = {"FIRSTLIGHT_FREERADIUS_EAP": ""}
SQLITE = {"FIRSTLIGHT_FREERADIUS_SQL": "sqlite", **NO_EAP}

SHARED = "Xk29fLq0PwZ7mN3bVc8dXk29"
SILENCE_OF_LOGINS = """\
	update control {
		&Response-Packet-Type := Do-Not-Respond
	}
	handled
}

nobody_of"""
LINE_OF_THE_LOGIN = """\
		login_file {
			fail = 1
			invalid = 1
			reject = 1
		}
		if"""
SEEDS = [
    ("database_down_rejects", "policies.conf", "Do-Not-Respond", "Access-Reject"),
    ("database_down_rejects", "policies.conf", "fail = 1", "fail = return"),
    ("pool_below_threads", "sql/pool.conf", "${thread[pool].max_servers}", "8"),
    ("database_down_rejects", "policies.conf", SILENCE_OF_LOGINS, "\treject\n}\n\nnobody_of"),
    ("pool_below_threads", "sql/pool.conf", "\tmax = ${thread[pool].max_servers}\n", ""),
    (
        "pool_below_threads",
        "sql/sqlite.conf",
        "\t$INCLUDE pool.conf\n\t$INCLUDE queries.conf",
        "\t$INCLUDE queries.conf",
    ),
    ("noop_unanswered", "sites/subscribers.conf", "if (noop) {", "if (invalid) {"),
    ("noop_unanswered", "sites/subscribers.conf", "\tif (noop) {\n\t\tok\n\t}\n", ""),
    ("noop_unanswered", "sites/subscribers.conf", "\tif (noop) {\n\t\tok\n\t}\n", "\thandled\n"),
    ("noop_unanswered", "sites/subscribers.conf", "\tif (noop) {\n\t\tok\n", "\tif (noop) {\n\t\thandled\n"),
    ("programs_loaded", "modules.conf", "expr {", "exec echo {\n\twait = yes\n}\nexpr {"),
    (
        "passwords_logged",
        "sql/sqlite.conf",
        "login_method = \"'%{control:Firstlight-Method}'\"",
        "login_method = \"'%{User-Password}'\"",
    ),
    (
        "passwords_logged",
        "sql/sqlite.conf",
        "login_method = \"'%{control:Firstlight-Method}'\"",
        "login_method = \"'%{reply:Firstlight-Check-Cleartext-Password}'\"",
    ),
    ("passwords_logged", "radiusd.conf", "auth_badpass = no", "auth_badpass = yes"),
    ("post_auth_rejects", "login_log.conf", "fail = 1", "fail = reject"),
    ("post_auth_rejects", "login_log.conf", "invalid = 1", "invalid = return"),
    ("post_auth_rejects", "login_log.conf", LINE_OF_THE_LOGIN, "\t\tlogin_file\n\t\tif"),
    (
        "post_auth_rejects",
        "login_log.conf",
        "\twho_and_how\n\twrite_it_down",
        "\twho_and_how\n\tdetail\n\twrite_it_down",
    ),
    ("condition_always_true", "sites/subscribers.conf", "if (noop) {", 'if (noop || "noop") {'),
    ("sqlite_impatient", "sql/sqlite.conf", "busy_timeout = 5000", "busy_timeout = 200"),
    ("clients_read_once", "sql/queries.conf", "read_clients = no", "read_clients = yes"),
    ("weak_secret", "sites/status.conf", "$ENV{FIRSTLIGHT_FREERADIUS_STATUS_SECRET}", "testing123"),
    (
        "unsigned_requests",
        "sites/status.conf",
        "client status_probe {",
        "client a { require_message_authenticator = no }\nclient b {",
    ),
]
# What a stock server has, in the fewest words: everything that our own configuration is there to avoid.
STOCK = {
    "radiusd.conf": """
        prefix = /usr
        confdir = ${raddbdir}
        modconfdir = ${confdir}/mods-config
        log { auth_badpass = no }
        thread pool { max_servers = 32 }   # a comment { with a brace
        $INCLUDE clients.conf
        modules { $INCLUDE mods-enabled/ }
        policy { $INCLUDE policy.d/ }
        $INCLUDE sites-enabled/
    """,
    "clients.conf": """client localhost {
        ipaddr = 127.0.0.1
        secret = \\
            testing123
        require_message_authenticator = no
    }""",
    "mods-enabled/sql": """sql {
        dialect = "postgresql"
        driver = "rlm_sql_${dialect}"
        pool {
            start = 5
            max = 10
        }
        read_clients = yes
        $INCLUDE ${modconfdir}/${.:name}/main/${dialect}/queries.conf
    }""",
    "mods-enabled/echo": "exec echo { wait = no }",
    "mods-config/sql/main/postgresql/queries.conf": """post-auth {
        query = "INSERT INTO radpostauth (username, pass) VALUES ('%{User-Name}', '%{%{User-Password}:-x}')"
    }""",
    "policy.d/filter": """filter_username { if (&User-Name =~ /^[a-z]{2}}/) { reject } }""",
    "sites-enabled/default": """server default {
        listen { type = auth }
        listen { type = acct }
        authorize {
            filter_username
            -sql
            expiration
        }
        authenticate { Auth-Type PAP { pap } }
        accounting { -sql }
        post-auth {
            -sql
            Post-Auth-Type REJECT {
                -sql
            }
        }
    }""",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Our own configuration, private, to be spoilt."""
    made = tmp_path / "raddb"
    shutil.copytree(RADDB, made)
    for path in (made, *made.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return made


def found_in(folder: Path) -> list[str]:
    return [trap["trap"] for trap in config_traps(read_raddb(folder, environment=SQLITE))]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_we_deliver_has_no_trap(copy: Path, kind: str) -> None:
    raddb = read_raddb(copy, environment={"FIRSTLIGHT_FREERADIUS_SQL": kind})
    assert (config_traps(raddb), signing_traps(raddb)) == ([], [])
    assert raddb.resolved("${thread[pool].max_servers}") == "16"


@pytest.mark.parametrize(("trap", "file", "good", "bad"), SEEDS)
def test_a_configuration_with_a_trap_is_found_out(copy: Path, trap: str, file: str, good: str, bad: str) -> None:
    path = copy / file
    assert good in path.read_text()
    path.write_text(path.read_text().replace(good, bad))
    assert set(found_in(copy)) == {trap}


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("detail auth_log { filename = /tmp/a }", "auth_log"),
        ('linelog tried { format = "%{User-Name} %{User-Password}" }', "tried.authorize"),
    ],
)
def test_a_file_that_every_password_is_written_into_is_found_where_it_is_called(
    copy: Path, module: str, call: str
) -> None:
    modules, site = copy / "modules.conf", copy / "sites" / "subscribers.conf"
    modules.write_text(f"{modules.read_text()}\n{module}\n")
    assert found_in(copy) == []
    site.write_text(site.read_text().replace("\tsubscriber_of_line\n", f"\t{call}\n\tsubscriber_of_line\n", 1))
    assert found_in(copy) == ["passwords_logged"]
    left_out = "detail auth_log { suppress {\n\tUser-Password\n} }" if "detail" in module else "linelog tried { }"
    modules.write_text(modules.read_text().replace(module, left_out))
    assert found_in(copy) == []


def test_replies_that_are_signed_behind_what_sql_adds_are_found(copy: Path) -> None:
    site = copy / "sites" / "subscribers.conf"
    told = site.read_text()
    later = told.replace("\tauthenticate_the_reply\n", "").replace("\tpap\n}", "\tpap\n\tauthenticate_the_reply\n}")
    site.write_text(later)
    assert later.count("authenticate_the_reply") == 1
    [trap] = signing_traps(read_raddb(copy, environment=SQLITE))
    assert trap["what"] == "server subscribers: nothing puts a Message-Authenticator first"


def test_of_a_value_that_stands_twice_the_first_counts_as_the_server_says(copy: Path) -> None:
    path = copy / "sql" / "sqlite.conf"  # `read_clients = no` is included behind it
    path.write_text(path.read_text().replace("sql {", "sql {\n\tread_clients = yes", 1))
    variables = {
        name: "1" for name in re.findall(r"\$ENV\{(\w+)\}", "".join(each.read_text() for each in copy.rglob("*.conf")))
    }
    variables |= {"FIRSTLIGHT_FREERADIUS_RADDB": str(copy), "FIRSTLIGHT_FREERADIUS_RUN_DIR": str(copy), "PATH": "/bin"}
    variables |= {"FIRSTLIGHT_FREERADIUS_LISTEN_ADDRESS": "127.0.0.1", "FIRSTLIGHT_FREERADIUS_LOGIN_QUERIES": "one"}
    variables |= {"FIRSTLIGHT_FREERADIUS_NAS_NETWORK": "127.0.0.0/8", "FIRSTLIGHT_FREERADIUS_SQL": "sqlite"}
    program = shutil.which("freeradius", path=PROGRAM_FOLDERS) or "radiusd"
    shown = subprocess.run(
        [program, "-d", str(copy), "-n", "radiusd", "-CX"], env=variables | NO_EAP, capture_output=True, text=True
    ).stdout
    assert re.search(r"sql \{[^{}]*read_clients = yes", shown)
    assert set(found_in(copy)) == {"clients_read_once"}


def test_a_lifetime_that_is_not_the_one_we_count_with_is_found(copy: Path) -> None:
    raddb = read_raddb(copy, environment={**SQLITE, "FIRSTLIGHT_FREERADIUS_NAS_LIFETIME_SECONDS": "3600"})
    assert lifetime_traps(raddb, 3600) == lifetime_traps(read_raddb(copy, environment=SQLITE), 60) == []
    [trap] = lifetime_traps(raddb, 60)
    assert (trap["trap"], trap["fix"]) == ("lifetime_differs", "FIRSTLIGHT_RADIUS_NAS_LIFETIME_SECONDS=3600")


def test_what_we_deliver_may_be_read_by_everybody_since_no_secret_is_in_it(copy: Path) -> None:
    for path in copy.rglob("*.conf"):
        path.chmod(0o644)
    assert found_in(copy) == []


@pytest.mark.parametrize(
    "line",
    [
        "secret = Xk29fLq0PwZ7mN3bVc8dXk29",
        "private_key_password = 'whatever'",
        'radius_db = "host=db dbname=radius user=radius password=radpass"',
    ],
)
def test_files_with_a_secret_that_everybody_reads_are_found(copy: Path, line: str) -> None:
    pool = copy / "sql" / "pool.conf"
    pool.write_text(f"# {line}\n{pool.read_text()}")
    pool.chmod(0o604)
    assert found_in(copy) == []  # it is a comment
    pool.write_text(f"{pool.read_text()}\n{line}\n")
    assert found_in(copy) == ["open_to_others"]


def test_files_that_everybody_writes_and_replies_that_nobody_signs_are_found(copy: Path) -> None:
    (copy / "sites" / "status.conf").chmod(0o602)
    (copy / "dictionary").chmod(0o602)
    assert found_in(copy) == ["open_to_others"]  # the dictionary is none of the files that are included
    site = copy / "sites" / "subscribers.conf"
    site.write_text(site.read_text().replace("\tauthenticate_the_reply\n", ""))
    assert [trap["trap"] for trap in signing_traps(read_raddb(copy, environment=SQLITE))] == ["replies_unsigned"]


def test_a_question_whose_failure_nothing_holds_up_is_found_beside_another_that_is_held(copy: Path) -> None:
    on_postgresql = {"FIRSTLIGHT_FREERADIUS_SQL": "postgresql", "FIRSTLIGHT_FREERADIUS_LOGIN_QUERIES": "one"}
    policies = copy / "policies.conf"
    held = "login_question {\n\t\t\tfail = 1"
    assert held in policies.read_text()
    policies.write_text(policies.read_text().replace(held, "login_question {\n\t\t\tfail = return"))
    traps = config_traps(read_raddb(copy, environment=on_postgresql))
    assert {trap["trap"] for trap in traps} == {"database_down_rejects"}


@pytest.mark.parametrize("questions", ["one", "two"])
def test_a_connection_that_may_stay_without_its_questions_is_found(copy: Path, questions: str) -> None:
    on_postgresql = {"FIRSTLIGHT_FREERADIUS_SQL": "postgresql", "FIRSTLIGHT_FREERADIUS_LOGIN_QUERIES": questions}

    def found() -> list[tuple[str, str]]:
        traps = config_traps(read_raddb(copy, environment=on_postgresql))
        return [(trap["trap"], trap["what"].partition(":")[0]) for trap in traps]

    assert found() == []
    before = {  # as they were in earlier releases
        "postgresql.conf": "SET statement_timeout = 500; PREPARE log_login (text) AS ${login_row}",
        f"logins-{questions}-postgresql.conf": "PREPARE checks (text) AS ${checks}; PREPARE replies (text) AS 1",
    }
    for name, query in before.items():
        path = copy / "sql" / name
        now = re.search(r'open_query = "DO .*"', path.read_text())
        assert now is not None
        path.write_text(path.read_text().replace(now[0], f'open_query = "{query}"'))
    assert sorted(found()) == [("half_opened", "sql"), ("half_opened", "sql login_log")]


def stock(folder: Path, **more: str) -> Raddb:
    for name, content in {**STOCK, **more}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    return read_raddb(folder, environment={})


def test_what_is_called_only_where_it_is_loaded_does_nothing_where_it_is_not(tmp_path: Path) -> None:
    """As -sql in the configuration that Debian delivers."""
    of_sql = ("database_down_rejects", "noop_unanswered", "post_auth_rejects", "replies_unsigned")
    for loaded, sql in (("", False), ("sql { }", True), ("sql another { }", False)):
        raddb = stock(tmp_path / str(sql) / loaded[:8], **{"mods-enabled/sql": loaded})
        found = [trap["trap"] for trap in (*config_traps(raddb), *signing_traps(raddb))]
        assert [trap for trap in of_sql if trap in found] == [*(of_sql if sql else of_sql[3:])], loaded
    bare = STOCK["sites-enabled/default"].replace("-sql", "sql")  # without it, such a server does not start
    raddb = stock(tmp_path / "bare", **{"mods-enabled/sql": "", "sites-enabled/default": bare})
    assert "post_auth_rejects" in [trap["trap"] for trap in config_traps(raddb)]


def test_a_stock_server_has_them_all(tmp_path: Path) -> None:
    raddb = stock(tmp_path)
    assert sorted(trap["trap"] for trap in config_traps(raddb)) == [
        "clients_read_once",
        "database_down_rejects",
        "noop_unanswered",
        "passwords_logged",
        "pool_below_threads",
        "post_auth_rejects",
        "programs_loaded",
        "unsigned_requests",
        "weak_secret",
    ]
    assert [trap["trap"] for trap in signing_traps(raddb)] == ["replies_unsigned"]


@pytest.fixture
async def bare(database_url: str) -> AsyncIterator[Database]:
    """The tables of an existing server that nobody has cared for."""
    opened = Database(database_url, schema="radius" if database_url.startswith("postgresql") else None)
    async with opened.engine.begin() as connection:
        if opened.is_postgresql:
            await connection.execute(text("CREATE SCHEMA radius"))
        await connection.execute(text("CREATE TABLE radcheck (id integer PRIMARY KEY, username text)"))
        columns = "id integer PRIMARY KEY, nasname text, shortname text, secret text"
        await connection.execute(text(f"CREATE TABLE nas ({columns})"))
        rows = [(1, "192.0.2.1", "bng-1", "testing123"), *((n, f"192.0.2.{n}", f"bng-{n}", SHARED) for n in (2, 3))]
        await connection.execute(text(f"INSERT INTO nas VALUES {', '.join(map(str, rows))}"))
        await connection.run_sync(ensure_freeradius_tables)
        when = "now() - interval '90 days'" if opened.is_postgresql else "1700000000"
        await connection.execute(
            text(f"INSERT INTO radpostauth (username, pass, authdate) VALUES ('ann', 'hunter2', {when})")
        )
        begun = {"acctsessionid": "1", "acctuniqueid": "1", "username": "ann", "nasipaddress": "192.0.2.1"}
        await connection.execute(insert(radacct).values(**begun, acctstarttime=datetime.now(UTC)))
    if not opened.is_postgresql:  # our own connections set it to WAL
        await opened.close()
        with closing(sqlite3.connect(str(opened.url.database))) as connection_of_others:
            connection_of_others.execute("PRAGMA journal_mode=DELETE")
    yield opened
    await opened.close()


async def test_a_database_that_nobody_has_cared_for_is_found_out(bare: Database) -> None:
    patient = Patient(config_dir=None, doors=(), keep=timedelta(days=30), program="/bin/false")
    found = await examine(patient, bare.read, now=datetime.now(UTC))
    traps = [(trap["trap"], trap["fix"]) for trap in found["traps"]]
    [silent] = [trap["what"] for trap in found["traps"] if trap["trap"] == "login_log_not_written"]
    assert silent.endswith("and radius_login has no login")
    live = "CONCURRENTLY " if bare.is_postgresql else ""
    assert ("index_missing", f"CREATE INDEX {live}radcheck_by_username ON radcheck (username);") in traps
    secrets = ["weak_secret", "shared_secret"]
    whats = [trap["what"] for trap in found["traps"] if trap["trap"] in secrets]
    assert whats == [
        "table nas: the secret of bng-1 is short or known",
        "table nas: the secret of bng-2, bng-3 is the same",
    ]
    assert not [each for each in ("testing123", SHARED) if each in str(found)]
    first = (
        "firstlight nas rotate-secret NAME --reason ...; what Firstlight did not write is defined first (the estate, or"
        " `firstlight nas add ...`) and then taken over (`firstlight nas adopt NAME --reason ...`)"
    )
    assert ("weak_secret", first) in traps
    wal = [] if bare.is_postgresql else ["sqlite_not_wal"]
    assert [trap for trap, _ in traps] == [
        "index_missing",
        *wal,
        "passwords_kept",
        *secrets,
        "never_forgotten",
        "login_log_not_written",
    ]
    assert [each.partition(":")[0] for each in found["not_looked_at"]] == [
        "the configuration",
        "FreeRADIUS' answers",
        "FreeRADIUS' version",
    ]


async def test_logins_in_files_that_nobody_carries_are_told_with_their_place(bare: Database, tmp_path: Path) -> None:
    folder, began = tmp_path / "logins", datetime.now(UTC).replace(microsecond=0)
    patient = Patient(config_dir=None, doors=(), keep=timedelta(days=30), program="/bin/false")
    here = replace(patient, environment={"FIRSTLIGHT_FREERADIUS_LOGIN_DIR": str(folder)})

    async def told(of: Patient, seconds: float) -> list[Trap]:
        found = await examine(of, bare.read, now=began + timedelta(seconds=seconds))
        return [trap for trap in found["traps"] if trap["trap"] == "logins_not_carried"]

    assert await told(here, 121) == []
    write_login(folder, began)
    assert await told(here, 120) == []
    [waiting] = await told(here, 121)
    assert waiting["what"] == f"{folder}: logins wait there since {began:%Y-%m-%d %H:%M} UTC"
    await LoginCarrier(folder, bare.begin, now=lambda: began).carry()
    assert await told(here, 120) == []
    [late] = await told(patient, 121)
    assert f":{folder}: no login was carried from there since {began:%Y-%m-%d %H:%M} UTC" in late["what"]
    async with bare.engine.begin() as connection:  # what the fix says, word for word
        await connection.execute(text(late["fix"].rpartition("there: ")[2]))
    assert await told(patient, 121) == []
    (folder / "logins").mkdir()
    found = await examine(here, bare.read, now=began)
    assert f"logins in files: {folder}/logins can't be read (Is a directory)" in found["not_looked_at"]


def write_login(folder: Path, at: datetime) -> None:
    folder.mkdir()
    line = f"{int(at.timestamp())}|Access-Accept||pap|10.0.0.9|||ann@isp.example|bng|02-00|ge-0||.\n"
    (folder / "logins").write_text(line)


async def test_what_is_down_missing_or_unread_is_a_trap_and_the_rest_is_looked_at(
    bare: Database, copy: Path, tmp_path: Path
) -> None:
    (copy / "radiusd.conf").write_text((copy / "radiusd.conf").read_text().replace("badpass = no", "badpass = yes"))
    patient = Patient(copy, (), timedelta(days=30), environment=SQLITE, program="/bin/false")
    async with bare.engine.begin() as connection:
        await connection.execute(text("DROP TABLE radius_login"))

    lacking = await examine(patient, bare.read, now=datetime.now(UTC))
    down = Database(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")
    dead = await examine(patient, down.read, now=datetime.now(UTC))
    unread = await examine(replace(patient, config_dir=tmp_path / "nowhere"), down.read, now=datetime.now(UTC))
    await down.close()

    names = [trap["trap"] for trap in lacking["traps"] if trap["trap"] != "sqlite_not_wal"]
    assert names[:3] == ["passwords_logged", "index_missing", "passwords_kept"]
    assert names[3:] == ["weak_secret", "shared_secret", "database_unfit", "never_forgotten"]
    assert [trap["trap"] for trap in dead["traps"]] == ["passwords_logged", "database_unavailable"]
    assert [trap["trap"] for trap in unread["traps"]] == ["configuration_unread", "database_unavailable"]
    assert "FreeRADIUS' answers" in dead["not_looked_at"][1]


@pytest.mark.parametrize(("called", "named"), [("bng 1's", "bng 1's"), (None, "192.0.2.1")])
async def test_a_nas_whose_secret_is_weak_is_named_whatever_others_have_called_it(
    bare: Database, called: str | None, named: str
) -> None:
    async with bare.engine.begin() as connection:
        renamed = text("UPDATE nas SET shortname = :called WHERE nasname = '192.0.2.1'")
        await connection.execute(renamed, {"called": called})
    unseen: list[str] = []
    traps = await database_traps(bare.read, unseen, oldest=datetime.now(UTC), now=datetime.now(UTC))
    [weak] = [each for each in traps if each["trap"] == "weak_secret"]
    assert weak["what"] == f"table nas: the secret of {named} is short or known"
    assert parsed(weak["fix"].partition(";")[0])["name"] == "NAME"


async def door_of(site: Site, server: FreeRadiusServer) -> AuthDoor:
    nas = await site.nas(server=server)
    known = await nas_doors(site.database.begin, [nas.source_address], tenant_id=site.tenant_id, secrets=site.secrets)
    told = known[nas.source_address].door
    port = server.auth_port
    return AuthDoor(host="127.0.0.1", port=port, nas_name=told.name, nas_address=told.address, secret=told.secret)


async def seen(
    site: Site,
    folder: Path,
    door: AuthDoor,
    *,
    waits: tuple[float, ...] = PATIENTLY,
    unsigned: tuple[float, ...] = WAITS,
) -> Examination:
    environment = {"FIRSTLIGHT_FREERADIUS_SQL": "postgresql" if site.backend.is_postgresql else "sqlite", **NO_EAP}
    patient = Patient(
        folder, (door,), timedelta(days=30), environment=environment, waits=waits, unsigned_waits=unsigned
    )
    return await examine(patient, site.radius_database.read, now=site.now())


async def test_the_server_that_we_run_has_nothing_and_one_that_is_down_has(site: Site) -> None:
    server = site.backend.server
    door = await door_of(site, server)
    subscriber = await site.active()
    await (await site.nas()).login(subscriber["username"], await site.password(subscriber))
    assert await seen(site, server.raddb, door) == {"traps": [], "not_looked_at": []}
    down = await seen(site, server.raddb, replace(door, port=1), waits=WAITS)
    assert [trap["trap"] for trap in down["traps"]] == ["no_answer"]


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ("freeradius -d /opt/raddb -n radiusd -f", "/opt/raddb"),
        ("radiusd -Xd/opt/raddb", "/opt/raddb"),
        ("freeradius -fnradiusd -D /opt/dictionaries", "/etc/freeradius/3.0"),
        ("freeradius -d raddb", "/srv/raddb"),
    ],
)
def test_the_folder_of_a_server_is_the_one_it_was_told_or_that_of_its_maker(line: str, folder: str) -> None:
    assert next(iter(folders_of(line.split(" "), Path("/srv")))) == Path(folder).resolve()


def test_a_server_in_a_unit_of_its_own_reads_this_folder_and_one_in_a_container_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, inside = tmp_path / "raddb", tmp_path / "container"
    for number, root in ((11, Path("/")), (12, inside)):
        process = tmp_path / "proc" / str(number)
        process.mkdir(parents=True)
        (process / "root").symlink_to(root)
    here.mkdir()
    (inside / here.relative_to("/")).mkdir(parents=True)
    monkeypatch.setattr(running, "_PROC", tmp_path / "proc")
    at = datetime(2026, 3, 10, tzinfo=UTC)
    found = {number: running.Server(number, (here,), at).reads(here) for number in (11, 12, 13)}
    assert found == {11: True, 12: False, 13: False}
    assert not running.Server(11, (here / "other",), at).reads(here)


def test_what_was_changed_put_in_or_taken_out_since_the_server_began_is_not_in_force(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raddb, now = read_raddb(copy, environment={}), datetime.now(UTC)
    file, folder = copy / "sites" / "status.conf", copy / "sites"

    def told(started_at: datetime) -> list[str]:
        began = [running.Server(os.getpid(), (copy.resolve(),), started_at)]
        monkeypatch.setattr(running, "servers_here", lambda: iter(began))
        return [trap["what"] for trap in running.running_traps(raddb, copy, [], answered=True)]

    assert told(now + timedelta(minutes=1)) == []
    assert len(told(now - timedelta(hours=1))) == 1, "a copy may keep the times of what it is a copy of"
    for place, later in ((file, timedelta(days=1)), (folder, timedelta(days=2))):
        os.utime(place, ((now + later).timestamp(),) * 2)
        [what] = told(now + timedelta(minutes=1))
        assert what.startswith(f"{place} was changed ")
    unseen: list[str] = []
    file.unlink()
    assert running.running_traps(raddb, copy, unseen, answered=True) == []
    assert [each.split(":")[0] for each in unseen] == [
        f"whether FreeRADIUS has the configuration in {copy} as it is now"
    ]


async def test_a_configuration_that_no_server_here_has_is_said_not_to_be_looked_at(site: Site, copy: Path) -> None:
    door = await door_of(site, site.backend.server)
    [unseen] = (await seen(site, copy, door))["not_looked_at"]
    assert unseen.startswith(f"whether the FreeRADIUS that answers has the configuration in {copy}: no process ")


@pytest.mark.parametrize(
    "kind", ["sqlite"]
)  # on PostgreSQL it prepares its queries, so it says nothing without a table
async def test_a_server_that_refuses_everybody_is_told_from_one_that_looked(site: Site, run_dir: Path) -> None:
    server = FreeRadiusServer(raddb=RADDB, run_dir=run_dir, database_url=site.backend.database_url)
    known = await door_of(site, site.backend.server)
    async with site.radius_database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE radcheck RENAME TO radcheck_away"))
    try:
        await asyncio.to_thread(server.start)  # one that has seen that table finds nobody in it at its next look
        door = replace(known, port=server.auth_port)
        found = await seen(site, server.raddb, door)
        stock = await examine(
            Patient(None, (door,), timedelta(days=30), waits=PATIENTLY, unsigned_waits=WAITS),
            site.radius_database.read,
            now=site.now(),
        )
    finally:
        await asyncio.to_thread(server.stop)
        async with site.radius_database.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE radcheck_away RENAME TO radcheck"))
    assert [trap["trap"] for trap in found["traps"]] == ["everybody_refused"]
    assert [each for each in stock["not_looked_at"] if each.startswith("whether FreeRADIUS lets anybody in")]


async def test_replies_and_requests_without_a_message_authenticator_are_seen_on_the_wire(
    site: Site, copy: Path, run_dir: Path
) -> None:
    policies = copy / "policies.conf"
    policies.write_text(policies.read_text().replace("&Message-Authenticator := 0x00", "&Tmp-Integer-1 := 0"))
    server = FreeRadiusServer(
        raddb=copy,
        run_dir=run_dir,
        database_url=site.backend.database_url,
        schema=site.backend.schema,
        require_message_authenticator=False,
    )
    status = copy / "sites" / "status.conf"  # its own probe wants a signed reply
    status.write_text(
        status.read_text().replace("authenticate_the_reply", "update reply { &Message-Authenticator := 0x00 }")
    )
    await asyncio.to_thread(server.start)
    try:
        found = await seen(site, copy, await door_of(site, server), unsigned=PATIENTLY)
    finally:
        await asyncio.to_thread(server.stop)
    assert sorted(trap["trap"] for trap in found["traps"]) == ["replies_unsigned", "unsigned_requests"]


async def test_accepts_that_nobody_signs_are_found_where_rejects_are_signed(
    site: Site, copy: Path, run_dir: Path
) -> None:
    path = copy / "sites" / "subscribers.conf"
    path.write_text(path.read_text().replace("authenticate_the_reply", ""))  # the reject is signed by `bare_reject`
    server = FreeRadiusServer(
        raddb=copy, run_dir=run_dir, database_url=site.backend.database_url, schema=site.backend.schema
    )
    await asyncio.to_thread(server.start)
    try:
        found = await seen(site, copy, await door_of(site, server))
    finally:
        await asyncio.to_thread(server.stop)
    [trap] = found["traps"]
    assert (trap["trap"], trap["what"]) == (
        "replies_unsigned",
        "server subscribers: nothing puts a Message-Authenticator first",
    )


async def test_every_grant_that_the_server_s_role_lacks_is_named_with_its_statement(
    postgresql_freeradius: RadiusBackend,
) -> None:
    role = f"freeradius_{uuid4().hex[:8]}"
    schema = postgresql_freeradius.schema
    url = as_superuser(postgresql_freeradius.database_url).render_as_string(hide_password=False)
    opened = Database(url, schema=schema)
    try:
        async with opened.engine.connect() as connection, AsyncSession(connection) as db:  # nothing of it is kept

            async def lacking() -> dict[str, str]:
                traps = await privilege_traps(db, datetime.now(UTC))
                return {trap["what"]: trap["fix"] for trap in traps if role in trap["what"]}

            await db.execute(text(f"CREATE ROLE {role} LOGIN"))
            assert await lacking() == {}  # a report's, as far as anybody can tell
            await db.execute(text(f"GRANT INSERT ON {schema}.radius_login TO {role}"))
            lacks = await lacking()
            assert lacks[f"role {role} may not SELECT and INSERT and UPDATE radacct"] == (
                f"GRANT SELECT, INSERT, UPDATE ON {schema}.radacct TO {role};"
            )
            assert {f"role {role} may not SELECT {table}" for table in ("nas", "radius_line")} <= lacks.keys()
            for fix in lacks.values():
                await db.execute(text(fix))
            assert await lacking() == {}
            await db.execute(text(f"REVOKE SELECT ON {schema}.radius_session_archive FROM {role}"))
            fix = f"GRANT SELECT ON {schema}.radius_session_archive TO {role};"
            assert await lacking() == {f"role {role} may not SELECT radius_session_archive": fix}
            sequence = f"{schema}.radius_login_id_seq"
            await db.execute(text(f"REVOKE USAGE ON SEQUENCE {sequence} FROM {role}"))
            assert f"GRANT USAGE ON SEQUENCE {sequence} TO {role};" in (await lacking()).values()
    finally:
        await opened.close()


def test_with_the_grants_of_the_document_a_role_can_write_the_log(
    postgresql_freeradius: RadiusBackend,
) -> None:
    document = (RADDB.parents[2] / "docs" / "radius-logins.md").read_text(encoding="utf-8")
    grants = document.partition("```sql\n")[2].partition("```")[0].strip().splitlines()
    now, role = datetime.now(UTC), f"freeradius_{uuid4().hex[:8]}"
    tried = {"username": role, "nas_address": "192.0.2.1", "method": "pap"}
    unknown = {"first_at": now, "last_at": now, "times": 1}
    statements: list[Executable] = [
        insert(radius_login).values(**tried, accepted=True, happened_at=now).inline(),
        insert(radius_unknown_user).values(**tried, **unknown, reason="no_such_user").inline(),
        insert(radius_unknown_nas).values(address="192.0.2.1", **unknown),
        select(radacct.c.nasipaddress).where(radacct.c.username == role),
    ]
    url = sync_url(as_superuser(postgresql_freeradius.database_url))
    engine = create_engine(url, connect_args={"options": f"-csearch_path={postgresql_freeradius.schema}"})
    for withheld in (None, "SEQUENCE"):
        with engine.connect() as connection:  # nothing of it is kept
            connection.execute(text(f"CREATE ROLE {role}"))
            for grant in grants:
                if withheld is None or withheld not in grant:
                    connection.execute(text(grant.replace("TO freeradius", f"TO {role}")))
            connection.execute(text(f"SET LOCAL ROLE {role}"))
            with pytest.raises(ProgrammingError) if withheld else nullcontext():
                for statement in statements:
                    connection.execute(statement)
    engine.dispose()
