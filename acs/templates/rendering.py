"""CPE templates: which parameters a CPE gets, from which inputs. Templates are data, one TOML file each.

``acs.templates.settings`` makes the settings of a template and its inputs. Secrets stay references in them, so they may
be stored, compared and shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from acs.errors import TemplateInputsRefused
from acs.templates.delivery import Delivery

DataModel = Literal["TR-181", "TR-098"]
InputType = Literal["string", "integer", "secret", "refused"]
InputValue = str | int | None
SettingValue = str | int | bool
Sureness = Literal["standard", "seen", "reported"]
SURENESS: tuple[Sureness, ...] = ("standard", "seen", "reported")
"""How sure a path is: standard (the Broadband Forum's data model), seen (in dumps of such CPEs), reported (others say
so). None of the vendors' was tried on a CPE.
"""

ROOTS: Mapping[DataModel, str] = {"TR-181": "Device", "TR-098": "InternetGatewayDevice"}

SECRET_REF = re.compile(r"secret:[A-Za-z0-9._~%@+-]+(/[A-Za-z0-9._~%@+-]+)*")
REVISION_LENGTH = 16


@dataclass(frozen=True, slots=True)
class TemplateInput:
    """One named input of a template and what it may be."""

    name: str
    type: InputType
    description: str = ""
    optional: bool = False
    default: str | int | None = None
    minimum: int | None = None
    maximum: int | None = None
    max_bytes: int | None = None
    generate: Literal["wifi_passphrase"] | None = None
    """What the service makes, and seals, when this secret is not given."""
    reason: str = ""
    """Of a ``refused`` input: why no CPE with this template can be given it."""

    @property
    def required(self) -> bool:
        return not self.optional and self.default is None and self.type != "refused"


@dataclass(frozen=True, slots=True)
class TemplateParameter:
    """One parameter a CPE gets: a constant, or the value of an input. Without a value it is left out."""

    path: str
    """With the numbers that the template gives in place; those a selector finds stay open, ``{wan}``."""
    xsd_type: str
    source: str | None
    constant: SettingValue | None
    secret: bool
    when: str | None
    """Name of an input: the parameter is left out when that input has no value."""
    sureness: Sureness = "standard"
    source_of_path: str = ""
    """Where the path is from."""
    restarts_wan: bool = False
    """A change of it restarts the WAN."""


@dataclass(frozen=True, slots=True)
class InformPolicy:
    """How often a CPE reports: often until it was verified, then seldom, each at an interval of its own."""

    until_verified_seconds: int
    verified_seconds: int
    jitter_percent: int = 0

    def settled_seconds(self, serial: str) -> int:
        """The interval of that CPE once verified: the same at every asking, spread over all of them."""
        digest = hashlib.sha256(serial.encode()).digest()
        spread = int.from_bytes(digest[:4], "big") / 0xFFFFFFFF * 2 - 1
        return round(self.verified_seconds * (1 + spread * self.jitter_percent / 100))


@dataclass(frozen=True, slots=True)
class Template:
    """One CPE template, checked."""

    name: str
    title: str
    data_model: DataModel
    inputs: Mapping[str, TemplateInput]
    parameters: Sequence[TemplateParameter]
    delivery: Delivery = field(default_factory=Delivery)
    inform: InformPolicy | None = None
    note: str = ""
    """What an operator has to know of such CPEs."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter and the value the CPE is to have; a secret is given by its reference, or about to be sent."""

    path: str
    value: SettingValue = field(repr=False)
    xsd_type: str
    secret: bool
    settled: SettingValue | None = None
    """What it becomes once the CPE was verified; either is right then."""

    def as_row(self) -> list[str | int | bool]:
        row = [self.path, self.value, self.xsd_type, self.secret]
        return row if self.settled is None else [*row, self.settled]

    @classmethod
    def from_row(cls, row: Sequence[str | int | bool]) -> Setting:
        path, value, xsd_type, secret, *settled = row
        return cls(str(path), value, str(xsd_type), bool(secret), settled[0] if settled else None)


def checked_inputs(template: Template, values: Mapping[str, InputValue]) -> dict[str, str | int]:
    """The inputs with a value, defaults filled in.

    Raises: TemplateInputsRefused, naming every input that is missing, unknown or ill-typed.
    """
    faults = [f"{name} is no input of it" for name in sorted(values) if name not in template.inputs]
    given: dict[str, str | int] = {}
    for name, wanted in template.inputs.items():
        value = values.get(name)
        if value is None:
            value = wanted.default
        if value is None:
            if wanted.required:
                faults.append(f"{name} is missing")
            continue
        wrong = fault_of_value(wanted, value)
        if wrong:
            faults.append(f"{name} {wrong}")
        else:
            given[name] = value
    if faults:
        raise TemplateInputsRefused(template.name, faults)
    return given


def revision_of(
    data_model: str, settings: Iterable[Setting], *, secret_version: int, delivery: Mapping[str, Any] | None = None
) -> str:
    """A short hash of everything the CPE is to have; it becomes the tag ``cfg_<revision>`` at the ACS.

    A secret takes part by its reference and a version that counts its changes, never by its value or any fingerprint
    of it: the tag is readable by everyone who reads the ACS, and a fingerprint of a short passphrase can be searched.
    Of the rows that the CPE is asked to choose, the question takes part and never the answer.
    """
    whole: dict[str, Any] = {
        "data_model": data_model,
        "settings": sorted(setting.as_row() for setting in settings),
        "secret_version": secret_version,
    }
    whole |= {key: said for key, said in (delivery or {}).items() if key in ("select", "management")}
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:REVISION_LENGTH]


def fault_of_value(wanted: TemplateInput, value: str | int) -> str | None:
    """What is wrong with a value for that input, in words that do not repeat a secret."""
    if wanted.type == "secret":
        if not isinstance(value, str) or not SECRET_REF.fullmatch(value):
            return "has to be a reference (secret:...), never the secret itself"
        return None
    if wanted.type == "refused":
        return f"cannot be set on this CPE: {wanted.reason}"
    if wanted.type == "integer":
        return _fault_of_integer(wanted, value)
    return _fault_of_string(wanted, value)


def _fault_of_integer(wanted: TemplateInput, value: object) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return "has to be a whole number"
    if wanted.minimum is not None and value < wanted.minimum:
        return f"is {value}, the least is {wanted.minimum}"
    if wanted.maximum is not None and value > wanted.maximum:
        return f"is {value}, the most is {wanted.maximum}"
    return None


def _fault_of_string(wanted: TemplateInput, value: object) -> str | None:
    if not isinstance(value, str):
        return "has to be text"
    if not value:
        return "is empty"
    if value.startswith("secret:"):
        return "is no secret; a reference does not belong there"
    if not value.isprintable():
        return "contains characters that cannot be printed"
    if wanted.max_bytes is not None and len(value.encode()) > wanted.max_bytes:
        return f"is {len(value.encode())} bytes long, the most is {wanted.max_bytes}"
    return None
