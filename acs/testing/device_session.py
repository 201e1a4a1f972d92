"""The ACS's side of one session with one CPE: what it reads, what it takes from its own memory, what it sends.

The traps of the real server are here because they are its economy: a value that the document holds already isn't sent,
a parameter that the CPE doesn't have is left out without a word, a write isn't read back.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta

from acs.testing.clock import Clock
from acs.testing.cpe_rpcs import CpeRpcs
from acs.testing.device_document import document_value, leaf_at, leaves, put_name, put_value, remove
from acs.testing.parameter_tree import DATE_TIME
from acs.testing.query import Document

RPC_SECONDS = 0.004
REFRESH_SLOT_SECONDS = 1
_INFORMED = (
    "DeviceInfo.HardwareVersion",
    "DeviceInfo.SoftwareVersion",
    "DeviceInfo.ProvisioningCode",
    "ManagementServer.ParameterKey",
    "ManagementServer.ConnectionRequestURL",
)


class DeviceSession:
    """Works on a copy of the document; the engine stores it when the session ends."""

    def __init__(
        self,
        document: Document,
        rpcs: CpeRpcs,
        clock: Clock,
        events: Iterable[str],
        *,
        dates_commands: bool = False,
        ext: Callable[..., Awaitable[object]],
    ) -> None:
        """`ext` is what scripts ask programs beside the ACS by."""
        self.document = copy.deepcopy(document)
        self.rpcs = rpcs
        self.events = tuple(events)
        self.clock = clock
        self.started = clock.now()
        self.tag_changes: dict[str, bool] = {}
        self._root = rpcs.cpe.roles.root
        self._dates_commands = dates_commands
        self.ext = ext

    # --- Inform ---------------------------------------------------------------------------------------------------

    def take_inform(self) -> None:
        """What the Inform itself carries: identity, events and the forced parameters."""
        cpe, document = self.rpcs.cpe, self.document
        document.setdefault("_id", cpe.device_id)
        document["_deviceId"] = {
            "_Manufacturer": cpe.manufacturer,
            "_OUI": cpe.oui,
            "_ProductClass": cpe.product_class,
            "_SerialNumber": cpe.serial,
        }
        document.setdefault("_registered", self.started)
        document["_lastInform"] = self.started
        if "0 BOOTSTRAP" in self.events:
            document["_lastBootstrap"] = self.started
        if "1 BOOT" in self.events:
            document["_lastBoot"] = self.started
        at = self.clock.now()
        for relative in _INFORMED:
            path = f"{self._root}.{relative}"
            if path in cpe.tree:
                put_value(document, path, *cpe.tree.readable(path), at)

    # --- tags -----------------------------------------------------------------------------------------------------

    @property
    def tags(self) -> set[str]:
        stored = set(self.document.get("_tags", []))
        added = {tag for tag, present in self.tag_changes.items() if present}
        return (stored | added) - {tag for tag, present in self.tag_changes.items() if not present}

    def set_tag(self, tag: str, present: bool) -> None:
        self.tag_changes[tag] = present

    # --- reading --------------------------------------------------------------------------------------------------

    async def discover(self, paths: Iterable[str]) -> list[str]:
        """Those of the paths that are leaves of the CPE, asking it only about what the document doesn't know."""
        found: list[str] = []
        for path in paths:
            leaf = leaf_at(self.document, path)
            if leaf is None or "_writable" not in leaf:
                await self._names(path)
                leaf = leaf_at(self.document, path)
            if leaf is not None:
                found.append(path)
        return found

    async def read_fresh(self, paths: Iterable[str]) -> list[str]:
        """Read existence, writability and value from the CPE itself; gives the leaves that exist."""
        found: list[str] = []
        for path in paths:
            names = await self._names(path)
            if path in names:
                found.append(path)
            else:
                remove(self.document, path)
        await self._values(found)
        return found

    async def refresh(self, path: str) -> None:
        """Read a leaf or a whole object, but for what was read or written within the current one-second slot."""
        slot = self.slot_start()
        leaf = leaf_at(self.document, path)
        if leaf is not None and leaf.get("_timestamp", slot) >= slot and "_value" in leaf:
            return
        names = await self._names(path, at=self.clock.now())
        for known in list(leaves(self.document, path)):
            if known not in names:
                remove(self.document, known)
        wanted = [name for name in names if not name.endswith(".") and not self._fresh(name, slot)]
        await self._values(wanted)

    async def expand(self, pattern: str) -> list[str]:
        """The CPE's paths that fit a path in which `*` stands for a whole segment."""
        names = await self._names(pattern.partition(".*")[0])
        fitting = re.compile(re.escape(pattern).replace(r"\*", "[^.]+"))
        return [name for name in (one.rstrip(".") for one in names) if fitting.fullmatch(name)]

    def slot_start(self) -> datetime:
        """Begin of the current refresh slot; slots of different devices begin at different moments."""
        seconds = (self.started - datetime(2000, 1, 1, tzinfo=UTC)).total_seconds()
        phase = refresh_slot_phase(self.rpcs.cpe.device_id)
        into_slot = (seconds - phase) % REFRESH_SLOT_SECONDS
        return self.started - timedelta(seconds=into_slot)

    def writable(self, path: str) -> bool:
        leaf = leaf_at(self.document, path)
        return leaf is not None and bool(leaf.get("_writable"))

    def value(self, path: str) -> object:
        """The document's value: as read last, or as wished last."""
        leaf = leaf_at(self.document, path)
        return None if leaf is None else leaf.get("_value")

    def differs(self, path: str, wished: object) -> bool:
        """Would the wish, in the CPE's type, change what the document holds?"""
        leaf = leaf_at(self.document, path) or {}
        return document_value(wished, str(leaf.get("_type"))) != leaf.get("_value")

    # --- writing --------------------------------------------------------------------------------------------------

    async def declare_values(self, wishes: Iterable[tuple[str, object]]) -> None:
        """Send what the document doesn't hold already; unknown and read-only parameters are silently left out.

        Raises: CwmpFault when the CPE refuses, and then nothing is written.
        """
        wanted = dict(wishes)
        found = await self.discover(wanted)
        await self._values([path for path in found if "_value" not in (leaf_at(self.document, path) or {})])
        await self.write(
            [(path, wanted[path]) for path in found if self.writable(path) and self.differs(path, wanted[path])]
        )

    async def write(self, wishes: list[tuple[str, object]]) -> None:
        """One SetParameterValues; afterwards the document shows the wish, whatever the CPE has made of it."""
        if not wishes:
            return
        await self._rpc()
        self.rpcs.set_parameter_values(wishes)
        at = self.clock.now()
        for path, wished in wishes:
            leaf = leaf_at(self.document, path) or {}
            put_value(self.document, path, wished, str(leaf.get("_type", "xsd:string")), at)

    async def add_object(self, table_path: str, values: Iterable[tuple[str, object]]) -> None:
        """AddObject, then its parameters. A path that is no table of the CPE is silently left out."""
        if f"{table_path}." not in await self._names(table_path):
            return
        await self._rpc()
        instance = f"{table_path}.{self.rpcs.add_object(f'{table_path}.')}"
        at = self.clock.now()
        put_name(self.document, f"{table_path}.", True, at)
        put_name(self.document, f"{instance}.", True)
        wishes = {f"{instance}.{name}": value for name, value in values}
        existing = [path for path in wishes if path in self.rpcs.cpe.tree]
        await self._values(existing)
        await self.write([(path, wishes[path]) for path in existing])

    async def delete_object(self, instance_path: str) -> None:
        """Deleting what isn't there is no fault."""
        if await self._names(instance_path):
            await self._rpc()
            self.rpcs.delete_object(f"{instance_path}.")
        remove(self.document, instance_path)

    def answered(self, command: str) -> None:
        """The CPE took a command. By its source the real server dates that by the session, as it dates Informs and
        boots; nobody has recorded it, so the lab does so only when it is told to."""
        if not self._dates_commands:
            return
        put_name(self.document, command, True)
        put_value(self.document, command, self.started.isoformat(), DATE_TIME, self.started)

    # --- plumbing -------------------------------------------------------------------------------------------------

    async def _names(self, path: str, at: datetime | None = None) -> dict[str, bool]:
        await self._rpc()
        names = self.rpcs.get_parameter_names(path)
        for name, writable in names.items():
            put_name(self.document, name, writable, at)
        return names

    async def _values(self, paths: list[str]) -> None:
        if not paths:
            return
        await self._rpc()
        at = self.clock.now()
        for path, (value, xsd_type) in self.rpcs.get_parameter_values(paths).items():
            put_value(self.document, path, value, xsd_type, at)

    def _fresh(self, path: str, slot: datetime) -> bool:
        leaf = leaf_at(self.document, path)
        return leaf is not None and "_value" in leaf and bool(leaf["_timestamp"] >= slot)

    async def _rpc(self) -> None:
        await self.clock.sleep(RPC_SECONDS)


def refresh_slot_phase(device_id: str) -> float:
    """Seconds (below 1) after each full second at which this device's refresh slot begins."""
    digest = hashlib.sha256(device_id.encode()).digest()
    return int.from_bytes(digest[:2], "big") / 65536
