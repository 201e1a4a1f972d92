"""Commands to a CPE that interrupt its service: reboot, factory reset, firmware. None is ever sent twice on a guess."""

from __future__ import annotations

from typing import ClassVar

from acs.convergence.seen_devices import SeenDevice, read_leaves
from acs.nbi.client import NbiClient
from acs.operations.ledger import Operation
from acs.operations.steps import Again, Next, Over, Send, Wait, is_later, spelt
from acs.templates.rendering import ROOTS

FIRMWARE = "1 Firmware Upgrade Image"
"""TR-069 A.3.2.8."""


class RebootStep:
    """Proven by a BOOT Inform after the CPE took the command (TR-069 3.7.1.5)."""

    repeatable: ClassVar[bool] = False

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        return Send({"name": "reboot"}, {"last_boot": spelt(seen["last_boot"])})

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        booted = seen["last_boot"]
        if booted is None or not is_later(booted, operation.noted("last_boot")):
            return Wait("The CPE was sent the reboot and has not reported a boot since.", 3.0)
        return Over("done", f"The CPE has booted, {booted:%Y-%m-%d %H:%M:%S} UTC.", {"booted_at": spelt(booted)})


class ResetStep:
    """Proven by a BOOTSTRAP Inform after the CPE took the command (TR-069 3.7.1.5)."""

    repeatable: ClassVar[bool] = False

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        return Send({"name": "factoryReset"}, {"last_bootstrap": spelt(seen["last_bootstrap"])})

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        reset = seen["last_bootstrap"]
        if not is_later(reset, operation.noted("last_bootstrap")):
            return Wait("The CPE was sent the reset and has not reported as a new one since.", 3.0)
        return Next("The CPE was reset; it gets its settings again.", result={"reset_at": spelt(reset)})


class FirmwareStep:
    """Proven by the version that the CPE reports after a boot. The ACS's 200 only says that it took the command."""

    repeatable: ClassVar[bool] = False

    def __init__(self, nbi: NbiClient) -> None:
        self._nbi = nbi

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        name = str(operation.arguments["file"])
        found = await self._nbi.find("files", {"_id": name}, ("_id", "metadata"))
        files = [document.get("metadata") for document in found.documents if document.get("_id") == name]
        if not files:
            return Over("faulted", f"The ACS has no file {name}; nothing was sent.")
        about = files[0] if isinstance(files[0], dict) else {}
        version = str(about.get("version") or "")
        wrong = _unfit(about, seen)
        if wrong:
            return Over("faulted", f"File {name} is not for this CPE: {'; '.join(wrong)}. Nothing was sent.")
        runs = await self._version(seen)
        if runs == version:
            return Over("done", f"The CPE runs {version} already; nothing was sent.", {"version": version})
        baseline = {"last_boot": spelt(seen["last_boot"]), "wanted": version, "version": runs}
        return Send({"name": "download", "fileType": FIRMWARE, "fileName": name}, baseline)

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        wanted, runs = operation.baseline["wanted"], await self._version(seen)
        has_booted = is_later(seen["last_boot"], operation.noted("last_boot"))
        if has_booted and runs == wanted:
            versions = {"version": runs, "before": operation.baseline["version"]}
            return Over("done", f"The CPE has booted and runs {runs}.", versions)
        if await self._is_transferring(seen["device_id"]):
            return Wait("The CPE fetches the file; that takes minutes.", 10.0)
        if has_booted and operation.looks >= 3:
            return Over(
                "faulted", f"The CPE has ended the transfer and booted, and still runs {runs}.", {"version": runs}
            )
        return Wait("The CPE has ended the transfer and has not reported the new version yet.", 5.0)

    async def _version(self, seen: SeenDevice) -> str | None:
        paths = [f"{ROOTS[model]}.DeviceInfo.SoftwareVersion" for model in seen["data_models"]]
        leaves = await read_leaves(self._nbi, seen["device_id"], paths) or {}
        values = [leaf.value for leaf in leaves.values() if leaf.value is not None]
        return str(values[0]) if values else None

    async def _is_transferring(self, device_id: str) -> bool:
        # The id of an operation is the device's, a colon and a number; the semicolon comes next after the colon.
        between = {"$gt": f"{device_id}:", "$lt": f"{device_id};"}
        found = await self._nbi.find("operations", {"_id": between}, ("_id",))
        return any(str(document.get("_id", "")).startswith(f"{device_id}:") for document in found.documents)


def _unfit(about: dict[str, object], seen: SeenDevice) -> list[str]:
    """What keeps a file from that CPE. A file that does not say whose it is, is nobody's: the wrong one is a brick."""
    wrong = [] if about.get("fileType") == FIRMWARE else [f"its type is {about.get('fileType') or 'not said'}"]
    for name, field, own in (
        ("product class", "productClass", seen["product_class"]),
        ("OUI", "oui", seen["oui"]),
    ):
        said = about.get(field)
        if said != own or not said:
            wrong.append(f"its {name} is {said or 'not said'}, the CPE's {own or 'not known'}")
    return wrong if about.get("version") else [*wrong, "its version is not said"]
