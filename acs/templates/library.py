"""All CPE templates by name, read from their files; everything that is wrong with a file is found, not only the first.

The format is explained by the two templates in ``cpe_templates/``. Unknown keys are faults: a misspelt ``optional``
must not silently become a required input.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, cast

from acs.errors import TemplatesInvalid, TemplateUnknown
from acs.templates.rendering import (
    ROOTS,
    DataModel,
    InputType,
    SettingValue,
    Template,
    TemplateInput,
    TemplateParameter,
    fault_of_value,
)

INTEGER_TYPES = ("xsd:int", "xsd:unsignedInt", "xsd:long", "xsd:unsignedLong")
XSD_TYPES = ("xsd:string", "xsd:boolean", *INTEGER_TYPES)

_TOP_KEYS = {"title", "data_model", "instances", "inputs", "parameters"}
_INPUT_KEYS = {
    "string": {"type", "description", "optional", "default", "max_bytes"},
    "integer": {"type", "description", "optional", "default", "minimum", "maximum"},
    "secret": {"type", "description", "optional", "generate"},
}
_KEY_TYPES: Mapping[str, type] = {
    "description": str,
    "optional": bool,
    "max_bytes": int,
    "minimum": int,
    "maximum": int,
    "generate": str,
}
_PARAMETER_KEYS = {"path", "xsd", "from", "value", "secret", "when"}
_GENERATED = ("wifi_passphrase",)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TEMPLATE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class TemplateLibrary:
    """All templates by name.

    ``TemplateLibrary.load()`` reads those that come with Firstlight; folders given come after and may replace one by
    the same name.
    """

    def __init__(self, templates: Iterable[Template]) -> None:
        self._templates = {template.name: template for template in templates}

    @classmethod
    def load(cls, *folders: Traversable) -> TemplateLibrary:
        """Read and check every ``*.toml``. Raises: TemplatesInvalid, with the faults of all files."""
        faults: list[str] = []
        templates: list[Template] = []
        for folder in (files("acs") / "cpe_templates", *folders):
            for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
                if file.name.endswith(".toml"):
                    template, wrong = read_template(file.name.removesuffix(".toml"), file.read_bytes())
                    faults += wrong
                    templates += [template] if template is not None else []
        if faults:
            raise TemplatesInvalid(faults)
        return cls(templates)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._templates))

    def get(self, name: str) -> Template:
        """Raises: TemplateUnknown."""
        if name not in self._templates:
            raise TemplateUnknown(name, self._templates)
        return self._templates[name]


def read_template(name: str, content: bytes) -> tuple[Template | None, list[str]]:
    """The template, or None and every fault in words, each beginning with the file's name."""
    try:
        raw = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return None, [f"{name}.toml: is not TOML ({error})"]
    reading = _Reading(raw)
    template = reading.template(name)
    faults = [f"{name}.toml: {fault}" for fault in reading.faults]
    return (None if faults else template), faults


class _Reading:
    """One file being read; ``faults`` fills up on the way."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.faults: list[str] = []

    def template(self, name: str) -> Template:
        if not _TEMPLATE_NAME.fullmatch(name):
            self.faults.append("the file's name may have a-z, 0-9 and - only")
        self.faults += [f"unknown key {key}" for key in sorted(set(self.raw) - _TOP_KEYS)]
        title = self.raw.get("title")
        if not isinstance(title, str) or not title:
            self.faults.append("title is missing")
        data_model = self.raw.get("data_model")
        if data_model not in ROOTS:
            self.faults.append(f"data_model has to be one of {', '.join(ROOTS)}")
        instances = self._instances()
        inputs = self._inputs()
        parameters = self._parameters(inputs, instances, cast(DataModel, data_model))
        return Template(name, str(title), cast(DataModel, data_model), inputs, parameters)

    def _instances(self) -> dict[str, int]:
        instances: dict[str, int] = {}
        for name, chosen in self._table("instances").items():
            number = chosen.get("number") if isinstance(chosen, dict) and set(chosen) == {"number"} else None
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                self.faults.append(f"instances.{name} has to be {{ number = 1 }} or above")
                number = 1
            instances[name] = number
        return instances

    def _inputs(self) -> dict[str, TemplateInput]:
        inputs: dict[str, TemplateInput] = {}
        for name, raw in self._table("inputs").items():
            kind = raw.get("type") if isinstance(raw, dict) else None
            if not _NAME.fullmatch(name) or kind not in _INPUT_KEYS:
                self.faults.append(f"inputs.{name} needs a plain name and a type: {', '.join(_INPUT_KEYS)}")
                continue
            if not self._input_is_well_formed(name, kind, raw):
                continue
            known = {key: raw[key] for key in raw if key in _INPUT_KEYS[kind] and key != "type"}
            inputs[name] = TemplateInput(name=name, type=cast(InputType, kind), **known)
            default = inputs[name].default
            wrong = None if default is None else fault_of_value(inputs[name], default)
            self.faults += [f"inputs.{name}.default {wrong}"] if wrong else []
        return inputs

    def _input_is_well_formed(self, name: str, kind: str, raw: dict[str, Any]) -> bool:
        before = len(self.faults)
        self.faults += [f"inputs.{name}: unknown key {key}" for key in sorted(set(raw) - _INPUT_KEYS[kind])]
        for key, wanted in _KEY_TYPES.items():
            if key in raw and type(raw[key]) is not wanted:
                self.faults.append(f"inputs.{name}.{key} has to be {wanted.__name__}")
        if "generate" in raw and raw["generate"] not in _GENERATED:
            self.faults.append(f"inputs.{name}.generate has to be one of {', '.join(_GENERATED)}")
        return len(self.faults) == before

    def _parameters(
        self, inputs: dict[str, TemplateInput], instances: dict[str, int], data_model: DataModel
    ) -> list[TemplateParameter]:
        raw_parameters = self.raw.get("parameters")
        if not isinstance(raw_parameters, list) or not all(isinstance(raw, dict) for raw in raw_parameters):
            self.faults.append("[[parameters]] are missing")
            return []
        parameters = [
            self._parameter(number, raw, inputs, instances) for number, raw in enumerate(raw_parameters, start=1)
        ]
        root = ROOTS.get(data_model, "")
        seen: set[str] = set()
        for parameter in parameters:
            if root and not parameter.path.startswith(root + "."):
                self.faults.append(f"{parameter.path} is no path of {data_model}")
            if parameter.path in seen:
                self.faults.append(f"{parameter.path} is there twice")
            seen.add(parameter.path)
        used = {parameter.source for parameter in parameters} | {parameter.when for parameter in parameters}
        self.faults += [f"inputs.{name} is not used by any parameter" for name in sorted(set(inputs) - used)]
        return parameters

    def _parameter(
        self, number: int, raw: dict[str, Any], inputs: dict[str, TemplateInput], instances: dict[str, int]
    ) -> TemplateParameter:
        path = self._path(number, raw.get("path"), instances)
        where = f"parameter {number} ({path})"
        self.faults += [f"{where}: unknown key {key}" for key in sorted(set(raw) - _PARAMETER_KEYS)]
        xsd_type, secret = raw.get("xsd"), raw.get("secret", False)
        if xsd_type not in XSD_TYPES:
            self.faults.append(f"{where}: xsd has to be one of {', '.join(XSD_TYPES)}")
        if ("from" in raw) == ("value" in raw):
            self.faults.append(f"{where}: needs either from or value")
        for key in ("from", "when"):
            if key in raw and raw[key] not in inputs:
                self.faults.append(f"{where}: {key} names no input: {raw[key]}")
        source = inputs.get(raw.get("from", ""))
        if source is not None and secret is not (source.type == "secret"):
            self.faults.append(f"{where}: secret = true belongs to secret inputs, and to all of them")
        if source is None and secret is not False:
            self.faults.append(f"{where}: a secret cannot stand in a template")
        if not _fits(str(xsd_type), source, raw.get("value")):
            self.faults.append(f"{where}: the value does not fit {xsd_type}")
        constant = cast(SettingValue | None, raw.get("value"))
        return TemplateParameter(path, str(xsd_type), raw.get("from"), constant, bool(secret), raw.get("when"))

    def _path(self, number: int, path: object, instances: dict[str, int]) -> str:
        if not isinstance(path, str):
            self.faults.append(f"parameter {number}: path is missing")
            return "?"
        unknown = sorted(set(_PLACEHOLDER.findall(path)) - set(instances))
        self.faults += [f"parameter {number}: {{{name}}} is not among the instances" for name in unknown]
        placed = _PLACEHOLDER.sub(lambda found: str(instances.get(found[1], 1)), path)
        if not _PATH.fullmatch(placed):
            self.faults.append(f"parameter {number}: {path} is no parameter path")
        return placed

    def _table(self, key: str) -> dict[str, Any]:
        table = self.raw.get(key, {})
        if not isinstance(table, dict):
            self.faults.append(f"{key} has to be a table")
            return {}
        return table


def _fits(xsd_type: str, source: TemplateInput | None, constant: object) -> bool:
    if xsd_type not in XSD_TYPES:
        return True  # named already
    if source is not None:
        allowed = {"string": ("xsd:string",), "secret": ("xsd:string",), "integer": ("xsd:string", *INTEGER_TYPES)}
        return xsd_type in allowed[source.type]
    if constant is None:
        return True
    if xsd_type == "xsd:boolean":
        return isinstance(constant, bool)
    if xsd_type in INTEGER_TYPES:
        whole = isinstance(constant, int) and not isinstance(constant, bool)
        return whole and not (xsd_type.startswith("xsd:unsigned") and cast(int, constant) < 0)
    return isinstance(constant, str)
