"""What the ACS keeps for all devices: presets, scripts, objects, files. Sessions use a change within 5 s."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from acs.nbi.bodies import checked_script, file_headers, object_body
from acs.nbi.calls import NbiCalls, outcome_of
from acs.nbi.errors import NbiRequestInvalid
from acs.nbi.outcomes import Rejected, StoredFile, WriteOutcome
from acs.nbi.preset import Preset
from acs.nbi.requests import name_segment

PRESET_FIELDS = ("weight", "channel", "events", "precondition", "configurations")
FILE_FIELDS = ("_id", "length", "metadata")
LARGEST_FILE = 256_000_000
"""Bytes; the whole file is held in memory while it is sent."""

Scripts = Literal["provisions", "virtual_parameters"]


class LibraryCalls(NbiCalls):
    """Each ``put`` replaces what is there under that name; each ``delete`` is done as well when there is nothing."""

    # Presets

    async def presets(self) -> dict[str, dict[str, Any]]:
        """Every preset by its name, as it is stored: of whoever put it there, so anything may be in it."""
        found = await self.find("presets", {}, ("_id", *PRESET_FIELDS))
        return {str(preset.get("_id", "")): _without_id(preset) for preset in found.documents}

    async def preset(self, name: str) -> dict[str, Any] | None:
        """The preset under that name as it is stored, or None."""
        name_segment(name)
        preset = await self._one("presets", name, PRESET_FIELDS)
        return None if preset is None else _without_id(preset)

    async def put_preset(self, preset: Preset) -> WriteOutcome:
        """Raises: NbiRequestInvalid, with every fault, for one that would stop all sessions."""
        body = json.dumps(preset.document, allow_nan=False).encode()
        return await self._write("PUT", f"/presets/{name_segment(preset.name)}", body)

    async def delete_preset(self, name: str) -> WriteOutcome:
        return await self._write("DELETE", f"/presets/{name_segment(name)}")

    # Scripts

    async def provision(self, name: str) -> str | None:
        """The provision script stored under that name, or None."""
        return await self._script("provisions", name)

    async def provisions(self) -> dict[str, str]:
        """Every provision script by its name."""
        found = await self.find("provisions", {}, ("_id", "script"))
        return {str(one.get("_id", "")): str(one.get("script", "")) for one in found.documents}

    async def put_provision(self, name: str, script: str) -> WriteOutcome:
        """Rejected (400) when it is no JavaScript."""
        return await self._put_script("provisions", name, script)

    async def delete_provision(self, name: str) -> WriteOutcome:
        return await self._write("DELETE", f"/provisions/{name_segment(name)}")

    async def virtual_parameter(self, name: str) -> str | None:
        """The script of the virtual parameter of that name, or None."""
        return await self._script("virtual_parameters", name)

    async def put_virtual_parameter(self, name: str, script: str) -> WriteOutcome:
        """Rejected (400) when it is no JavaScript."""
        return await self._put_script("virtual_parameters", name, script)

    async def delete_virtual_parameter(self, name: str) -> WriteOutcome:
        return await self._write("DELETE", f"/virtual_parameters/{name_segment(name)}")

    # Objects

    async def object(self, name: str, fields: tuple[str, ...]) -> dict[str, Any] | None:
        """Those fields of the object that presets add or delete under that name, or None."""
        name_segment(name)
        found = await self._one("objects", name, fields)
        return None if found is None else _without_id(found)

    async def put_object(self, name: str, values: Mapping[str, str | int | bool]) -> WriteOutcome:
        """``values`` are parameters of a new instance, by their names below it."""
        return await self._write("PUT", f"/objects/{name_segment(name)}", object_body(values))

    async def delete_object(self, name: str) -> WriteOutcome:
        return await self._write("DELETE", f"/objects/{name_segment(name)}")

    # Files

    async def files(self) -> tuple[StoredFile, ...]:
        """Every file that CPEs can be told to download."""
        found = await self.find("files", {}, FILE_FIELDS)
        return tuple(StoredFile.from_document(document) for document in found.documents)

    async def file(self, name: str) -> StoredFile | None:
        name_segment(name)
        found = await self._one("files", name, FILE_FIELDS)
        return None if found is None else StoredFile.from_document(found)

    async def put_file(
        self,
        name: str,
        content: bytes,
        *,
        file_type: str,
        oui: str = "",
        product_class: str = "",
        version: str = "",
    ) -> WriteOutcome:
        """Store a file for downloads; ``file_type`` as TR-069 A.4.1.5 has it (``1 Firmware Upgrade Image``).

        Sent whole and once: Unknown when nobody knows how far it got; then ``file`` tells, and it may be sent again.
        """
        headers = file_headers(file_type=file_type, oui=oui, product_class=product_class, version=version)
        if not 0 < len(content) <= LARGEST_FILE:
            raise NbiRequestInvalid([f"a file has 1 to {LARGEST_FILE} bytes, not {len(content)}"])
        target = f"/files/{name_segment(name)}"
        return outcome_of(await self._transport.write("PUT", target, content, wait="upload", headers=headers))

    async def delete_file(self, name: str) -> WriteOutcome:
        """Rejected (404) when there is none: GenieACS dies of that question, so the file is looked up first."""
        segment = name_segment(name)
        if await self.file(name) is None:
            return Rejected(404, "No such file")
        return await self._write("DELETE", f"/files/{segment}")

    async def _script(self, collection: Scripts, name: str) -> str | None:
        name_segment(name)
        found = await self._one(collection, name, ("script",))
        script = None if found is None else found.get("script")
        return script if isinstance(script, str) else None

    async def _put_script(self, collection: Scripts, name: str, script: str) -> WriteOutcome:
        return await self._write("PUT", f"/{collection}/{name_segment(name)}", checked_script(name, script))


def _without_id(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "_id"}
