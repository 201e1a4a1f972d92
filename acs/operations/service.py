"""The verbs for one CPE, within the caller's transaction: each writes an operation down, and sends nothing.

``acs.operations.carrier`` carries it to the CPE. The same request again, by its ``request_id``, is the same operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from acs.nbi.requests import is_xml_value
from acs.operations.book import OperationBook, require
from acs.operations.errors import ParameterOwned
from acs.operations.paths import (
    below_management,
    file_faults,
    holds_secret,
    is_at,
    path_faults,
    read_faults,
    refresh_faults,
)
from acs.operations.records import OperationRecord
from acs.ports import Now
from acs.tables import AcsDevice
from acs.templates.delivery import fits
from acs.templates.library import TemplateLibrary
from acs.templates.rendering import ROOTS, Setting, SettingValue


class DeviceOperations(OperationBook):
    """Operations on the CPEs that are bound to a service of this tenant."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now, templates: TemplateLibrary) -> None:
        super().__init__(db, tenant_id=tenant_id, now=now)
        self._templates = templates

    # What is read from the CPE

    async def refresh(
        self,
        *,
        device_serial: str,
        paths: Sequence[str] = (),
        by: str,
        request_id: str | None = None,
        within: timedelta | None = None,
    ) -> OperationRecord:
        """Read whole objects anew; without ``paths`` those in which the CPE's settings are.

        Raises: SerialMalformed, DeviceUnknown, OperationRefused, RequestConflict.
        """
        device = await self.bound(device_serial)
        objects = [path.removesuffix(".") for path in paths] or _objects_of(device)
        require("The refresh", device, refresh_faults(objects), within)
        return await self.keep("refresh", device, {"paths": objects}, by=by, request_id=request_id, within=within)

    async def get(
        self,
        *,
        device_serial: str,
        paths: Sequence[str],
        as_far_as_there: bool = False,
        by: str,
        request_id: str | None = None,
        within: timedelta | None = None,
    ) -> OperationRecord:
        """Read parameters; of secret ones only whether they are there is told.

        One that the CPE lacks is a fault, unless they are asked for ``as_far_as_there``.

        Raises: SerialMalformed, DeviceUnknown, OperationRefused, RequestConflict.
        """
        device = await self.bound(device_serial)
        require("The reading", device, read_faults(paths), within)
        asked = {"paths": list(paths)} | ({"as_far_as_there": True} if as_far_as_there else {})
        return await self.keep("get", device, asked, by=by, request_id=request_id, within=within)

    # What is done to it

    async def set(
        self,
        *,
        device_serial: str,
        values: Mapping[str, SettingValue],
        by: str,
        request_id: str | None = None,
        within: timedelta | None = None,
    ) -> OperationRecord:
        """Set parameters that nothing of ours sets, once; a factory reset forgets them.

        Raises: SerialMalformed, DeviceUnknown, OperationRefused, ParameterOwned, RequestConflict.
        """
        device = await self.bound(device_serial)
        faults = path_faults(values)
        for path, value in values.items():
            if holds_secret(path):
                faults.append(f"{path} holds a secret: the template, or `firstlight devices wifi`, sets it")
            elif below_management(path):
                faults.append(f"{path} is the CPE's way to the ACS; its template sets that")
            elif not is_xml_value(value):
                faults.append(f"the value for {path} has characters that cannot be sent to a CPE")
        require("The setting", device, faults, within)
        owners = self._owners(device, values)
        if owners:
            raise ParameterOwned(device.serial, owners)
        return await self.keep("set", device, {"values": dict(values)}, by=by, request_id=request_id, within=within)

    async def reboot(
        self, *, device_serial: str, by: str, request_id: str | None = None, within: timedelta | None = None
    ) -> OperationRecord:
        """Raises: SerialMalformed, DeviceUnknown, OperationRefused, OperationUnderWay, RequestConflict."""
        device = await self.bound(device_serial)
        require("The reboot", device, [], within)
        return await self.keep("reboot", device, {}, by=by, request_id=request_id, within=within)

    async def factory_reset(
        self, *, device_serial: str, by: str, request_id: str | None = None, within: timedelta | None = None
    ) -> OperationRecord:
        """Back to factory default, and then the CPE gets its settings again.

        Raises: SerialMalformed, DeviceUnknown, OperationRefused, OperationUnderWay, RequestConflict.
        """
        device = await self.bound(device_serial)
        require("The factory reset", device, [], within)
        return await self.keep("factory_reset", device, {}, by=by, request_id=request_id, within=within)

    async def firmware(
        self,
        *,
        device_serial: str,
        file: str,
        by: str,
        request_id: str | None = None,
        within: timedelta | None = None,
    ) -> OperationRecord:
        """Give it a firmware that the ACS has for its product class and OUI, which is looked up before it is sent.

        Raises: SerialMalformed, DeviceUnknown, OperationRefused, OperationUnderWay, RequestConflict.
        """
        device = await self.bound(device_serial)
        require("The firmware", device, file_faults(file), within)
        return await self.keep("firmware", device, {"file": file}, by=by, request_id=request_id, within=within)

    # Tests

    async def ping(
        self,
        *,
        device_serial: str,
        host: str,
        count: int = 4,
        timeout_ms: int = 2000,
        size_bytes: int = 56,
        by: str,
        request_id: str | None = None,
        within: timedelta | None = None,
    ) -> OperationRecord:
        """The CPE pings a host, by name or address.

        Raises: SerialMalformed, DeviceUnknown, OperationRefused, OperationUnderWay, RequestConflict.
        """
        device = await self.bound(device_serial)
        faults = [] if _is_host(host) else [f"{host[:80]!r} is no host"]
        faults += [] if 1 <= count <= 100 else [f"{count} pings: 1 to 100 are possible"]
        faults += [] if 100 <= timeout_ms <= 60_000 else [f"a timeout of {timeout_ms} ms: 100 to 60000 are possible"]
        faults += [] if 1 <= size_bytes <= 1472 else [f"{size_bytes} bytes: 1 to 1472 are possible"]
        require("The ping", device, faults, within)
        asked = {"host": host, "count": count, "timeout_ms": timeout_ms, "size_bytes": size_bytes}
        return await self.keep("ping", device, asked, by=by, request_id=request_id, within=within)

    async def download(
        self, *, device_serial: str, url: str, by: str, request_id: str | None = None, within: timedelta | None = None
    ) -> OperationRecord:
        """The CPE downloads a file and tells how fast; the file is thrown away.

        Raises: SerialMalformed, DeviceUnknown, OperationRefused, OperationUnderWay, RequestConflict.
        """
        device = await self.bound(device_serial)
        require("The download", device, _url_faults(url), within)
        return await self.keep("download", device, {"url": url}, by=by, request_id=request_id, within=within)

    def _owners(self, device: AcsDevice, values: Mapping[str, SettingValue]) -> dict[str, str]:
        """Of the parameters that the desired state sets, what in it does."""
        sources: dict[str, str | None] = {}
        if device.template in self._templates.names:
            sources = {each.path: each.source for each in self._templates.get(device.template).parameters}
        owners: dict[str, str] = {}
        for owned in (Setting.from_row(row).path for row in device.parameters):
            for path in values:
                if is_at(path, owned) or fits(path, owned):
                    owners[path] = _owner(device.template, owned, sources)
        return owners


def _owner(template: str, path: str, sources: Mapping[str, str | None]) -> str:
    if ".ManagementServer.PeriodicInform" in path:
        return f"the inform policy of template {template}"
    if path not in sources:
        return "an override of this CPE"
    source = sources[path]
    return f"template {template}" if source is None else f"input {source} of template {template}"


def _objects_of(device: AcsDevice) -> list[str]:
    """The objects right below the root that the CPE's settings are in, and what it says of itself."""
    paths = [Setting.from_row(row).path for row in device.parameters]
    objects = {".".join(path.split(".")[:2]) for path in paths if not below_management(path)}
    root = next(root for model, root in ROOTS.items() if model == device.data_model)
    return sorted({f"{root}.DeviceInfo", *objects})


def _is_host(host: str) -> bool:
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:")
    return 1 <= len(host) <= 253 and set(host) <= allowed and host[0] not in ".-"


def _url_faults(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        hostname = parts.hostname
    except ValueError:
        return [f"{url[:80]!r} is no address"]
    if parts.scheme not in ("http", "ftp") or not hostname or not url.isprintable() or len(url) > 256:
        return [f"{url[:80]!r} is no http or ftp address of a file (TR-143 knows no other)"]
    return ["an address with a password in it would be kept in clear"] if "@" in parts.netloc else []
