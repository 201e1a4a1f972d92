"""What the console's pages load: fetched by hash, put where the wheel takes it from, and only when it is missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

from tests.deploy.conftest import ROOT, Machine

NPM = """
[ "$1" = ci ] || exit 9
echo "npm $*" >> "$LOG"
for file in htmx.org/dist/htmx.min.js htmx.org/LICENSE @picocss/pico/css/pico.min.css @picocss/pico/LICENSE.md \
  zxing-wasm/dist/iife/reader/index.js zxing-wasm/dist/reader/zxing_reader.wasm zxing-wasm/LICENSE; do
  mkdir -p "node_modules/${file%/*}"; echo "$file" > "node_modules/$file"
done
"""


def _forget(machine: Machine) -> None:
    shutil.rmtree(machine.root / ".npm")
    shutil.rmtree(machine.root / "provisioning" / "console" / "vendor")


def _run(machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(machine.bin), "LOG": str(machine.log)}
    command = [str(machine.root / "deploy" / "assets"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=30)


def test_what_is_missing_is_fetched_once_and_put_where_the_pages_load_it_from(machine: Machine) -> None:
    _forget(machine)
    machine.have_venv("dev")
    machine.program("npm", NPM)
    assert machine.set_up("demo").returncode == 0
    assert machine.heard() == ["npm ci --ignore-scripts --no-audit --no-fund --omit=dev"]
    vendor = machine.root / "provisioning" / "console" / "vendor"
    assert (vendor / "pico.min.css").read_text() == "@picocss/pico/css/pico.min.css\n"
    assert (vendor.stat().st_mode & 0o777) == 0o755
    done = machine.set_up("demo")
    assert (done.returncode, done.stdout, len(machine.heard())) == (0, "", 1)


def test_the_tests_need_more_of_it_than_the_demo(machine: Machine) -> None:
    _forget(machine)
    machine.program("npm", NPM)
    assert [_run(machine, kind).returncode for kind in ("demo", "test", "demo")] == [0, 0, 0]
    assert [line.endswith("--omit=dev") for line in machine.heard()] == [True, False]


def test_a_changed_lock_or_a_lost_file_is_noticed(machine: Machine) -> None:
    machine.program("npm", NPM)
    assert _run(machine, "demo").stdout == ""
    (machine.root / "package-lock.json").write_text('{"changed": true}\n')
    assert _run(machine, "demo", "--dry-run").stdout == "==> would fetch the console's assets from npm\n"
    assert _run(machine, "demo").returncode == 0
    (machine.root / "provisioning" / "console" / "vendor" / "htmx.min.js").unlink()
    assert _run(machine, "demo").returncode == 0
    assert len(machine.heard()) == 2


def test_what_npm_says_is_shown_when_it_fails_and_nothing_counts_as_there(machine: Machine) -> None:
    _forget(machine)
    machine.program("npm", 'echo "npm ERR! no such fish"; exit 1')
    done = _run(machine, "demo")
    assert done.returncode == 1
    assert "no such fish" in done.stderr and "the same command again tries anew" in done.stderr
    assert not (machine.root / ".npm" / ".ready-demo").exists()


def test_every_package_is_locked_by_its_hash_and_none_says_where_it_comes_from() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    wanted = json.loads((ROOT / "package.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in packages.values())
    assert not re.search(r"://", (ROOT / "package-lock.json").read_text() + (ROOT / "package.json").read_text())


def test_what_is_fetched_is_ignored_by_git_and_travels_in_the_wheel() -> None:
    assert {".npm/", "provisioning/console/vendor/"} <= set((ROOT / ".gitignore").read_text().splitlines())
    assert 'artifacts = ["provisioning/console/vendor/*"]' in (ROOT / "pyproject.toml").read_text()
