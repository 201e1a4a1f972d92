"""What is known to go wrong with a FreeRADIUS configuration, each trap found in its text: pure, over ``raddb``.

A trap is here because it has been measured to hurt: subscribers refused who should be let in, NASes never answered,
passwords where they don't belong.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator, Sequence

from typing_extensions import TypedDict

from radius.doctor.conditions import always_true
from radius.doctor.questions import (
    asks_sql,
    called_by_servers,
    clients,
    name_of,
    number,
    pool_owner,
    signs_before_sql,
    sql_called_by_servers,
    sql_modules,
    unguarded,
)
from radius.doctor.raddb import Raddb, plain_lines
from radius.doctor.unlang import ends_of

SQLITE_PATIENCE_MILLISECONDS = 2000
SHORTEST_SECRET = 16
KNOWN_SECRETS = frozenset({"testing123", "secret", "radius", "password", "changeme", "mikrotik", "cisco"})
DEFAULT_THREADS = 32
DEFAULT_CONNECTIONS = 10
"""Of a pool that says no ``max``."""
ANSWERED = frozenset({"ok", "updated"})
"""The codes of accounting that an Accounting-Response follows."""
PARTS = ("authorize", "authenticate", "session", "post-auth", "preacct", "accounting")
_SECRET = re.compile(r"(?i)(?:secret|password)\s*=\s*[\"']?(?![$%=~*])[^\s\"'{}]")
"""A secret that is written down: not one that comes from the environment, a row or a reference."""
_EXPANDED_PASSWORD = re.compile(r"[{:&](?:User|(?:Firstlight-Check-)?Cleartext)-Password\b")
"""``%{User-Password}``, ``%{control:Cleartext-Password}``; an attribute's name in the text of a query is none."""
_QUOTED = re.compile(r"(\$\w*\$).*?\1|'(?:[^']|'')*'", re.DOTALL)
"""Text of SQL in dollars or quotes: a semicolon in it ends no statement."""
PROGRAMS = frozenset({"exec", "perl", "python", "python3", "ruby"})


class Trap(TypedDict):
    """One thing that will hurt: what was found, why that hurts, and the line that ends it."""

    trap: str
    what: str
    why: str
    fix: str


def config_traps(raddb: Raddb) -> list[Trap]:
    """Every trap of the text and of the files' modes."""
    return [trap for check in _CHECKS for trap in check(raddb)]


def _rejects_when_down(raddb: Raddb) -> Iterator[Trap]:
    for server in raddb.servers():
        for authorize in (one for one in server.named("authorize") if asks_sql(raddb, one)):
            ends = ends_of(raddb, authorize, sql_returns="fail", database_down=True)
            if any(end.asked and not end.silent for end in ends):
                yield Trap(
                    trap="database_down_rejects",
                    what=f"server {server.instance or 'default'}: when sql fails, the answer is an Access-Reject",
                    why="With the database down every valid subscriber is refused, and no NAS asks its second server.",
                    fix='sql { fail = 1 }  if (fail) { if ("%{sql:SELECT 1}" == "1") { reject }'
                    " update control { &Response-Packet-Type := Do-Not-Respond } handled }",
                )


def _pool_below_threads(raddb: Raddb) -> Iterator[Trap]:
    section = raddb.root.section("thread", "pool")
    threads = number(raddb, section.value("max_servers") if section else None) or DEFAULT_THREADS
    called = sql_called_by_servers(raddb, ("authorize", "session", "accounting", "post-auth"))
    calling = [sql for sql in sql_modules(raddb) if (sql.instance or sql.name) in called]
    for sql in {id(owner): owner for owner in (pool_owner(raddb, each) for each in calling)}.values():
        pool = sql.section("pool")
        said = pool.value("max") if pool else None
        most = DEFAULT_CONNECTIONS if said is None else number(raddb, said)
        if most is not None and most < threads:
            told = f"pool max is {most}" if said is not None else f"no pool max is said, which is {most}"
            yield Trap(
                trap="pool_below_threads",
                what=f"{name_of(sql)}: {told}, with {threads} threads",
                why="A busy server has no connection for some logins, and refuses valid subscribers.",
                fix="pool { max = ${thread[pool].max_servers} }",
            )


def _noop_unanswered(raddb: Raddb) -> Iterator[Trap]:
    for server in raddb.servers():
        for accounting in (one for one in server.named("accounting") if asks_sql(raddb, one)):
            codes = {end.code for end in ends_of(raddb, accounting, sql_returns="noop") if end.asked}
            # `handled` says that there is to be no answer: on some way that may be meant so, and not on every one
            if codes - {*ANSWERED, "handled"} or not codes & ANSWERED:
                yield Trap(
                    trap="noop_unanswered",
                    what=f"server {server.instance or 'default'}: accounting that changes no row gets no answer",
                    why="The NAS sends such a packet (a repeated or late one) again for ever.",
                    fix="accounting { sql  if (noop) { ok } }",
                )


def _programs(raddb: Raddb) -> Iterator[Trap]:
    for modules in raddb.root.named("modules"):
        for module in modules.sections:
            if module.name in PROGRAMS:
                yield Trap(
                    trap="programs_loaded",
                    what=f"module {name_of(module)} is loaded",
                    why="FreeRADIUS expands values of SQL rows: one that a customer chose can start a program here.",
                    fix=f"rm mods-enabled/{module.instance or module.name}",
                )


def _passwords_logged(raddb: Raddb) -> Iterator[Trap]:
    for sql in sql_modules(raddb):
        for section in sql.every():
            for _, value in section.values:
                asks = value.lstrip().upper().startswith("SELECT")
                if not asks and _EXPANDED_PASSWORD.search(value):
                    yield Trap(
                        trap="passwords_logged",
                        what=f"{name_of(sql)}: the query of {section.name} writes the password down",
                        why="Every password, also one typed into the wrong place, is readable in radpostauth.",
                        fix="in post-auth { query }, write '' in the place of '%{%{User-Password}:-%{Chap-Password}}'",
                    )
    yield from _passwords_in_files(raddb)
    log = raddb.root.section("log")
    for name in ("auth_badpass", "auth_goodpass"):
        if log is not None and log.value(name) == "yes":
            yield Trap(
                trap="passwords_logged",
                what=f"log {{ {name} = yes }}",
                why="Passwords are readable in radius.log.",
                fix=f"log {{ {name} = no }}",
            )


def _passwords_in_files(raddb: Raddb) -> Iterator[Trap]:
    """By detail, which writes down whatever a request has, and by a line that names it: where a server calls them."""
    everywhere, at_first = (called_by_servers(raddb, parts) for parts in (PARTS, ("authorize",)))
    for module in (each for modules in raddb.root.named("modules") for each in modules.sections):
        name = module.instance or module.name
        lines = [value for section in module.every() for _, value in section.values]
        names_it = module.name == "linelog" and name in everywhere and any("User-Password" in line for line in lines)
        left_out = [call for section in module.named("suppress") for call in section.calls]
        all_of_it = module.name == "detail" and name in at_first and "User-Password" not in left_out
        if names_it or all_of_it:
            yield Trap(
                trap="passwords_logged",
                what=f"module {name_of(module)} writes the password of every login into a file",
                why="Passwords are readable there, and in each copy of it.",
                fix=f"detail {name} {{ suppress {{ User-Password }} }}" if all_of_it else f"leave it out of {name}",
            )


def _post_auth_rejects(raddb: Raddb) -> Iterator[Trap]:
    for server in raddb.servers():
        for section in server.named("post-auth"):
            for module in unguarded(raddb, section):
                yield Trap(
                    trap="post_auth_rejects",
                    what=f"server {server.instance or 'default'}: post-auth calls {module}, whose failure rejects",
                    why="A locked table, or a full disk, turns an accept into a reject.",
                    fix=f"post-auth {{ {module} {{ fail = 1 invalid = 1 reject = 1 }} ok }}",
                )


def _impatient_sqlite(raddb: Raddb) -> Iterator[Trap]:
    deciding = sql_called_by_servers(raddb, ("authorize", "accounting"))
    for sql in sql_modules(raddb):
        sqlite = sql.section("sqlite")
        driver = sql.value("driver") or ""
        if not driver.endswith("sqlite") or (sql.instance or sql.name) not in deciding:
            continue
        patience = number(raddb, sqlite.value("busy_timeout") if sqlite else None) or 200
        if patience < SQLITE_PATIENCE_MILLISECONDS:
            yield Trap(
                trap="sqlite_impatient",
                what=f"{name_of(sql)}: busy_timeout is {patience} ms",
                why="While somebody else writes for longer, valid logins are refused and accounting is lost.",
                fix="sqlite { busy_timeout = 5000 }",
            )


def _half_opened(raddb: Raddb) -> Iterator[Trap]:
    for sql in sql_modules(raddb):
        query = sql.value("open_query") or ""
        if (sql.value("driver") or "").endswith("sqlite") or "PREPARE" not in query.upper():
            continue
        if ";" in _QUOTED.sub("", query).rstrip("; "):
            yield Trap(
                trap="half_opened",
                what=f"{name_of(sql)}: open_query is several statements, one of which prepares a question",
                why="Of several, FreeRADIUS hears of the first one's error alone: a connection that was opened while a"
                " table was locked or missing stays without its questions, and refuses logins until a restart.",
                fix="open_query = one statement (DO ... EXECUTE), as in deploy/freeradius/raddb/sql/postgresql.conf",
            )


def _clients_read_once(raddb: Raddb) -> Iterator[Trap]:
    for sql in sql_modules(raddb):
        if sql.value("read_clients") == "yes":
            yield Trap(
                trap="clients_read_once",
                what=f"{name_of(sql)}: read_clients = yes",
                why="A new NAS or another secret needs a restart, and the server does not start while SQL is down.",
                fix="read_clients = no, and a dynamic client as in deploy/freeradius/raddb/sites/nas.conf",
            )


def _weak_clients(raddb: Raddb) -> Iterator[Trap]:
    for client in clients(raddb):
        secret = client.value("secret")
        if secret is not None and "$ENV{" not in secret and (len(secret) < SHORTEST_SECRET or secret in KNOWN_SECRETS):
            yield Trap(
                trap="weak_secret",
                what=f"client {client.instance}: its secret is short or known",
                why="Whoever sees a packet finds it out, and with it every password (RFC 2865 s3 asks for 16 octets).",
                fix=f"client {client.instance} {{ secret = {'<24 and more random characters>'} }}",
            )
        if client.value("require_message_authenticator") == "no":
            yield Trap(
                trap="unsigned_requests",
                what=f"client {client.instance}: require_message_authenticator = no",
                why="A man in the middle turns a reject into an accept (BlastRADIUS, CVE-2024-3596).",
                fix=f"client {client.instance} {{ require_message_authenticator = yes }}",
            )


def _replies_unsigned(raddb: Raddb) -> Iterator[Trap]:
    for server in raddb.servers():
        for authorize in server.named("authorize"):
            if not signs_before_sql(raddb, authorize):
                yield Trap(
                    trap="replies_unsigned",
                    what=f"server {server.instance or 'default'}: nothing puts a Message-Authenticator first",
                    why="Before 3.2.5 replies have none, so they can be forged (BlastRADIUS, CVE-2024-3596).",
                    fix="authorize { update reply { &Message-Authenticator := 0x00 } ... }, as its first line",
                )


def _always_true(raddb: Raddb) -> Iterator[Trap]:
    for section in raddb.root.every():
        if section.name not in ("if", "elsif"):
            continue
        for text in always_true(section.instance):
            yield Trap(
                trap="condition_always_true",
                what=f"{section.name} {section.instance[:80]}: {text[:40]} is a text, which is always true",
                why="What follows is done for every packet, whoever sent it; an else of it is never.",
                fix=f"the code that a module returns has no quotes ({section.name} (notfound)); an attribute is &Name",
            )


def _open_to_others(raddb: Raddb) -> Iterator[Trap]:
    for path in dict.fromkeys(raddb.files):
        mode = stat.S_IMODE(path.stat().st_mode)
        secret = any(_SECRET.search(line) for line in plain_lines(path.read_text(encoding="utf-8", errors="replace")))
        if mode & stat.S_IWOTH or (mode & stat.S_IROTH and secret):
            yield Trap(
                trap="open_to_others",
                what=f"{path} can be {'written' if mode & stat.S_IWOTH else 'read'} by everybody (mode {mode:o})",
                why="It decides who is let in, and may hold secrets.",
                fix=f"chmod o-rwx {path}",
            )


_CHECKS: Sequence[Callable[[Raddb], Iterator[Trap]]] = (
    _rejects_when_down,
    _pool_below_threads,
    _noop_unanswered,
    _programs,
    _passwords_logged,
    _post_auth_rejects,
    _impatient_sqlite,
    _half_opened,
    _clients_read_once,
    _weak_clients,
    _always_true,
    _open_to_others,
)


def lifetime_traps(raddb: Raddb, seconds: int) -> list[Trap]:
    """Networks of NASes that are remembered for another time than we tell whoever rotates a secret."""
    traps = []
    for client in clients(raddb):
        lasts = number(raddb, client.value("lifetime")) if client.value("dynamic_clients") else None
        if lasts is not None and lasts != seconds:
            traps.append(
                Trap(
                    trap="lifetime_differs",
                    what=f"client {client.instance}: lifetime is {lasts} s, and we count with {seconds} s",
                    why="When a rotated secret is in force is told wrongly, so a NAS gets it too early or too late.",
                    fix=f"FIRSTLIGHT_RADIUS_NAS_LIFETIME_SECONDS={lasts}",
                )
            )
    return traps


def signing_traps(raddb: Raddb) -> list[Trap]:
    """What the text says of the replies' Message-Authenticator: asked where nobody can look at a reply itself, or at
    a version that would do it by itself."""
    return list(_replies_unsigned(raddb))
