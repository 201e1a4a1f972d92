"""One template's file, checked: every fault in words, not only the first.

``docs/cpe-templates.md`` explains the format. Unknown keys are faults: a misspelt ``optional`` must not silently become
a required input.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from acs.templates.delivery import MANAGEMENT, PLACEHOLDER, Delivery, Management
from acs.templates.reading_instances import Instances, read_instances, read_signs
from acs.templates.rendering import (
    ROOTS,
    SURENESS,
    DataModel,
    InformPolicy,
    InputType,
    SettingValue,
    Sureness,
    Template,
    TemplateInput,
    TemplateParameter,
    fault_of_value,
)

INTEGER_TYPES = ("xsd:int", "xsd:unsignedInt", "xsd:long", "xsd:unsignedLong")
XSD_TYPES = ("xsd:string", "xsd:boolean", *INTEGER_TYPES)

_TEXTS = {"title", "note", "source", "sureness"}
_TOP_KEYS = _TEXTS | {"data_model", "models", "manufacturers", "management", "management_signs", "inform"}
_TOP_KEYS |= {"instances", "inputs", "parameters"}
_INPUT_KEYS = {
    "string": {"type", "description", "optional", "default", "max_bytes"},
    "integer": {"type", "description", "optional", "default", "minimum", "maximum"},
    "secret": {"type", "description", "optional", "generate"},
    "refused": {"type", "description", "reason"},
}
_KEY_TYPES: Mapping[str, type] = {
    "description": str,
    "optional": bool,
    "max_bytes": int,
    "minimum": int,
    "maximum": int,
    "generate": str,
    "reason": str,
}
_PARAMETER_KEYS = {"path", "xsd", "from", "value", "secret", "when", "sureness", "source", "restarts_wan"}
_INFORM_KEYS = {"until_verified_seconds", "verified_seconds", "jitter_percent"}
_GENERATED = ("wifi_passphrase",)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TEMPLATE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")


@lru_cache(maxsize=64)
def read_template(name: str, content: bytes) -> tuple[Template | None, tuple[str, ...]]:
    """The template, or None and every fault in words, each beginning with the file's name.

    The same words are read once in a process: those that come with Firstlight are asked for again and again.
    """
    try:
        raw = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return None, (f"{name}.toml: is not TOML ({error})",)
    reading = _Reading(raw)
    template = reading.template(name)
    faults = tuple(f"{name}.toml: {fault}" for fault in reading.faults)
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
        root = ROOTS.get(cast(DataModel, data_model), "")
        instances, wrong = read_instances(self._table("instances"), root)
        self.faults += wrong
        inputs = self._inputs()
        parameters = self._parameters(inputs, instances, cast(DataModel, data_model))
        delivery, inform = self._delivery(instances, parameters), self._inform()
        if inform is not None:
            sent = [each.path for each in parameters if each.path.startswith(f"{root}.ManagementServer.PeriodicInform")]
            self.faults += [f"{path} is what [inform] is for" for path in sent]
        note = self._text("note", self.raw)
        return Template(name, str(title), cast(DataModel, data_model), inputs, parameters, delivery, inform, note)

    def _delivery(self, instances: Instances, parameters: list[TemplateParameter]) -> Delivery:
        management = self.raw.get("management", "separate_wan")
        if management not in MANAGEMENT:
            self.faults.append(f"management has to be {' or '.join(MANAGEMENT)}")
        signs, wrong = read_signs(self.raw.get("management_signs", []), instances)
        self.faults += wrong
        sent = {parameter.path for parameter in parameters}
        for selector in instances.selectors:
            if selector.test != "only" and f"{selector.row}.{selector.where}" in sent:
                self.faults.append(f"instances.{selector.name}: the template itself sets {selector.where} of that row")
        return Delivery(
            selectors=instances.selectors,
            management=cast(Management, management),
            signs=signs,
            restarting=tuple(parameter.path for parameter in parameters if parameter.restarts_wan),
            models=self._globs("models"),
            manufacturers=self._globs("manufacturers"),
        )

    def _globs(self, key: str) -> tuple[str, ...]:
        globs = self.raw.get(key, [])
        if not isinstance(globs, list) or not all(isinstance(each, str) and each for each in globs):
            self.faults.append(f"{key} has to be a list of names, with * for any letters")
            return ()
        return tuple(globs)

    def _inform(self) -> InformPolicy | None:
        if "inform" not in self.raw:
            return None
        raw = self._table("inform")
        self.faults += [f"inform: unknown key {key}" for key in sorted(set(raw) - _INFORM_KEYS)]
        numbers: dict[str, int] = {}
        for key, least, most in (
            ("until_verified_seconds", 30, 86_400),
            ("verified_seconds", 30, 7 * 86_400),
            ("jitter_percent", 0, 50),
        ):
            number = raw.get(key, 0 if key == "jitter_percent" else None)
            if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
                self.faults.append(f"inform.{key} has to be {least} to {most}")
                number = least
            numbers[key] = number
        return InformPolicy(**numbers)

    def _sureness(self, where: str, raw: Mapping[str, Any]) -> Sureness:
        """Of a path of which nothing is said, it is only reported."""
        said = raw.get("sureness", self.raw.get("sureness", "reported"))
        if said not in SURENESS:
            self.faults.append(f"{where}: sureness has to be one of {', '.join(SURENESS)}")
        return cast(Sureness, said)

    def _text(self, key: str, raw: Mapping[str, Any]) -> str:
        said = raw.get(key, "")
        if not isinstance(said, str):
            self.faults.append(f"{key} has to be text")
        return str(said)

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
        self, inputs: dict[str, TemplateInput], instances: Instances, data_model: DataModel
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
        used |= {name for name, wanted in inputs.items() if wanted.type == "refused"}
        self.faults += [f"inputs.{name} is not used by any parameter" for name in sorted(set(inputs) - used)]
        return parameters

    def _parameter(
        self, number: int, raw: dict[str, Any], inputs: dict[str, TemplateInput], instances: Instances
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
        restarts = raw.get("restarts_wan", False)
        if not isinstance(restarts, bool) or (restarts and secret is not False):
            self.faults.append(f"{where}: restarts_wan is true or false, and not for a secret, which reads back blank")
        return TemplateParameter(
            path=path,
            xsd_type=str(xsd_type),
            source=raw.get("from"),
            constant=cast(SettingValue | None, raw.get("value")),
            secret=bool(secret),
            when=raw.get("when"),
            sureness=self._sureness(where, raw),
            source_of_path=self._text("source", raw) or self._text("source", self.raw),
            restarts_wan=restarts is True,
        )

    def _path(self, number: int, path: object, instances: Instances) -> str:
        if not isinstance(path, str):
            self.faults.append(f"parameter {number}: path is missing")
            return "?"
        unknown = sorted(set(PLACEHOLDER.findall(path)) - set(instances.numbers) - instances.open_numbers)
        self.faults += [f"parameter {number}: {{{name}}} is not among the instances" for name in unknown]
        if not _PATH.fullmatch(PLACEHOLDER.sub("1", path)):
            self.faults.append(f"parameter {number}: {path} is no parameter path")
        return instances.placed(path)

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
        return xsd_type in allowed.get(source.type, ())
    if constant is None:
        return True
    if xsd_type == "xsd:boolean":
        return isinstance(constant, bool)
    if xsd_type in INTEGER_TYPES:
        whole = isinstance(constant, int) and not isinstance(constant, bool)
        return whole and not (xsd_type.startswith("xsd:unsigned") and cast(int, constant) < 0)
    return isinstance(constant, str)
