"""The files that set a machine up say the same thing, once: locks, packages, commands, licence."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import renew_demo_picture
from tests.deploy.conftest import ROOT

REQUIREMENTS = ROOT / "deploy" / "requirements"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
COMMANDS = ("demo", "test")


def _locked(name: str) -> dict[str, str]:
    return dict(PIN.findall((REQUIREMENTS / name).read_text()))


def _packages() -> list[tuple[str, list[str], str]]:
    lines = (ROOT / "deploy" / "debian-packages.txt").read_text().splitlines()
    rows = [line.split(maxsplit=2) for line in lines if line and not line.startswith("#")]
    return [(package, commands.split(","), proof) for package, commands, proof in rows]


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt"])
def test_every_locked_requirement_has_a_version_and_a_hash(name: str) -> None:
    joined = (REQUIREMENTS / name).read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip()]
    pins = PIN.findall(joined)  # of a package two, where the newer one needs a newer Python
    assert len(lines) == len(pins) > 20
    assert [line for line in lines if not re.search(r" --hash=sha256:[0-9a-f]{64}\b", line)] == []


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt", "build.in", "dev.in", "lock.in"])
def test_no_requirement_names_where_it_comes_from(name: str) -> None:
    words = r"://|--(extra-)?index-url|--find-links|--trusted-host|(^| )-[fi] |@ "
    assert re.search(words, (REQUIREMENTS / name).read_text(), re.MULTILINE) is None


def test_what_the_tests_install_includes_what_the_demo_installs() -> None:
    runtime, dev = _locked("runtime.txt"), _locked("dev.txt")
    assert {name: dev.get(name) for name in runtime} == runtime


def test_the_build_back_end_is_locked_so_that_the_product_installs_offline() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert f'"hatchling=={_locked("runtime.txt")["hatchling"]}"' in pyproject


def test_every_debian_package_is_listed_once_for_commands_that_exist() -> None:
    names = [package for package, _, _ in _packages()]
    assert names == list(dict.fromkeys(names))
    assert {"make", "python3-venv", "freeradius", "freeradius-postgresql", "postgresql"} <= set(names)
    assert [row for row in _packages() if not set(row[1]) <= set(COMMANDS)] == []
    assert [row for row in _packages() if "demo" in row[1] and "test" not in row[1]] == []


def _tracked_text() -> dict[Path, str]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        paths = [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    else:
        listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        paths = [ROOT / name for name in listed.split("\0") if name]
    texts = {}
    for path in paths:
        if path.is_file() and path.suffix not in (".png", ".jpg", ".gz"):
            texts[path] = path.read_text(encoding="utf-8", errors="replace")
    return texts


def test_no_other_file_asks_for_a_debian_package_that_the_list_lacks() -> None:
    known = {package for package, _, _ in _packages()}
    asked = re.compile(r"\bapt(?:-get)? install((?: -[-a-z]+)*)((?: [a-z0-9][a-z0-9.+-]+)+)")
    strangers = {
        (str(path.relative_to(ROOT)), package)
        for path, text in _tracked_text().items()
        if "tests/deploy" not in str(path)
        for _, packages in asked.findall(text)
        for package in packages.split()
        if package not in known
    }
    assert strangers == set()


def _makefile() -> str:
    return (ROOT / "Makefile").read_text()


def _prerequisites(target: str) -> list[str]:
    match = re.search(rf"^{target}:([^#\n]*)", _makefile(), re.MULTILINE)
    assert match is not None
    return match[1].split()


def test_ci_runs_all_of_check_and_the_sweep_of_kills() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    parts = re.findall(r"^part make (\S+)$", script, re.MULTILINE)
    assert parts == [*_prerequisites("check"), "durability"]
    assert "test" in parts


def test_help_tells_every_command() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", _makefile(), re.MULTILINE)
    assert phony is not None
    commands = [name for name in phony[1].split() if not name.startswith("ready-")]
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[1] for line in done.stdout.splitlines()] == commands


def _demo(tmp_path: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """``make demo`` with a demo that only tells what it was called with."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    scripts = {
        "deploy/setup": "exit 0",
        ".venv/bin/firstlight": f'for word in "$@"; do echo "<$word>"; done; exit {status}',
    }
    for name, script in scripts.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return subprocess.run(["make", "demo", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)


def test_the_demos_last_line_is_the_last_line_and_its_end_the_end(tmp_path: Path) -> None:
    done = _demo(tmp_path)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["<demo>", "<--once>", "<--json>"])


def test_the_picture_is_made_of_what_make_demo_runs(tmp_path: Path) -> None:
    assert _demo(tmp_path).stdout.splitlines() == [f"<{word}>" for word in renew_demo_picture.COMMAND]
    printed = "  8.1 s    completed   hand_over_line  " + "x" * renew_demo_picture.WIDTH + "the end"
    picture = renew_demo_picture.picture_of(printed)
    assert "the&#160;end" in picture, "long lines are broken, not cut"
    assert set(re.findall(r"https?://[^\"]+", picture)) == {"http://www.w3.org/2000/svg"}


def test_every_script_that_the_makefile_runs_is_there() -> None:
    named = set(re.findall(r"(?<=[ @])deploy/[\w.-]+", _makefile()))
    assert {"deploy/setup", "deploy/renew_docs.py", "deploy/renew_demo_picture.py"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_a_failed_demo_fails(tmp_path: Path) -> None:
    assert _demo(tmp_path, status=1).returncode != 0


def test_a_ticket_reaches_the_demo_whatever_its_name(tmp_path: Path) -> None:
    done = _demo(tmp_path, """TICKET=it's a "ticket"; rm -rf.json""")
    assert done.stdout.splitlines()[3:] == ["<--ticket>", """<it's a "ticket"; rm -rf.json>"""]


def test_the_licence_is_the_one_that_is_declared() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()
