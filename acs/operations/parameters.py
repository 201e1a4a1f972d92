"""Parameters read from a CPE and set on it, once and by hand. A reading counts only when the CPE itself was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from acs.convergence.script_task import PROVISION
from acs.convergence.seen_devices import Leaf, SeenDevice, read_leaves
from acs.nbi.client import NbiClient
from acs.operations.ledger import Operation
from acs.operations.paths import holds_secret
from acs.operations.steps import Again, Next, Over, Send, Wait, spelt
from acs.templates.rendering import ROOTS, SettingValue

SETTLE_SECONDS = 1.1
"""GenieACS answers a read from its own copy when that is younger than a slot of 1 s."""


class RefreshStep:
    """Reads whole objects anew. What the CPE does not have is told, not passed over."""

    repeatable: ClassVar[bool] = True

    def __init__(self, nbi: NbiClient) -> None:
        self._nbi = nbi

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        paths = _paths_of(operation)
        if (wrong := _other_model(paths, seen)) is not None:
            return wrong
        return Send({"name": "provisions", "provisions": [["refresh", path] for path in paths]})

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        paths = _paths_of(operation)
        fields = [f"{path}.{mark}" for path in paths for mark in ("_object", "_writable", "_timestamp")]
        found = await self._nbi.find("devices", {"_id": seen["device_id"]}, ("_id", *fields))
        documents = [each for each in found.documents if each.get("_id") == seen["device_id"]]
        missing = [path for path in paths if not documents or _node(documents[0], path) is None]
        result = {"read": [path for path in paths if path not in missing], "missing": missing}
        if missing:
            return Over("faulted", f"The CPE has no {', '.join(missing)}.", result)
        return Over("done", "The ACS has read it from the CPE.", result)


class ReadStep:
    """Reads parameters; of a secret one only when it was read, since the ACS would show it in clear."""

    repeatable: ClassVar[bool] = True

    def __init__(self, nbi: NbiClient) -> None:
        self._nbi = nbi

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        paths = _paths_of(operation)
        if (wrong := _other_model(paths, seen)) is not None:
            return wrong
        stamps = {path: spelt(leaf.stamp) for path, leaf in (await _leaves(self._nbi, seen, paths)).items()}
        return Send({"name": "getParameterValues", "parameterNames": list(paths)}, {"stamps": stamps})

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        paths = _paths_of(operation)
        leaves = await _leaves(self._nbi, seen, paths)
        if (again := not_read(operation, leaves)) is not None:
            return again
        # An object that the ACS has looked into has a time, and no value.
        leaves = {path: leaf for path, leaf in leaves.items() if leaf.value is not None or holds_secret(path)}
        missing = [path for path in paths if path not in leaves]
        values = {
            path: {"value": None if holds_secret(path) else leaf.value, "read_at": spelt(leaf.stamp)}
            for path, leaf in leaves.items()
        }
        result = {"parameters": values, "missing": missing}
        if missing and not operation.arguments.get("as_far_as_there"):
            return Over("faulted", why_not_read(missing, await self._objects(seen, missing)), result)
        return Over("done", "The CPE was asked, and has answered.", result)

    async def _objects(self, seen: SeenDevice, paths: Sequence[str]) -> list[str]:
        """Which of these are objects, by what the ACS knows of the CPE."""
        fields = [f"{path}._object" for path in paths]
        found = await self._nbi.find("devices", {"_id": seen["device_id"]}, ("_id", *fields))
        its = [each for each in found.documents if each.get("_id") == seen["device_id"]]
        return [path for path in paths for each in its if (_node(each, path) or {}).get("_object") is True]


class WriteStep:
    """Sets parameters by the apply script: all or none, and what the CPE does not have is a fault, not silence."""

    repeatable: ClassVar[bool] = True

    def __init__(self, nbi: NbiClient) -> None:
        self._nbi = nbi

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        values: Mapping[str, SettingValue] = operation.arguments["values"]
        if (wrong := _other_model(list(values), seen)) is not None:
            return wrong
        return Send(script_task(operation, values))

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        return taken(operation, seen) or Next(
            "The CPE has taken it; it is read back in a later session.",
            {"settled": False},
            forget_tag=tag_of(operation),
            proven=("The CPE has taken the values", "they were not read back"),
        )


class ReadBackStep:
    """Reads back, in a later session, what was set."""

    repeatable: ClassVar[bool] = True

    def __init__(self, nbi: NbiClient) -> None:
        self._nbi = nbi

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        if operation.looks == 0:
            return Wait("The CPE has taken it; it is read back in a moment.", SETTLE_SECONDS)
        paths = list(operation.arguments["values"])
        stamps = {path: spelt(leaf.stamp) for path, leaf in (await _leaves(self._nbi, seen, paths)).items()}
        return Send({"name": "getParameterValues", "parameterNames": paths}, {"stamps": stamps})

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        wanted: Mapping[str, SettingValue] = operation.arguments["values"]
        leaves = await _leaves(self._nbi, seen, list(wanted))
        if (again := not_read(operation, leaves)) is not None:
            return again
        found = {path: leaf.value for path, leaf in leaves.items()}
        drift = [path for path, value in wanted.items() if not reads_as(found.get(path), value)]
        if drift:
            shown = "; ".join(f"{path} is {found.get(path)!r} instead of {wanted[path]!r}" for path in drift)
            return Over(
                "faulted", f"The CPE took it and does not have it: {shown}.", {"parameters": found}, disproven=True
            )
        return Over("done", "The CPE has it: it was read back.", {"parameters": found})


def why_not_read(missing: Sequence[str], objects: Sequence[str]) -> str:
    """Why these could not be read: the CPE lacks them, or they are ``objects``, which have no value."""
    lacking = [path for path in missing if path not in objects]
    words = [f"The CPE has no {', '.join(lacking)}."] if lacking else []
    words += [f"{path} is an object; `firstlight devices refresh` reads what is in it." for path in objects]
    return " ".join(words)


def script_task(operation: Operation, values: Mapping[str, SettingValue]) -> dict[str, Any]:
    """A run of the apply script that sets these and leaves a tag of this operation when the CPE has taken them."""
    rows = [[path, value, _xsd_type(value), False] for path, value in values.items()]
    argument = json.dumps({"rev": f"op{operation.id}", "params": rows, "stale_tags": []})
    return {"name": "provisions", "provisions": [[PROVISION, argument]]}


def tag_of(operation: Operation) -> str:
    """The tag that the apply script sets for this operation."""
    return f"cfg_op{operation.id}"


def taken(operation: Operation, seen: SeenDevice) -> Again | Wait | None:
    """None when the tag proves that the CPE has taken the values."""
    if tag_of(operation) in seen["tags"]:
        return None
    if operation.looks < 3:
        return Wait("The CPE's session has ended; its outcome is about to show.", 0.5)
    return Again("The ACS dropped it without asking the CPE: sessions did not know the script yet. Once more.", 6.0)


def not_read(operation: Operation, leaves: Mapping[str, Leaf]) -> Again | None:
    """What is older than the question was answered from the ACS's own copy, and the CPE is asked once more."""
    stamps: Mapping[str, Any] = operation.baseline.get("stamps", {})
    for path, leaf in leaves.items():
        if path in stamps and spelt(leaf.stamp) == stamps[path]:
            return Again("The ACS has answered from its own copy; the CPE is asked once more.", SETTLE_SECONDS)
    return None


def reads_as(found: SettingValue | None, wanted: SettingValue) -> bool:
    """Whether a CPE that reports this has what was set; types are the CPE's."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        flags = {"1": True, "true": True, "0": False, "false": False}
        return found is not None and flags.get(str(found).lower()) is flags.get(str(wanted).lower())
    return found is not None and str(found) == str(wanted)


def _paths_of(operation: Operation) -> list[str]:
    return [str(path) for path in operation.arguments["paths"]]


def _other_model(paths: Sequence[str], seen: SeenDevice) -> Wait | Over | None:
    """What keeps paths of one data model from a CPE of the other."""
    roots = {ROOTS[model] for model in seen["data_models"]}
    if not roots:
        return Wait("The CPE has not told the ACS its data model yet.", 10.0)
    wrong = sorted(path for path in paths if path.partition(".")[0] not in roots)
    if wrong:
        return Over("faulted", f"The CPE speaks {' and '.join(seen['data_models'])} and has no {', '.join(wrong)}.")
    return None


async def _leaves(nbi: NbiClient, seen: SeenDevice, paths: Sequence[str]) -> dict[str, Leaf]:
    plain = [path for path in paths if not holds_secret(path)]
    secret = [path for path in paths if holds_secret(path)]
    return await read_leaves(nbi, seen["device_id"], plain, secret) or {}


def _node(document: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    node: object = document
    for name in path.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) and node else None


def _xsd_type(value: SettingValue) -> str:
    if isinstance(value, bool):
        return "xsd:boolean"
    return "xsd:int" if isinstance(value, int) else "xsd:string"
