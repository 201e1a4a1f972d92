"""What a section of a virtual server comes to when its calls of SQL return one code: as FreeRADIUS 3.2 goes through it
(unlang(5), its default actions of each section), on every way that is open. Pure.

What a condition asks of a packet, or of a row, is not known here: both ways are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from radius.doctor.conditions import ANY_CODE, RETURN_CODES, holds
from radius.doctor.raddb import Raddb, Section

_RANKS: Mapping[str, Mapping[str, int]] = {
    "authorize": {"notfound": 1, "noop": 2, "ok": 3, "updated": 4},
    "accounting": {"noop": 1, "ok": 2, "updated": 3},
}
"""The code of the highest rank is what a section comes to; one that has none ends it at once."""
_UNTOUCHED: Mapping[str, str] = {"authorize": "notfound", "accounting": "noop"}
_PASSED_ON: Mapping[str, frozenset[str]] = {"authorize": frozenset(), "accounting": frozenset({"noop", "updated"})}
"""Behind which codes besides ``fail`` the next of several that stand in for each other is called."""
_ALWAYS_OK = frozenset({"linelog", "detail"})
_REDUNDANT = frozenset({"redundant", "redundant-load-balance"})
_SILENCE = "Do-Not-Respond"


class End(NamedTuple):
    """One way through a section. ``asked``: a module of SQL was called on it; ``silent``: nothing is to be answered."""

    code: str
    asked: bool
    silent: bool


class _At(NamedTuple):
    """Where a way stands in a block: the code of its ``last`` step, and the ``best`` one so far with its ``rank``."""

    last: str
    best: str
    rank: int
    asked: bool
    silent: bool


def ends_of(raddb: Raddb, part: Section, *, sql_returns: str, database_down: bool = False) -> set[End]:
    """Every way that section ``part`` (authorize or accounting) may end. ``database_down``: what a condition asks of
    SQL has no answer."""
    walk = _Walk(raddb, part.name, sql_returns, database_down=database_down)
    start = _At(_UNTOUCHED[part.name], _UNTOUCHED[part.name], 0, asked=False, silent=False)
    left = walk.through(part, {start}, frozenset())
    return walk.ended | {End(at.best, at.asked, at.silent) for at in left}


class _Walk:
    def __init__(self, raddb: Raddb, part: str, sql_returns: str, *, database_down: bool) -> None:
        self._raddb = raddb
        modules = [one for each in raddb.root.named("modules") for one in each.sections]
        self._kinds = {one.instance or one.name: one.name for one in modules}
        self._always = {one.instance: one.value("rcode") or ANY_CODE for one in modules if one.name == "always"}
        self._policies = raddb.policies()
        self._ranks = {**_RANKS[part], ANY_CODE: 1}
        self._passed_on = _PASSED_ON[part]
        self._sql_returns = sql_returns
        names = {name for name, kind in self._kinds.items() if kind == "sql"} | {"sql"}
        self._without_answer = names if database_down else set[str]()
        self.ended = set[End]()

    def through(self, block: Section, ways: set[_At], within: frozenset[str]) -> set[_At]:
        """The ways that come to the end of a block."""
        passed, not_taken = ways, set[_At]()
        for step in block.steps:
            if isinstance(step, Section) and step.name in ("if", "elsif", "else"):
                asking = not_taken if step.name != "if" else passed | not_taken
                passed = passed if step.name != "if" else set()
                taken, not_taken = self._split(step, asking)
                passed = passed | self._inside(step, taken, within)
            elif not self._raddb.is_done(step):
                passed, not_taken = passed | not_taken, set()
            else:
                passed, not_taken = self._step(step, passed | not_taken, within), set()
        return passed | not_taken

    def _split(self, branch: Section, ways: set[_At]) -> tuple[set[_At], set[_At]]:
        if branch.name == "else":
            return ways, set()
        truths = {at: holds(branch.instance, at.last, self._without_answer) for at in ways}
        return {at for at in ways if truths[at] is not False}, {at for at in ways if truths[at] is not True}

    def _step(self, step: str | Section, ways: set[_At], within: frozenset[str]) -> set[_At]:
        name = (step if isinstance(step, str) else step.name).lstrip("-")
        if name in self._policies and name not in within:
            return self._inside(self._policies[name], ways, within | {name})
        if isinstance(step, str):
            return self._keyword_or_call(name, None, ways)
        if name == "update":
            silent = any(_SILENCE in value for _, value in step.values)
            return {at for one in ways for at in self._after(one._replace(silent=one.silent or silent), "noop")}
        if name.endswith("-Type"):
            return ways  # a section of its own, which something else leads to
        if name == "group":
            return self._inside(step, ways, within)
        if name in _REDUNDANT:
            return {at for one in ways for at in self._redundant(step, one, within)}
        if name in ("switch", "foreach", "load-balance"):
            return self._one_of(step, ways, within)
        return self._keyword_or_call(name, step, ways)

    def _keyword_or_call(self, name: str, call: Section | None, ways: set[_At]) -> set[_At]:
        if name == "return":
            self.ended |= {End(at.best, at.asked, at.silent) for at in ways}
            return set()
        if name == "break":
            return ways
        module = name if name in self._kinds else name.partition(".")[0]
        kind = self._kinds.get(module, module)
        code = self._sql_returns if kind == "sql" else self._code_of(module, kind)
        ways = {at._replace(asked=True) for at in ways} if kind == "sql" else ways
        return {at for one in ways for at in self._after(one, code, call)}

    def _code_of(self, module: str, kind: str) -> str:
        if kind in _ALWAYS_OK:
            return "ok"
        return self._always.get(module, module if module in RETURN_CODES else ANY_CODE)

    def _after(self, at: _At, code: str, call: Section | None = None) -> Iterator[_At]:
        """Where a step leads to that came to a code. ``call`` may say otherwise than FreeRADIUS' default actions."""
        said = None if call is None else call.value(code) or call.value("default")
        rank = int(said) if said is not None and said.isdigit() else self._ranks.get(code)
        if rank is None or said in ("return", "break", "reject"):
            self.ended.add(End("reject" if said == "reject" else code, at.asked, at.silent))
        elif rank >= at.rank:
            yield at._replace(last=code, best=code, rank=rank)
        else:
            yield at._replace(last=code)

    def _inside(self, block: Section, ways: set[_At], within: frozenset[str]) -> set[_At]:
        return {at for one in ways for at in self._left(one, self.through(block, {one._replace(rank=0)}, within))}

    def _left(self, before: _At, inside: set[_At]) -> Iterator[_At]:
        """A block is a step of the one around it, with the code that it came to."""
        for at in inside:
            yield from self._after(before._replace(asked=at.asked, silent=at.silent), at.best)

    def _redundant(self, block: Section, at: _At, within: frozenset[str]) -> Iterator[_At]:
        """What fails is followed by the next, and what doesn't ends it; in accounting what came to nothing goes on."""
        waiting = {at}
        for step in block.steps:
            ended, self.ended = self.ended, set[End]()
            tried = self._step(step, waiting, within)
            failed = {each for each in self.ended if each.code == "fail"}
            self.ended = ended | (self.ended - failed)
            yield from (each for each in tried if each.last not in self._passed_on)
            waiting = {each for each in tried if each.last in self._passed_on}
            waiting |= {at._replace(last="fail", asked=each.asked, silent=each.silent) for each in failed}
        for each in waiting:
            yield from self._after(each, "fail", block) if each.last == "fail" else [each]

    def _one_of(self, block: Section, ways: set[_At], within: frozenset[str]) -> set[_At]:
        cases = [step for step in block.sections if step.name == "case"]
        has_default = not all(case.instance for case in cases)
        is_one_taken = block.name == "load-balance" or (block.name == "switch" and has_default)
        found = set[_At]() if is_one_taken else set(ways)
        for step in block.steps if block.name != "foreach" else [block]:
            if isinstance(step, Section) and step.name in ("case", "foreach"):
                found |= self._inside(step, ways, within)
            else:
                found |= self._step(step, ways, within)
        return found
