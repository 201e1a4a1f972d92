"""A copy of what sets a machine up, in a folder of its own, with a PATH that holds only what a test puts there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534
ZXING = ("zxing.min.js", "zxing_reader.wasm", "zxing.LICENSE")
# What deploy/setup uses of Debian's essential packages.
ESSENTIAL = (
    *("bash", "cat", "chmod", "comm", "cp", "cut", "dirname", "env", "find", "flock", "grep", "id", "mkdir"),
    *("mktemp", "mv", "rm", "sha256sum", "sort", "touch"),
)


class Machine:
    """A small Debian: a folder with the product's set-up, and a ``bin`` that is its whole PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "firstlight"
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.policy = folder / "sbin" / "policy-rc.d"
        for path in (self.bin, self.policy.parent, self.root / "deploy" / "requirements"):
            path.mkdir(parents=True)
        for name in ("setup", "assets", "quiet-services.sh"):
            shutil.copy(ROOT / "deploy" / name, self.root / "deploy" / name)
        for name in ESSENTIAL:
            (self.bin / name).symlink_to(shutil.which(name) or f"/missing/{name}")
        (self.root / "deploy" / "requirements" / "runtime.txt").write_text("alpha==1\n")
        (self.root / "deploy" / "requirements" / "dev.txt").write_text("alpha==1\nbeta==1\n")
        (self.root / "pyproject.toml").write_text("[project]\n")
        (self.root / "package.json").write_text("{}\n")
        (self.root / "package-lock.json").write_text("{}\n")
        self.have_assets("demo", "test")
        self.needs("")
        self.log.touch()
        self.log.chmod(0o666)

    def needs(self, packages: str) -> None:
        (self.root / "deploy" / "debian-packages.txt").write_text(f"# a comment\n{packages}\n")

    def program(self, name: str, script: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def be_root(self) -> None:
        """For the eyes of the set-up; whoever runs the tests stays who they are."""
        self.program("id", "echo 0")

    def have_venv(self, kind: str) -> None:
        """A virtual environment that was set up for ``kind`` from the lock files as they are now."""
        binaries = self.root / ".venv" / "bin"
        binaries.mkdir(parents=True)
        (binaries / "python").write_text("#!/bin/bash\nexit 0\n")
        (binaries / "python").chmod(0o755)
        for each in ("runtime", "dev") if kind == "dev" else ("runtime",):
            lock = self.root / "deploy" / "requirements" / f"{each}.txt"
            content = lock.read_bytes() + (self.root / "pyproject.toml").read_bytes()
            (self.root / ".venv" / f".ready-{each}").write_text(hashlib.sha256(content).hexdigest() + "\n")

    def have_assets(self, *kinds: str) -> None:
        """What the console's pages load, as it was fetched by the locks as they are now."""
        fetched, vendor = self.root / ".npm", self.root / "provisioning" / "console" / "vendor"
        for folder in (fetched, vendor):
            folder.mkdir(parents=True, exist_ok=True)
        for name in ("htmx.min.js", "htmx.LICENSE", "pico.min.css", "pico.LICENSE", *ZXING):
            (vendor / name).write_text(name)
        locks = [self.root / "package.json", self.root / "package-lock.json", self.root / "deploy" / "assets"]
        stamp = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
        for kind in kinds:
            (fetched / f".ready-{kind}").write_text(f"{stamp}\n")

    def set_up(self, *arguments: str, unprivileged: bool = False) -> subprocess.CompletedProcess[str]:
        command = [str(self.root / "deploy" / "setup"), *arguments]
        if unprivileged and os.geteuid() == 0:
            drop = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
            command = [shutil.which("setpriv") or "setpriv", *drop, *command]
        environment = {"PATH": str(self.bin), "POLICY_RC_D": str(self.policy), "LOG": str(self.log)}
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, check=False, timeout=30
        )

    def heard(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def machine() -> Iterator[Machine]:
    # Not pytest's tmp_path, whose parents only its owner may enter: some of these tests run as nobody.
    with tempfile.TemporaryDirectory(prefix="firstlight-setup-") as folder:
        Path(folder).chmod(0o755)
        yield Machine(Path(folder))
