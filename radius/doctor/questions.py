"""What traps ask of a configuration: its modules of SQL, who calls them, and what of them is guarded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from radius.doctor.raddb import Raddb, Section

ENDS_BY: Mapping[str, Sequence[str]] = {
    "sql": ("fail", "invalid"),
    "linelog": ("fail",),
    "detail": ("fail",),
    "exec": ("reject", "fail", "invalid"),
}
"""Kinds of modules that write something down, and by which codes they say that they could not."""


def clients(raddb: Raddb) -> Iterator[Section]:
    return (client for section in raddb.root.every() for client in section.named("client"))


def sql_modules(raddb: Raddb) -> Iterator[Section]:
    return (sql for modules in raddb.root.named("modules") for sql in modules.named("sql"))


def _sql_names(raddb: Raddb) -> set[str]:
    return {sql.instance or sql.name for sql in sql_modules(raddb)} | {"sql"}


def pool_owner(raddb: Raddb, sql: Section) -> Section:
    """The module whose connections a module of SQL has: its own, or those of the one that it names."""
    by_name = {one.instance or one.name: one for one in sql_modules(raddb)}
    seen = [sql]
    while (named := seen[-1].value("pool")) in by_name and by_name[named] not in seen:
        seen.append(by_name[named])
    return seen[-1]


def _called(raddb: Raddb, section: Section) -> Iterator[str]:
    """Modules of SQL that are called."""
    names = _sql_names(raddb)
    for inner in raddb.followed(section):
        for step in inner.steps:
            name = _name_of_step(step)
            if name in names and raddb.is_done(step):
                yield name


def _name_of_step(step: str | Section) -> str:
    return (step if isinstance(step, str) else step.name).lstrip("-")


def asks_sql(raddb: Raddb, section: Section) -> bool:
    return any(True for _ in _called(raddb, section))


def sql_called_by_servers(raddb: Raddb, parts: Sequence[str]) -> set[str]:
    return {name for section in _parts(raddb, parts) for name in _called(raddb, section)}


def called_by_servers(raddb: Raddb, parts: Sequence[str]) -> set[str]:
    """Whatever is called in these sections, and in the policies that they call."""
    steps = [step for section in _parts(raddb, parts) for inner in raddb.followed(section) for step in inner.steps]
    return {_name_of_step(step).partition(".")[0] for step in steps if raddb.is_done(step)}


def _parts(raddb: Raddb, parts: Sequence[str]) -> list[Section]:
    return [section for server in raddb.servers() for part in parts for section in server.named(part)]


def unguarded(raddb: Raddb, section: Section) -> list[str]:
    """Modules that write something down and whose failure ends post-auth: by its default actions, a reject. What is
    done with a login that is refused anyway (Post-Auth-Type REJECT) can't make it one."""
    writing = {name: "sql" for name in _sql_names(raddb)} | {"linelog": "linelog", "detail": "detail"}
    for module in (one for modules in raddb.root.named("modules") for one in modules.sections):
        if module.name in ENDS_BY and (module.name != "exec" or _waits_for_a_program(module)):
            writing[module.instance or module.name] = module.name
    found = set[str]()
    for step in _of_accepts(raddb, section, frozenset()):
        name = _name_of_step(step)
        module_name = name if name in writing else name.partition(".")[0]
        codes = ENDS_BY.get(writing.get(module_name, ""), ())
        if not all(isinstance(step, Section) and _goes_on(step, code) for code in codes):
            found.add(module_name)
    return sorted(found)


def _waits_for_a_program(module: Section) -> bool:
    """Else it is done with each before it could fail."""
    return module.value("program") is not None and module.value("wait") != "no"


def _goes_on(call: Section, code: str) -> bool:
    return (call.value(code) or call.value("default") or "").isdigit()


def _of_accepts(raddb: Raddb, section: Section, seen: frozenset[str]) -> Iterator[str | Section]:
    """Every step of a section, and of the policies that it calls, but for those of refused logins."""
    policies = raddb.policies()
    for step in section.steps:
        name = _name_of_step(step)
        if not raddb.is_done(step):
            continue
        if name in policies and name not in seen:
            yield from _of_accepts(raddb, policies[name], seen | {name})
        elif isinstance(step, str):
            yield step
        elif (step.name, step.instance.upper()) != ("Post-Auth-Type", "REJECT"):
            yield step
            yield from _of_accepts(raddb, step, seen)


def signs_before_sql(raddb: Raddb, section: Section) -> bool:
    """Whether the reply has a Message-Authenticator before anything of SQL comes into it. The order of what is added is
    that on the wire, so behind it an accept begins with something else."""
    return next(_signs_or_asks(raddb, section, frozenset()), None) == "signs"


def _signs_or_asks(raddb: Raddb, section: Section, seen: frozenset[str]) -> Iterator[str]:
    policies, names = raddb.policies(), _sql_names(raddb)
    if any("Message-Authenticator" in name for name, _ in section.values):
        yield "signs"
    for step in section.steps:
        name = _name_of_step(step)
        if name in names and raddb.is_done(step):
            yield "asks"
        elif isinstance(step, Section):
            yield from _signs_or_asks(raddb, step, seen)
        elif name in policies and name not in seen:
            yield from _signs_or_asks(raddb, policies[name], seen | {name})


def number(raddb: Raddb, value: str | None) -> int | None:
    resolved = "" if value is None else raddb.resolved(value)
    return int(resolved) if resolved.isdigit() else None


def name_of(module: Section) -> str:
    return f"{module.name} {module.instance}".strip()
