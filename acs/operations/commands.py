"""Commands to a CPE that interrupt its service: reboot, factory reset, firmware. None is ever sent twice on a guess.

The effect is a boot after the session in which the CPE took the command, by what was observed of the NBI: the task is
gone with a new ``_lastInform``, and ``_lastBoot`` or ``_lastBootstrap`` is younger than that. A CPE that was off takes
it in the session of its own boot, which proves nothing. Where several sessions may have taken it, the last of them
counts, unless the ACS tells which it was: it dates a download by its session (``Downloads.<n>.Download``, observed),
and may so date ``Reboot`` and ``FactoryReset`` (its source; not observed, so nothing rests on them).
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from acs.convergence.seen_devices import SeenDevice, leaf_of, moment, read_leaves
from acs.nbi.client import NbiClient
from acs.operations.ledger import Operation
from acs.operations.steps import Again, Next, Over, Send, Wait, is_later, spelt
from acs.templates.rendering import ROOTS

FIRMWARE = "1 Firmware Upgrade Image"
"""TR-069 A.3.2.8."""
MOST_NAMED = 10


class RebootStep:
    """Proven by a BOOT Inform after the CPE took the command (TR-069 3.7.1.5)."""

    repeatable: ClassVar[bool] = False

    def __init__(self, nbi: NbiClient) -> None:
        self._nbi = nbi

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        return Send({"name": "reboot"}, {"taken_before": spelt(await self._answered(seen))})

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        taken, booted = taken_at(operation, await self._answered(seen)), seen["last_boot"]
        if taken is None:
            return Wait("Whether the CPE was sent the reboot is not known.", 3.0)
        if booted is None or booted <= taken:
            return Wait("The CPE was sent the reboot and has not reported a boot since.", 3.0)
        return Over("done", f"The CPE has booted, {booted:%Y-%m-%d %H:%M:%S} UTC.", {"booted_at": spelt(booted)})

    async def _answered(self, seen: SeenDevice) -> datetime | None:
        return await _answered(self._nbi, seen, "Reboot")


class ResetStep:
    """Proven by a BOOTSTRAP Inform after the CPE took the command (TR-069 3.7.1.5)."""

    repeatable: ClassVar[bool] = False

    def __init__(self, nbi: NbiClient) -> None:
        self._nbi = nbi

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        return Send({"name": "factoryReset"}, {"taken_before": spelt(await self._answered(seen))})

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        taken, reset = taken_at(operation, await self._answered(seen)), seen["last_bootstrap"]
        if taken is None:
            return Wait("Whether the CPE was sent the reset is not known.", 3.0)
        if reset is None or reset <= taken:
            return Wait("The CPE was sent the reset and has not reported as a new one since.", 3.0)
        return Next(
            "The CPE was reset; it gets its settings again.",
            result={"reset_at": spelt(reset)},
            proven=("The CPE was reset to factory default", "it was not seen to have its settings again"),
        )

    async def _answered(self, seen: SeenDevice) -> datetime | None:
        return await _answered(self._nbi, seen, "FactoryReset")


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
            return Over("faulted", f"The ACS has no file {name}; nothing was sent. {await self._fitting(seen)}")
        about = files[0] if isinstance(files[0], dict) else {}
        version = str(about.get("version") or "")
        wrong = _unfit(about, seen)
        if wrong:
            return Over("faulted", f"File {name} is not for this CPE: {'; '.join(wrong)}. Nothing was sent.")
        runs = await self._version(seen)
        if runs == version:
            return Over("done", f"The CPE runs {version} already; nothing was sent.", {"version": version})
        baseline = {"taken_before": spelt(await self._answered(seen, name)), "wanted": version, "version": runs}
        return Send({"name": "download", "fileType": FIRMWARE, "fileName": name}, baseline)

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        wanted, runs = operation.baseline["wanted"], await self._version(seen)
        taken = taken_at(operation, await self._answered(seen, str(operation.arguments["file"])))
        has_booted = taken is not None and is_later(seen["last_boot"], taken)
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

    async def _fitting(self, seen: SeenDevice) -> str:
        """The files that there are for such a CPE, in words."""
        found = await self._nbi.find("files", {}, ("_id", "metadata"))
        about = {str(each.get("_id")): each.get("metadata") for each in found.documents}
        fit = sorted(name for name, said in about.items() if isinstance(said, dict) and not _unfit(said, seen))
        return f"For its model it has {', '.join(fit[:MOST_NAMED])}." if fit else "It has none for its model."

    async def _answered(self, seen: SeenDevice, file: str) -> datetime | None:
        """The session in which the CPE last took a download of that file."""
        found = await self._nbi.find("devices", {"_id": seen["device_id"]}, ("_id", "Downloads"))
        taken: list[datetime] = []
        for document in found.documents:
            downloads = document.get("Downloads")
            if document.get("_id") != seen["device_id"] or not isinstance(downloads, dict):
                continue
            for number in downloads:
                name, answered = (leaf_of(downloads, f"{number}.{field}") for field in ("FileName", "Download"))
                when = None if answered is None else moment(answered.value)
                if name is not None and name.value == file and when is not None:
                    taken.append(when)
        return max(taken, default=None)

    async def _version(self, seen: SeenDevice) -> str | None:
        paths = [f"{ROOTS[model]}.DeviceInfo.SoftwareVersion" for model in seen["data_models"]]
        leaves = await read_leaves(self._nbi, seen["device_id"], paths) or {}
        values = [leaf.value for leaf in leaves.values() if leaf.value is not None]
        return str(values[0]) if values else None

    async def _is_transferring(self, device_id: str) -> bool:
        return bool(await self._nbi.operations(device_id))


def taken_at(operation: Operation, answered: datetime | None) -> datetime | None:
    """The session in which the CPE took the command, or the last that may have been it; None when none is known.

    Its answer, where the ACS dates one, is newer than when the command was sent. One whose session broke off may have
    taken it without an answer that arrived.
    """
    if is_later(answered, operation.noted("taken_before")):
        return answered
    return operation.noted("broke_off") or operation.noted("ran_by")


async def _answered(nbi: NbiClient, seen: SeenDevice, command: str) -> datetime | None:
    """The session in which the CPE last answered that command."""
    leaf = (await read_leaves(nbi, seen["device_id"], [command]) or {}).get(command)
    return None if leaf is None else moment(leaf.value)


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
