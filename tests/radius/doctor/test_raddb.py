"""The configuration in deploy/freeradius keeps its promises, and its README tells the truth about it."""

from __future__ import annotations

import re
from pathlib import Path

from radius.attributes import ATTRIBUTES, split_tag
from radius.dialects import DIALECTS, Rate
from radius.logins.views import REASONS
from radius.projection.projection import _REFUSALS
from radius.testing import FreeRadiusServer
from radius.testing.freeradius_server import Ports
from tests.support.freeradius import RADDB

FILES = sorted(path for path in RADDB.rglob("*") if path.is_file())
VARIABLE = re.compile(r"FIRSTLIGHT_FREERADIUS_[A-Z_]+")


def _without_comments(path: Path) -> str:
    return "\n".join(line.split("#")[0] for line in path.read_text(encoding="utf-8").splitlines())


TEXT = "\n".join(_without_comments(path) for path in FILES)


def test_every_variable_is_documented_and_every_documented_one_is_used() -> None:
    readme = (RADDB.parent / "README.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(FIRSTLIGHT_FREERADIUS_[A-Z_]+)`", readme, re.MULTILINE))
    assert documented == set(VARIABLE.findall(TEXT))


def test_the_lab_sets_every_variable(tmp_path: Path) -> None:
    server = FreeRadiusServer(raddb=RADDB, run_dir=tmp_path, database_url="sqlite+aiosqlite:///radius.db")
    environment = server._environment(Ports(1, 2, 3))
    assert {name for name in environment if name.startswith("FIRSTLIGHT_")} == set(VARIABLE.findall(TEXT))


def test_every_file_is_named_in_the_readme() -> None:
    readme = (RADDB.parent / "README.md").read_text(encoding="utf-8")
    named = [path for path in FILES if path.name != "dictionary"]
    assert [path.name for path in named if f"`{path.relative_to(RADDB)}`" not in readme] == []


def test_no_secret_is_in_a_file() -> None:
    secrets = re.findall(r"^\s*secret\s*=\s*(\S+)", TEXT, re.MULTILINE)
    assert secrets == ["$ENV{FIRSTLIGHT_FREERADIUS_STATUS_SECRET}"]


def test_nothing_can_start_a_program() -> None:
    assert not re.search(r"\b(exec|echo|perl|python|python3|ruby|unbound|rest)\b\s*\{", TEXT)
    assert "`" not in TEXT


def test_there_is_a_database_connection_for_every_thread() -> None:
    assert re.search(r"max = \$\{thread\[pool\]\.max_servers\}", (RADDB / "sql" / "pool.conf").read_text("utf-8"))


def _policy(name: str) -> str:
    return TEXT[TEXT.index(f"\n{name} {{") :].partition("\n}")[0]


def test_the_guard_against_logins_without_a_rate_knows_every_dialect() -> None:
    untold, *conditions = re.findall(r"if \((&reply:.*)\) \{", _policy("no_login_without_a_rate"))
    assert untold == "&reply:Firstlight-Untold"
    rate = Rate(download_kbps=1000, upload_kbps=1000)
    for dialect in DIALECTS.values():
        told = [(split_tag(name)[0], str(value)) for name, value in dialect.rate_attributes(rate)]
        assert [_met(condition, told) for condition in conditions].count(True) == 1, dialect.name
    asked = set(re.findall(r"&reply:([\w-]+)", " ".join(conditions)))
    assert asked - {"Cisco-AVPair"} == {name for name, fact in ATTRIBUTES.items() if fact.tells_rate}


def _met(condition: str, told: list[tuple[str, str]]) -> bool:
    """As FreeRADIUS reads it: alternatives of attributes that must all be there, some with a value that matches."""
    return any(all(_is_told(part, told) for part in way.split(" && ")) for way in condition.split(" || "))


def _is_told(part: str, told: list[tuple[str, str]]) -> bool:
    [(wanted, pattern)] = re.findall(r"^&reply:([\w-]+)(?:\[\*\] =~ /(.*)/)?$", part)
    return any(name == wanted and re.search(pattern, value) for name, value in told)


def test_every_reason_of_a_refusal_has_words_and_the_texts_it_is_told_by_are_ours() -> None:
    log = (RADDB / "login_log.conf").read_text("utf-8")
    log += _policy("nothing_was_read") + _policy("nobody_of_that_name")
    assert set(re.findall(r'&Firstlight-Refusal := "(\w+)"', log)) == set(REASONS)
    told = set(re.findall(r'Reply-Message == "([^"]+)"', log))
    elsewhere = {"No rate is known for this line at this NAS.", "This login belongs to another line."}
    assert told == {*_REFUSALS.values(), *elsewhere}
    assert "No rate is known for this line at this NAS." in _policy("not_at_this_nas")


def test_every_pool_makes_way_for_an_address_or_prefix_of_ones_own() -> None:
    blocks = re.findall(r"if \(&reply:([\w-]+)\) \{(.*?)\n\t\}", _policy("address_or_pool"), re.DOTALL)
    withdrawn = {(own, pool) for own, block in blocks for pool in re.findall(r"&([\w-]+) !\* ANY", block)}
    assert withdrawn == {(fact.pool_of, name) for name, fact in ATTRIBUTES.items() if fact.pool_of}
