"""Setting a machine up: install what it may, name the command for what it may not, leave no service running."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.deploy.conftest import Machine

FISH = "fish  demo,test  command:fish\nbird  test  command:bird"
SERVER_WAS_ASKED = 'echo "$*" >> "$LOG"; "$POLICY_RC_D" freeradius start; echo "policy $?" >> "$LOG"'


def test_without_root_and_sudo_it_names_the_command_and_installs_nothing(machine: Machine) -> None:
    machine.needs(FISH)
    machine.program("apt-get", 'echo apt-get >> "$LOG"')
    done = machine.set_up("test", unprivileged=True)
    assert done.returncode == 3
    assert "    sudo apt-get update && sudo apt-get install -y --no-install-recommends fish bird\n" in done.stderr
    assert "make test" in done.stderr
    assert machine.heard() == []
    assert not (machine.root / ".venv").exists()


def test_a_dry_run_without_root_names_the_same_command(machine: Machine) -> None:
    machine.needs(FISH)
    machine.program("apt-get", 'echo apt-get >> "$LOG"')
    done = machine.set_up("demo", "--dry-run", unprivileged=True)
    assert done.returncode == 3
    assert "sudo apt-get install -y --no-install-recommends fish\n" in done.stderr


def test_sudo_that_asks_for_a_password_counts_as_none(machine: Machine) -> None:
    machine.needs(FISH)
    machine.program("apt-get", "exit 0")
    machine.program("sudo", 'echo "sudo $*" >> "$LOG"; exit 1')
    assert machine.set_up("demo", unprivileged=True).returncode == 3
    assert machine.heard() == ["sudo -n true"]


def test_sudo_without_a_password_is_used(machine: Machine) -> None:
    machine.needs(FISH)
    machine.have_venv("runtime")
    machine.program("apt-get", "exit 0")
    # Stands for a sudo that installs: afterwards the program is there.
    machine.program("sudo", 'echo "sudo $*" >> "$LOG"; [ "$2" = true ] || PATH+=:/bin ln -s /bin/true "${0%/*}/fish"')
    machine.bin.chmod(0o777)
    done = machine.set_up("demo", unprivileged=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.heard() == ["sudo -n true", f"sudo -n {machine.root}/deploy/setup install fish"]


def test_where_there_is_no_apt_it_says_what_is_needed(machine: Machine) -> None:
    machine.needs(FISH)
    done = machine.set_up("test")
    assert done.returncode == 3
    assert "please install what Debian calls: fish bird (there is no apt-get here)" in done.stderr


def test_a_dry_run_as_root_installs_nothing(machine: Machine) -> None:
    machine.needs(FISH)
    machine.be_root()
    machine.program("apt-get", 'echo apt-get >> "$LOG"')
    done = machine.set_up("test", "--dry-run")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "==> would install Debian packages: fish bird",
        "==> would install deploy/requirements/dev.txt into .venv",
    ]
    assert machine.heard() == []


def test_what_is_there_is_not_installed_however_it_came(machine: Machine) -> None:
    machine.needs(f"fish demo command:fish\nfile demo {machine.folder}/lib/*/thing.so\npython3-venv demo python-venv")
    machine.have_venv("runtime")
    machine.program("fish", "exit 0")
    machine.program("python3", "exit 0")
    (machine.folder / "lib" / "15").mkdir(parents=True)
    (machine.folder / "lib" / "15" / "thing.so").touch()
    done = machine.set_up("demo", unprivileged=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_package_that_does_not_bring_what_is_needed_is_a_failure(machine: Machine) -> None:
    machine.needs(FISH)
    machine.be_root()
    machine.program("apt-get", "exit 0")
    done = machine.set_up("demo")
    assert done.returncode == 1
    assert "installed, but what is needed is still not there: fish" in done.stderr


@pytest.mark.parametrize(("kind", "command"), [("runtime", "demo"), ("dev", "demo"), ("dev", "test")])
def test_when_all_is_there_it_says_and_does_nothing(machine: Machine, kind: str, command: str) -> None:
    machine.have_venv(kind)
    done = machine.set_up(command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_tests_need_more_than_the_demo(machine: Machine) -> None:
    machine.have_venv("runtime")
    assert "would install deploy/requirements/dev.txt" in machine.set_up("test", "--dry-run").stdout


@pytest.mark.parametrize("changed", ["deploy/requirements/runtime.txt", "pyproject.toml"])
def test_a_changed_lock_is_noticed_by_its_content(machine: Machine, changed: str) -> None:
    machine.have_venv("runtime")
    with (machine.root / changed).open("a") as file:
        file.write("gamma==1\n")
    assert "would install deploy/requirements/runtime.txt" in machine.set_up("demo", "--dry-run").stdout


def test_an_interrupted_set_up_is_noticed(machine: Machine) -> None:
    machine.have_venv("runtime")
    (machine.root / ".venv" / ".installing").touch()
    assert "would install deploy/requirements/runtime.txt" in machine.set_up("demo", "--dry-run").stdout


@pytest.mark.parametrize("arguments", [(), ("lunch",), ("demo", "--help"), ("install",)])
def test_another_wish_is_answered_with_the_usage(machine: Machine, arguments: tuple[str, ...]) -> None:
    done = machine.set_up(*arguments)
    assert done.returncode == 2
    assert "usage: deploy/setup demo|test" in done.stderr


# --- installing as root, with services kept quiet ---------------------------------------------------------------


def _policy(machine: Machine, script: str = 'echo "$1" >> "$LOG"; exit 104') -> bytes:
    machine.policy.write_text(f"#!/bin/bash\n{script}\n")
    machine.policy.chmod(0o755)
    return machine.policy.read_bytes()


def _folder(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_while_packages_are_installed_no_service_may_start_and_afterwards_it_is_as_before(machine: Machine) -> None:
    machine.be_root()
    machine.program("apt-get", SERVER_WAS_ASKED)
    done = machine.set_up("install", "freeradius", "postgresql")
    assert (done.returncode, done.stderr) == (0, "")
    options = "-q -o DPkg::Lock::Timeout=600"
    assert machine.heard() == [
        f"{options} update",
        "policy 127",  # there was none: the update comes before the answer is no
        f"{options} install -y --no-install-recommends freeradius postgresql",
        "policy 101",
    ]
    assert _folder(machine.policy.parent) == []


def test_a_policy_of_the_machines_own_comes_back_as_it_was(machine: Machine) -> None:
    before = _policy(machine)
    machine.be_root()
    machine.program("apt-get", '"$POLICY_RC_D" freeradius start; echo "policy $?" >> "$LOG"')
    assert machine.set_up("install", "freeradius").returncode == 0
    assert machine.heard() == ["freeradius", "policy 104", "policy 101"]
    assert machine.policy.read_bytes() == before
    assert stat.S_IMODE(machine.policy.stat().st_mode) == 0o755
    assert _folder(machine.policy.parent) == ["policy-rc.d"]


def test_a_policy_that_is_a_link_comes_back_as_a_link(machine: Machine) -> None:
    target = machine.folder / "own-policy"
    target.write_text("#!/bin/sh\nexit 0\n")
    machine.policy.symlink_to(target)
    machine.be_root()
    machine.program("apt-get", "exit 0")
    assert machine.set_up("install", "freeradius").returncode == 0
    assert machine.policy.readlink() == target
    assert target.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_failed_installation_says_so_and_leaves_the_policy_as_before(machine: Machine) -> None:
    before = _policy(machine)
    machine.be_root()
    machine.program("apt-get", '[ "$4" = update ] || { echo "E: no such fish"; exit 100; }')
    done = machine.set_up("install", "freeradius")
    assert done.returncode == 1
    assert "E: no such fish\n" in done.stderr
    assert "apt-get could not install freeradius" in done.stderr
    assert machine.policy.read_bytes() == before


def test_a_terminated_installation_leaves_the_policy_as_before(machine: Machine) -> None:
    before = _policy(machine)
    machine.be_root()
    machine.program("apt-get", '[ "$4" = update ] || kill -TERM $PPID')
    assert machine.set_up("install", "freeradius").returncode != 0
    assert machine.policy.read_bytes() == before
    assert _folder(machine.policy.parent) == ["policy-rc.d"]


def test_a_killed_installation_no_longer_answers_and_the_next_one_tidies_up(machine: Machine) -> None:
    before = _policy(machine)
    machine.be_root()
    machine.program("apt-get", '[ "$4" = update ] || kill -KILL $PPID')
    assert machine.set_up("install", "freeradius").returncode != 0
    assert machine.policy.read_bytes() != before
    machine.log.write_text("")
    machine.program("apt-get", '"$POLICY_RC_D" freeradius start; echo "policy $?" >> "$LOG"')
    assert machine.set_up("install", "freeradius").returncode == 0
    # First the machine's own answer, through the one that was left behind; then ours.
    assert machine.heard() == ["freeradius", "policy 104", "policy 101"]
    assert machine.policy.read_bytes() == before
    assert _folder(machine.policy.parent) == ["policy-rc.d"]


def test_package_lists_that_cannot_be_renewed_are_no_reason_to_give_up(machine: Machine) -> None:
    machine.be_root()
    machine.program("apt-get", '[ "$4" != update ]')
    done = machine.set_up("install", "freeradius")
    assert done.returncode == 0
    assert "could not be renewed" in done.stdout


def test_only_root_installs(machine: Machine) -> None:
    done = machine.set_up("install", "freeradius", unprivileged=True)
    assert done.returncode == 1
    assert "only root may install packages" in done.stderr
