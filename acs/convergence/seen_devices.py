"""A CPE as the ACS has it: who it is, when it was last heard, and what its parameters are said to be.

The ACS compares serial numbers loosely, so what it finds is compared once more here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from typing_extensions import TypedDict

from acs.errors import SerialAmbiguous
from acs.nbi.client import NbiClient
from acs.nbi.requests import LONGEST_TARGET, device_segment
from acs.serials import canonical_serial, is_serial, same_serial, spellings
from acs.templates.rendering import ROOTS, DataModel, SettingValue

# SoftwareVersion is in every Inform (TR-069 3.7.1.5), so a CPE that has reported has it under its root.
FIELDS = (
    "_id",
    "_deviceId",
    "_registered",
    "_lastInform",
    "_lastBoot",
    "_lastBootstrap",
    "_tags",
    *(f"{root}.DeviceInfo.SoftwareVersion" for root in ROOTS.values()),
)


BATCH = 100
"""CPEs asked for in one request, when their serials are short enough."""
LONGEST_TERMS = LONGEST_TARGET - 1_000
"""Characters of a request for what is asked for; the rest names fields."""


class SeenDevice(TypedDict):
    """A CPE known to the ACS. Times are the ACS's; ``data_models`` are the roots it has shown."""

    device_id: str
    serial: str
    manufacturer: str | None
    oui: str | None
    product_class: str | None
    data_models: list[DataModel]
    registered: datetime | None
    last_inform: datetime | None
    last_boot: datetime | None
    last_bootstrap: datetime | None
    tags: list[str]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One parameter in the ACS's document, read from or written to the CPE at ``stamp``."""

    value: SettingValue | None
    stamp: datetime | None


async def find_device(nbi: NbiClient, serial: str) -> SeenDevice | None:
    """The one CPE that reports this serial in any of its spellings; None when it has never reported.

    Raises: SerialMalformed, SerialAmbiguous, NbiError.
    """
    found = await nbi.find("devices", {"_deviceId._SerialNumber": {"$in": list(spellings(serial))}}, FIELDS)
    exact = [seen for seen in map(seen_of, found.documents) if same_serial(seen["serial"], serial)]
    if len(exact) > 1:
        raise SerialAmbiguous(serial, sorted(seen["device_id"] for seen in exact))
    return exact[0] if exact else None


async def find_known(nbi: NbiClient, serial: str, device_id: str | None) -> SeenDevice | None:
    """The CPE by its id at the ACS, which is indexed there; by its serial when that id is not its any more, or unknown.

    Raises: SerialMalformed, SerialAmbiguous, NbiError.
    """
    if device_id is not None:
        seen = await look_again(nbi, device_id)
        if seen is not None and same_serial(seen["serial"], serial):
            return seen
    return await find_device(nbi, serial)


async def find_devices(nbi: NbiClient, serials: Mapping[str, str | None]) -> dict[str, SeenDevice]:
    """The CPEs with these serials, whose ids at the ACS are known or not, in as few questions as possible.

    A serial that is none, or that several CPEs report, is left out. Raises: NbiError.
    """
    wanted = {serial: device_id for serial, device_id in serials.items() if is_serial(serial)}
    by_id = {serial: (device_id,) for serial, device_id in wanted.items() if device_id is not None}
    found = await _ask_for(nbi, "_id", by_id)
    unknown = {serial: spellings(serial) for serial in wanted if serial not in found}
    return found | await _ask_for(nbi, "_deviceId._SerialNumber", unknown)


async def _ask_for(nbi: NbiClient, field: str, terms: Mapping[str, Sequence[str]]) -> dict[str, SeenDevice]:
    found: dict[str, SeenDevice] = {}
    for some in _batches(terms):
        asked_for = list(dict.fromkeys(term for serial in some for term in terms[serial]))
        answer = await nbi.find("devices", {field: {"$in": asked_for}}, FIELDS)
        seen_by_serial: dict[str, list[SeenDevice]] = {}
        for seen in map(seen_of, answer.documents):
            if is_serial(seen["serial"]):
                seen_by_serial.setdefault(canonical_serial(seen["serial"]), []).append(seen)
        for serial in some:
            exact = seen_by_serial.get(canonical_serial(serial), [])
            if len(exact) == 1:
                found[serial] = exact[0]
    return found


def _batches(terms: Mapping[str, Sequence[str]]) -> Iterable[list[str]]:
    """The serials in groups that one request can ask for."""
    batch: list[str] = []
    length = 0
    for serial, spelt in terms.items():
        cost = sum(len(quote(json.dumps(f"{term}, "), safe="")) for term in spelt)
        if batch and (len(batch) == BATCH or length + cost > LONGEST_TERMS):
            yield batch
            batch, length = [], 0
        batch.append(serial)
        length += cost
    if batch:
        yield batch


async def look_again(nbi: NbiClient, device_id: str) -> SeenDevice | None:
    """The same CPE now, by its id at the ACS. Raises: NbiError."""
    device_segment(device_id)
    found = await nbi.find("devices", {"_id": device_id}, FIELDS)
    exact = [seen for seen in map(seen_of, found.documents) if seen["device_id"] == device_id]
    return exact[0] if exact else None


async def read_leaves(
    nbi: NbiClient, device_id: str, plain: Sequence[str], secret: Sequence[str] = ()
) -> dict[str, Leaf] | None:
    """What the ACS's document says of these parameters; of secret ones the time only, since it holds them in clear.

    A parameter the document does not have is left out; without a document it is None. Raises: NbiError.
    """
    device_segment(device_id)
    leaves: dict[str, Leaf] = {}
    known = False
    wanted = [(path, path) for path in plain] + [(path, f"{path}._timestamp") for path in secret]
    for some in _chunks(wanted, 50):
        found = await nbi.find("devices", {"_id": device_id}, ("_id", *(field for _, field in some)))
        for document in found.documents:
            if document.get("_id") == device_id:
                known = True
                leaves |= {path: leaf for path, _ in some if (leaf := leaf_of(document, path)) is not None}
    return leaves if known else None


def seen_of(document: Mapping[str, Any]) -> SeenDevice:
    """A record with ``FIELDS`` as a CPE; nothing in it is trusted to be there."""
    identity = document.get("_deviceId")
    identity = identity if isinstance(identity, Mapping) else {}
    tags = document.get("_tags")
    return SeenDevice(
        device_id=str(document.get("_id", "")),
        serial=str(identity.get("_SerialNumber", "")),
        manufacturer=_text(identity.get("_Manufacturer")),
        oui=_text(identity.get("_OUI")),
        product_class=_text(identity.get("_ProductClass")),
        data_models=[model for model, root in ROOTS.items() if isinstance(document.get(root), Mapping)],
        registered=moment(document.get("_registered")),
        last_inform=moment(document.get("_lastInform")),
        last_boot=moment(document.get("_lastBoot")),
        last_bootstrap=moment(document.get("_lastBootstrap")),
        tags=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
    )


def leaf_of(document: Mapping[str, Any], path: str) -> Leaf | None:
    """One parameter of a record, if it is there."""
    node: object = document
    for name in path.split("."):
        if not isinstance(node, dict):
            return None
        node = node.get(name)
    if not isinstance(node, dict) or ("_value" not in node and "_timestamp" not in node):
        return None
    value = node.get("_value")
    return Leaf(value if isinstance(value, str | int | bool) else None, moment(node.get("_timestamp")))


def moment(stamp: object) -> datetime | None:
    """A time as the ACS writes it (``2026-11-22T13:13:22.162Z``); None for anything else."""
    if not isinstance(stamp, str):
        return None
    try:
        parsed = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return parsed.astimezone(UTC) if parsed.tzinfo else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _chunks(items: Sequence[tuple[str, str]], size: int) -> Iterable[Sequence[tuple[str, str]]]:
    return (items[start : start + size] for start in range(0, len(items), size))
