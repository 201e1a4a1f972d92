"""A FreeRADIUS configuration, read as the server reads it: sections, values and calls, ``$INCLUDE`` followed.

Only its form is understood here (radiusd.conf(5), unlang(5)); ``radius.doctor.traps`` knows what is wrong with it.
Values keep what can't be known from outside: ``$ENV{...}`` that is not set here stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from radius.doctor.conditions import RETURN_CODES, unknown_words

DEEPEST = 20
"""How many files may include one another."""

_PAIR = re.compile(r"^(?P<name>[^\s={}]+)\s*(?P<op>:=|\+=|-=|==|!\*|=)\s*(?P<value>.*)$")
_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_.:\[\]-]+)\}")
_NO_CODE = (
    f"which is no code that a module returns ({', '.join(RETURN_CODES)}): an attribute is written &Name, and what shall"
    " always or never hold true or false"
)
_QUOTES = ("'", '"', "`")
_CONTINUED = "\0"
_ENVIRONMENT = re.compile(r"\$ENV\{([A-Za-z0-9_]+)\}")


@dataclass
class Section:
    """``name instance { ... }``; a condition is the instance of its ``if``. ``calls`` are modules and policies;
    ``steps`` are calls and sections in the order in which they stand."""

    name: str
    instance: str = ""
    values: list[tuple[str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    steps: list[str | Section] = field(default_factory=list)

    def open(self, section: Section) -> None:
        """Another section stands in here."""
        self.sections.append(section)
        self.steps.append(section)

    def call(self, name: str) -> None:
        """A module or policy is called in here."""
        self.calls.append(name)
        self.steps.append(name)

    def value(self, name: str) -> str | None:
        """The first value of that name: the server ignores those that come after it."""
        return next((value for key, value in self.values if key == name), None)

    def section(self, name: str, instance: str | None = None) -> Section | None:
        """The first section of that name (and instance)."""
        return next((one for one in self.named(name) if instance in (None, one.instance)), None)

    def named(self, name: str) -> Iterator[Section]:
        """Every section of that name, directly in here."""
        return (one for one in self.sections if one.name == name)

    def every(self) -> Iterator[Section]:
        """This section and all inside of it."""
        yield self
        for one in self.sections:
            yield from one.every()


@dataclass(frozen=True)
class Raddb:
    """A whole configuration: its root section, the files it is made of, and where the server can't read one of them."""

    root: Section
    files: tuple[Path, ...]
    malformed: tuple[str, ...] = ()

    def policies(self) -> dict[str, Section]:
        """What may be called by a name besides modules."""
        return {one.name: one for section in self.root.named("policy") for one in section.sections}

    def is_done(self, step: str | Section) -> bool:
        """Whether the server does a step at all: ``-name`` only where something of that name is loaded."""
        name = step if isinstance(step, str) else step.name
        return not name.startswith("-") or name[1:].partition(".")[0] in self._loaded

    @cached_property
    def _loaded(self) -> frozenset[str]:
        modules = (one for loaded in self.root.named("modules") for one in loaded.sections)
        virtual = (one for loaded in self.root.named("instantiate") for one in loaded.sections)
        return frozenset({one.instance or one.name for one in (*modules, *virtual)} | set(self.policies()))

    def servers(self) -> Iterator[Section]:
        """Virtual servers that take logins or accounting of NASes."""
        for server in self.root.named("server"):
            kinds = {listen.value("type") for listen in server.named("listen")}
            if kinds & {"auth", "acct", "auth+acct"} or (not kinds and server.section("authenticate")):
                yield server

    def followed(self, section: Section, seen: frozenset[str] = frozenset()) -> Iterator[Section]:
        """The section, all inside of it, and all that the policies do which it calls."""
        policies = self.policies()
        for inner in section.every():
            yield inner
            for call in inner.calls:
                if call in policies and call not in seen:
                    yield from self.followed(policies[call], seen | {call})

    def resolved(self, value: str) -> str:
        """The value with references to other values followed, as far as they are known."""
        for _ in range(DEEPEST):
            found = _REFERENCE.search(value)
            target = None if found is None else self._target(found[1])
            if found is None or target is None:
                return value
            value = value.replace(found[0], target)
        return value

    def _target(self, path: str) -> str | None:
        section, parts = self.root, path.split(".")
        for part in parts[:-1]:
            name, _, instance = part.rstrip("]").partition("[")
            inner = section.section(name, instance or None)
            if inner is None:
                return None
            section = inner
        return section.value(parts[-1])


def read_raddb(folder: Path, *, environment: Mapping[str, str]) -> Raddb:
    """The configuration that begins at ``radiusd.conf`` in that folder.

    Raises:
        OSError: a file of it can't be read.
    """
    root = Section("root")
    reader = _Reader(folder, root, environment)
    reader.read(folder / "radiusd.conf", root, 0)
    return Raddb(root, tuple(reader.files), tuple(reader.malformed))


class _Reader:
    def __init__(self, folder: Path, root: Section, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._root = root
        self._environment = environment
        self.files: list[Path] = []
        self.malformed: list[str] = []

    def read(self, path: Path, into: Section, depth: int) -> None:
        self.files.append(path)
        stack, opened = [into], list[tuple[int, str]]()
        for number, line in _lines(path.read_text(encoding="utf-8", errors="replace")):
            if line.startswith(("$INCLUDE", "$-INCLUDE")):
                self._include(line, path, stack[-1], depth)
            elif line == "}" and opened:
                stack.pop()
                opened.pop()
            elif line == "}":
                self._cannot(path, number, "} closes what was not opened")
            elif line.endswith("{"):
                name, _, instance = line[:-1].strip().partition(" ")
                if name in ("if", "elsif"):
                    for word in unknown_words(instance):
                        self._cannot(path, number, f"{name} asks for {word[:60]}, {_NO_CODE}")
                stack[-1].open(Section(name, instance.strip()))
                stack.append(stack[-1].sections[-1])
                opened.append((number, line))
            elif fault := self._keep(line, stack[-1]):
                self._cannot(path, number, fault)
        for number, line in opened:  # the server wants it closed in the same file
            self._cannot(path, number, f"{line[:60]} is not closed")

    def _cannot(self, path: Path, number: int, fault: str) -> None:
        self.malformed.append(f"{path} line {number}: {fault}")

    def _keep(self, line: str, section: Section) -> str | None:
        """What is wrong with it. Values may be secrets, so it names none."""
        pair = _PAIR.match(line)
        if pair is None:
            section.call(line.strip('"'))
            return "is neither a value nor a section" if section is self._root else None
        if _is_open(pair["value"]):
            return f"{pair['name'][:60]} has a quote that is not closed"
        section.values.append((pair["name"], self._known(_unquoted(pair["value"]))))
        return None

    def _known(self, value: str) -> str:
        return _ENVIRONMENT.sub(lambda found: self._environment.get(found[1], found[0]), value)

    def _include(self, line: str, path: Path, section: Section, depth: int) -> None:
        if depth >= DEEPEST:
            return
        keyword, _, named = line.partition(" ")
        said = self._expanded(self._known(_unquoted(named.strip())), section)
        unknown = _ENVIRONMENT.sub("*", said)
        if unknown != said:  # which of them the server reads is known to its environment alone
            for each in sorted(path.parent.glob(unknown)):
                self.read(each, section, depth + 1)
            return
        target = path.parent / said
        if not target.exists() and keyword == "$-INCLUDE":
            return
        if not target.is_dir():
            self.read(target, section, depth + 1)
            return
        for each in sorted(target.iterdir()):  # as the server: names of letters, digits, _ and .
            if each.is_file() and re.fullmatch(r"[A-Za-z0-9_.-]+", each.name) and not each.name.startswith("."):
                self.read(each, section, depth + 1)

    def _expanded(self, named: str, section: Section) -> str:
        """References as they stand in the names of files: to what was said before, and ``${.:name}``."""
        for _ in range(DEEPEST):
            found = _REFERENCE.search(named)
            if found is None:
                return named
            name = found[1].lstrip(".")
            if name in ("confdir", "raddbdir"):
                value: str | None = str(self._folder)
            else:
                value = section.name if name == ":name" else section.value(name) or self._root.value(name)
            if value is None:
                return named
            named = named.replace(found[0], value)
        return named


def plain_lines(text: str) -> Iterator[str]:
    """Lines without their comments, continued ones joined."""
    return (line for _, line in _numbered(text))


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    number, joined = 1, re.sub(r"\\\n[ \t]*", f"{_CONTINUED} ", text.replace(_CONTINUED, ""))
    for line in joined.split("\n"):
        yield number, _without_comment(line.replace(_CONTINUED, "")).strip()
        number += 1 + line.count(_CONTINUED)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines: as ``plain_lines``, and what a brace ends or begins on a line of its own."""
    for number, line in _numbered(text):
        for piece in _pieces(line):
            yield number, piece


def _pieces(line: str) -> Iterator[str]:
    """``if (fail) { ok }`` is three lines; braces in quotes, references and expansions are not of the form."""
    piece, quote, depth = "", "", 0
    for at, character in enumerate(line):
        if quote:
            quote = "" if character == quote and line[at - 1] != "\\" else quote
        elif character in "\"'`" or (character == "/" and piece.rstrip().endswith("~")):
            quote = character
        elif character == "{" and at and (line[at - 1] in "$%" or line[max(0, at - 4) : at] == "$ENV"):
            depth += 1
        elif character == "}" and depth:
            depth -= 1
        elif character in "{}":
            before = (piece + ("{" if character == "{" else "")).strip()
            if before:
                yield before
            if character == "}":
                yield "}"
            piece = ""
            continue
        piece += character
    if piece.strip():
        yield piece.strip()


def _without_comment(line: str) -> str:
    quote = ""
    for at, character in enumerate(line):
        if quote:
            quote = "" if character == quote and line[at - 1] != "\\" else quote
        elif character in "\"'" or (character == "/" and line[:at].rstrip().endswith("~")):
            quote = character
        elif character == "#":
            return line[:at]
    return line


def _is_open(value: str) -> bool:
    """It begins with a quote that does not end in it."""
    value = value.strip()
    return value[:1] in _QUOTES and not re.search(rf"(?<!\\)(?:\\\\)*{re.escape(value[0])}", value[1:])


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
