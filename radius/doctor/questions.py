"""What traps ask of a configuration: its modules of SQL, who calls them, and what of them is guarded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from radius.doctor.raddb import Raddb, Section


def clients(raddb: Raddb) -> Iterator[Section]:
    return (client for section in raddb.root.every() for client in section.named("client"))


def sql_modules(raddb: Raddb) -> Iterator[Section]:
    return (sql for modules in raddb.root.named("modules") for sql in modules.named("sql"))


def _sql_names(raddb: Raddb) -> set[str]:
    return {sql.instance or sql.name for sql in sql_modules(raddb)} | {"sql"}


def values_of(raddb: Raddb, section: Section) -> Iterator[tuple[str, str]]:
    return (value for inner in raddb.followed(section) for value in inner.values)


def _called(raddb: Raddb, section: Section, codes: Sequence[str] = ("fail",)) -> Iterator[tuple[str, bool]]:
    """Modules of SQL that are called, and whether what fails there is guarded (``sql { fail = 1 }``)."""
    names = _sql_names(raddb)
    for inner in raddb.followed(section):
        for call in inner.calls:
            if call.lstrip("-") in names:
                yield call.lstrip("-"), False
        for one in inner.sections:
            if one.name.lstrip("-") in names:
                yield one.name.lstrip("-"), all((one.value(code) or "").isdigit() for code in codes)


def asks_sql(raddb: Raddb, section: Section) -> bool:
    return any(True for _ in _called(raddb, section))


def sql_called_by_servers(raddb: Raddb, parts: Sequence[str]) -> set[str]:
    return {name for section in _parts(raddb, parts) for name, _ in _called(raddb, section)}


def called_by_servers(raddb: Raddb, parts: Sequence[str]) -> set[str]:
    """Whatever is called in these sections, and in the policies that they call."""
    inside = [inner for section in _parts(raddb, parts) for inner in raddb.followed(section)]
    return {name.lstrip("-").partition(".")[0] for each in inside for name in (each.name, *each.calls)}


def _parts(raddb: Raddb, parts: Sequence[str]) -> list[Section]:
    return [section for server in raddb.servers() for part in parts for section in server.named(part)]


def unguarded(raddb: Raddb, section: Section, codes: Sequence[str] = ("fail",)) -> list[str]:
    """Modules of SQL that are called there and end the section with one of these codes."""
    return sorted({name for name, guarded in _called(raddb, section, codes) if not guarded})


def signs_before_sql(raddb: Raddb, section: Section) -> bool:
    """Whether the reply has a Message-Authenticator before anything of SQL comes into it. The order of what is added is
    that on the wire, so behind it an accept begins with something else."""
    return next(_signs_or_asks(raddb, section, frozenset()), None) == "signs"


def _signs_or_asks(raddb: Raddb, section: Section, seen: frozenset[str]) -> Iterator[str]:
    policies, names = raddb.policies(), _sql_names(raddb)
    if any("Message-Authenticator" in name for name, _ in section.values):
        yield "signs"
    for step in section.steps:
        name = (step if isinstance(step, str) else step.name).lstrip("-")
        if name in names:
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
