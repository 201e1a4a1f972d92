"""What single plans and CPEs have otherwise than their template says.

An override names one of

* an input (``wifi_ssid``): that value instead of what the ticket gave;
* a parameter by its path, as the template writes it or any other of the data model: that value, or nothing (``None``)
  for a parameter that is to be left alone;
* a selector (``internet``): the whole path of the row, for a CPE that does not report what the selector looks at;
* ``models``: a product class, with * for any letters, that the template is for as well; ``*`` is any CPE;
* ``management``, ``inform.until_verified_seconds`` or ``inform.verified_seconds``.

Layers are merged in order, the later one wins: the template, the ticket's inputs, the plan, the CPE.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from acs.errors import OverridesRefused
from acs.templates.delivery import MANAGEMENT, PLACEHOLDER
from acs.templates.rendering import ROOTS, SECRET_REF, SettingValue, Template, TemplateParameter, fault_of_value

OverrideValue = SettingValue | None
Overrides = Mapping[str, OverrideValue]
Origin = Literal["template", "default", "input", "plan override", "device override", "inform policy"]
LAYERS: tuple[Origin, ...] = ("plan override", "device override")

MANAGEMENT_KEY = "management"
MODELS_KEY = "models"
INFORM_KEYS = ("inform.until_verified_seconds", "inform.verified_seconds")
SHORTEST_INFORM_SECONDS, LONGEST_INFORM_SECONDS = 30, 7 * 86_400

_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")
_SECRET_LEAF = re.compile(r"pass|key|secret|psk", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Merged:
    """What counts of all layers, by what it overrides, with the layer it is from."""

    values: Mapping[str, tuple[OverrideValue, Origin]]

    def of(self, *keys: str) -> tuple[OverrideValue, Origin] | None:
        """The override under the first of these names that has one."""
        return next((self.values[key] for key in keys if key in self.values), None)


def merged(template: Template, *, plan: Overrides, device: Overrides) -> Merged:
    """Both layers, checked against the template. Raises: OverridesRefused, with every fault of both."""
    faults: list[str] = []
    values: dict[str, tuple[OverrideValue, Origin]] = {}
    plan = {key: value for key, value in plan.items() if _concerns(template, key, value)}
    for layer, overrides in zip(LAYERS, (plan, device), strict=True):
        faults += [f"{layer} {key} {fault}" for key, fault in faults_of(template, overrides)]
        values |= {key: (value, layer) for key, value in overrides.items()}
    if faults:
        raise OverridesRefused(template.name, faults)
    return Merged(values)


def faults_of(template: Template, overrides: Overrides) -> list[tuple[str, str]]:
    """Everything that is wrong with these overrides of that template, in words that repeat no secret."""
    faults = ((key, _fault_of(template, key, value)) for key, value in sorted(overrides.items()))
    return [(key, fault) for key, fault in faults if fault is not None]


def typed(template: Template, key: str, text: str) -> OverrideValue:
    """A value as somebody typed it: text where text belongs, otherwise a number, true or false; ``null`` is nothing.

    Quotes make text of it in any case.
    """
    wanted = template.inputs.get(key)
    parameter = next((each for each in template.parameters if each.path == key), None)
    is_text = wanted.type != "integer" if wanted else parameter is not None and parameter.xsd_type == "xsd:string"
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if value is None or isinstance(value, str):
        return value
    return text if is_text or not isinstance(value, int) else value


def _concerns(template: Template, key: str, value: OverrideValue) -> bool:
    """Whether what a plan says is about such CPEs: those of one plan may have any template."""
    if key in INFORM_KEYS:
        return template.inform is not None
    named = {MANAGEMENT_KEY, MODELS_KEY, *template.inputs, *(selector.name for selector in template.delivery.selectors)}
    if value is None:
        return key in template.inputs or any(key == each.path for each in template.parameters)
    return key in named or key.startswith(f"{ROOTS[template.data_model]}.")


def _fault_of(template: Template, key: str, value: OverrideValue) -> str | None:
    if key in template.inputs:
        return _fault_of_input(template, key, value)
    if key == MANAGEMENT_KEY:
        return None if value in MANAGEMENT else f"has to be {' or '.join(MANAGEMENT)}"
    if key == MODELS_KEY:
        return None if isinstance(value, str) and value.strip() else "has to be a product class, or *"
    if key in INFORM_KEYS:
        return _fault_of_interval(template, value)
    selector = next((each for each in template.delivery.selectors if each.name == key), None)
    if selector is not None:
        is_row = isinstance(value, str) and selector.numbers_of(value) is not None
        return None if is_row else f"has to be a row of {PLACEHOLDER.sub('*', selector.row)}"
    return _fault_of_path(template, key, value)


def _fault_of_input(template: Template, key: str, value: OverrideValue) -> str | None:
    if value is None:
        return None if template.inputs[key].optional else "cannot be left out"
    return fault_of_value(template.inputs[key], value)


def _fault_of_interval(template: Template, value: OverrideValue) -> str | None:
    if template.inform is None:
        return "is nothing this template has"
    if not isinstance(value, int) or isinstance(value, bool):
        return "has to be a whole number"
    if not SHORTEST_INFORM_SECONDS <= value <= LONGEST_INFORM_SECONDS:
        return f"is {value}, it may be {SHORTEST_INFORM_SECONDS} to {LONGEST_INFORM_SECONDS}"
    return None


def _fault_of_path(template: Template, key: str, value: OverrideValue) -> str | None:
    root = ROOTS[template.data_model]
    open_numbers = {name for selector in template.delivery.selectors for name in selector.placeholders}
    plain = PLACEHOLDER.sub(lambda found: "1" if found[1] in open_numbers else "?", key)
    if not plain.startswith(f"{root}.") or not _PATH.fullmatch(plain):
        return f"is neither an input nor a selector of it, nor a path of {template.data_model}"
    if value is None:
        return None if any(key == each.path for each in template.parameters) else "is nothing the template sets"
    parameter = next((each for each in template.parameters if each.path == key), None)
    is_secret = parameter.secret if parameter is not None else _SECRET_LEAF.search(key.rpartition(".")[2]) is not None
    if is_secret:
        is_ref = isinstance(value, str) and SECRET_REF.fullmatch(value) is not None
        return None if is_ref else "has to be a reference (secret:...), never the secret itself"
    return _fault_of_plain(parameter, value)


def _fault_of_plain(parameter: TemplateParameter | None, value: SettingValue) -> str | None:
    if isinstance(value, str) and (not value.isprintable() or value.startswith("secret:")):
        return "contains characters that cannot be printed" if not value.isprintable() else "is no secret"
    if parameter is None:
        return None
    if (parameter.xsd_type == "xsd:boolean") != isinstance(value, bool):
        return f"does not fit {parameter.xsd_type}"
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if parameter.xsd_type not in ("xsd:boolean", "xsd:string") and not is_number:
        return f"does not fit {parameter.xsd_type}"
    if is_number and parameter.xsd_type.startswith("xsd:unsigned") and int(value) < 0:
        return f"does not fit {parameter.xsd_type}"
    return None


def xsd_type_of(value: SettingValue) -> str:
    """For a parameter that the template does not know; the CPE's own type is what counts in the end."""
    if isinstance(value, bool):
        return "xsd:boolean"
    if isinstance(value, int):
        return "xsd:unsignedInt" if value >= 0 else "xsd:int"
    return "xsd:string"


def without(overrides: Overrides, keys: Sequence[str]) -> dict[str, OverrideValue]:
    """The overrides but for those."""
    return {key: value for key, value in overrides.items() if key not in keys}
