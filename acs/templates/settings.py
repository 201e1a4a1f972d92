"""From a template, a ticket's inputs and the overrides to the settings of one CPE, each with where it is from.

A pure function: the same in gives the same out, on any machine and in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from acs.templates.delivery import PLACEHOLDER, ChosenRows, Delivery, Management, Sign
from acs.templates.overriding import (
    INFORM_KEYS,
    MANAGEMENT_KEY,
    MODELS_KEY,
    Merged,
    Origin,
    Overrides,
    merged,
    xsd_type_of,
)
from acs.templates.rendering import (
    ROOTS,
    SECRET_REF,
    InputValue,
    Setting,
    SettingValue,
    Sureness,
    Template,
    TemplateParameter,
    checked_inputs,
)


@dataclass(frozen=True, slots=True)
class Origins:
    """Where a setting is from: which layer, which input of it, and how sure its path is."""

    layer: Origin
    name: str = ""
    sureness: Sureness | None = None
    """None for a path that an override brought."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What one CPE is to have, how it is delivered, and where each part is from."""

    settings: tuple[Setting, ...]
    origins: Mapping[str, Origins]
    """By path."""
    delivery: Delivery


def render(template: Template, values: Mapping[str, InputValue]) -> list[Setting]:
    """What a CPE with this template and these inputs is to have. Secrets are references.

    Raises: TemplateInputsRefused.
    """
    return list(rendering(template, values).settings)


def rendering(
    template: Template,
    values: Mapping[str, InputValue],
    *,
    serial: str = "",
    plan: Overrides | None = None,
    device: Overrides | None = None,
) -> Rendering:
    """What the CPE with that serial is to have, overrides included.

    Raises: TemplateInputsRefused, OverridesRefused.
    """
    overrides = merged(template, plan=plan or {}, device=device or {})
    return _Rendering(template, values, overrides, serial).whole()


class _Rendering:
    """One rendering on its way."""

    def __init__(self, template: Template, values: Mapping[str, InputValue], overrides: Merged, serial: str) -> None:
        self.template = template
        self.overrides = overrides
        self.serial = serial
        layered = dict(values)
        for name in template.inputs:
            override = overrides.of(name)
            if override is not None:
                layered[name] = override[0]
        self.given = checked_inputs(template, layered)
        self.values = values
        fixed: dict[str, str] = {}
        for selector in template.delivery.selectors:
            row = overrides.of(selector.name)
            fixed |= (selector.numbers_of(str(row[0])) or {}) if row is not None else {}
        self.fixed = ChosenRows(fixed)
        self.settings: dict[str, tuple[Setting, Origins]] = {}

    def whole(self) -> Rendering:
        for parameter in self.template.parameters:
            self._add(parameter)
        self._add_informs()
        self._add_others()
        settings = tuple(setting for setting, _ in self.settings.values())
        origins = {path: origins for path, (_, origins) in self.settings.items()}
        return Rendering(settings, origins, self._delivery())

    def _add(self, parameter: TemplateParameter) -> None:
        path = self.fixed.placed(parameter.path)
        override = self.overrides.of(path, parameter.path)
        if override is not None:
            value, layer = override
            if value is None:
                return
            origins = Origins(layer, sureness=parameter.sureness)
        elif parameter.when is not None and parameter.when not in self.given:
            return
        elif parameter.source is not None:
            value, origins = self.given.get(parameter.source), self._origins_of(parameter)
        else:
            value, origins = parameter.constant, Origins("template", sureness=parameter.sureness)
        if value is None:
            return
        if parameter.xsd_type == "xsd:string":
            value = str(value)  # some CPEs keep a VLAN as text
        self.settings[path] = (Setting(path, value, parameter.xsd_type, parameter.secret), origins)

    def _origins_of(self, parameter: TemplateParameter) -> Origins:
        name = str(parameter.source)
        override = self.overrides.of(name)
        if override is not None:
            return Origins(override[1], name, parameter.sureness)
        layer: Origin = "default" if self.values.get(name) is None else "input"
        return Origins(layer, name, parameter.sureness)

    def _add_informs(self) -> None:
        policy = self.template.inform
        if policy is None:
            return
        until, verified = (self.overrides.of(key) for key in INFORM_KEYS)
        layer = (verified or until or (None, "inform policy"))[1]
        if until is not None:
            policy = replace(policy, until_verified_seconds=int(until[0] or 0))
        if verified is not None:
            policy = replace(policy, verified_seconds=int(verified[0] or 0), jitter_percent=0)
        server = f"{ROOTS[self.template.data_model]}.ManagementServer"
        enable, interval = f"{server}.PeriodicInformEnable", f"{server}.PeriodicInformInterval"
        settled = policy.settled_seconds(self.serial)
        for setting in (
            Setting(enable, True, "xsd:boolean", False),
            Setting(interval, policy.until_verified_seconds, "xsd:unsignedInt", False, settled),
        ):
            self.settings[setting.path] = (setting, Origins(layer, sureness="standard"))

    def _add_others(self) -> None:
        """Parameters that an override names and the template does not."""
        known = {parameter.path for parameter in self.template.parameters}
        root = ROOTS[self.template.data_model]
        for key, (value, layer) in self.overrides.values.items():
            path = self.fixed.placed(key)
            if not key.startswith(f"{root}.") or value is None or {key, path} & {*known, *self._placed_paths()}:
                continue
            is_secret = isinstance(value, str) and SECRET_REF.fullmatch(value) is not None
            self.settings[path] = (Setting(path, value, xsd_type_of(value), is_secret), Origins(layer))

    def _placed_paths(self) -> set[str]:
        return {self.fixed.placed(parameter.path) for parameter in self.template.parameters}

    def _delivery(self) -> Delivery:
        delivery = self.template.delivery
        management = self.overrides.of(MANAGEMENT_KEY)
        models = self.overrides.of(MODELS_KEY)
        if models is not None:
            delivery = replace(delivery, models=(*delivery.models, str(models[0])), manufacturers=())
        # A row that nothing is set in need not be there: a line that comes untagged has none for its VLAN.
        wanted = set(PLACEHOLDER.findall(" ".join(self.settings)))
        selectors = [each for each in delivery.selectors if wanted.intersection(each.placeholders)]
        numbers = {name for selector in selectors for name in selector.placeholders}
        signs = [
            Sign(self.fixed.placed(sign.path), sign.test, tuple(map(self.fixed.placed, sign.values)))
            for sign in delivery.signs
        ]
        return replace(
            delivery,
            selectors=tuple(selectors),
            management=_management(management[0]) if management is not None else delivery.management,
            signs=tuple(sign for sign in signs if set(PLACEHOLDER.findall(" ".join(sign.paths))) <= numbers),
            restarting=tuple(path for path in map(self.fixed.placed, delivery.restarting) if path in self.settings),
        )


def _management(value: SettingValue | None) -> Management:
    return "same_wan" if value == "same_wan" else "separate_wan"
