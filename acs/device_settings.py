"""What exactly a CPE would be set to, where each part is from, and the overrides of single CPEs and plans.

Within the caller's transaction: it commits nothing and talks to no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from acs.device_records import DeviceState
from acs.errors import DeviceUnknown, OverridesRefused, TemplateInputsRefused, TemplateUnknown
from acs.ports import Now
from acs.serials import canonical_serial
from acs.tables import AcsDevice, AcsPlanOverrides
from acs.templates.delivery import ChosenRows, Delivery, Management
from acs.templates.library import TemplateLibrary
from acs.templates.overriding import Overrides, OverrideValue, faults_of, typed, without
from acs.templates.rendering import DataModel, Setting, SettingValue, Sureness, Template
from acs.templates.settings import Rendering
from acs.wishes import rendering_of, write_wish

log = structlog.get_logger(__name__)


class RenderedParameter(TypedDict):
    """One parameter of a CPE. The value of a secret is its reference.

    ``path`` leaves open what the CPE chooses; ``placed`` has the numbers its last session chose, or is None.
    ``origin``: template, default, input, plan override, device override, inform policy, or earlier (what is written
    down is not what its template says by now); ``name`` is the input's. ``sureness`` is None for an override's path.
    """

    path: str
    placed: str | None
    value: SettingValue
    once_verified: SettingValue | None
    xsd_type: str
    secret: bool
    origin: str
    name: str | None
    sureness: Sureness | None


class RowChoice(TypedDict):
    """By what a row is chosen, and which one the CPE's last session chose."""

    name: str
    chosen_by: str
    row: str | None


class RenderedDevice(TypedDict):
    """Exactly what a CPE is to be set to. ``changes``: paths that its template, plan or overrides say otherwise by now.

    ``problem`` says why its template cannot be rendered any more, if it cannot.
    """

    device_serial: str
    template: str
    data_model: DataModel
    revision: str
    state: DeviceState
    management: Management
    plan: str | None
    overrides: dict[str, OverrideValue]
    selectors: list[RowChoice]
    parameters: list[RenderedParameter]
    changes: list[str]
    problem: str | None


class TemplateEntry(TypedDict):
    """One template, with how sure its paths are, counted."""

    name: str
    title: str
    data_model: DataModel
    management: Management
    models: list[str]
    manufacturers: list[str]
    inputs: list[str]
    refuses: list[str]
    sureness: dict[str, int]
    note: str


class DeviceSettings:
    """Shows and overrides what CPEs are to have."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now, templates: TemplateLibrary) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._templates = templates

    def templates(self) -> list[TemplateEntry]:
        """All of them, by name."""
        return [_entry(self._templates.get(name)) for name in self._templates.names]

    def inputs_of(self, template: str) -> list[str]:
        """What a template may be given, by name. Raises: TemplateUnknown."""
        return _entry(self._templates.get(template))["inputs"]

    def typed_inputs(self, *, template: str, texts: Mapping[str, str]) -> dict[str, OverrideValue]:
        """Inputs of a template as somebody typed them, each as the type it is of. Raises: TemplateUnknown."""
        return {name: typed(self._templates.get(template), name, text) for name, text in texts.items()}

    def left_alone(self, *, template: str, names: Sequence[str]) -> dict[str, OverrideValue]:
        """The overrides by which a CPE keeps what it has there: inputs of the template, or its parameters by path.

        Raises: TemplateUnknown, OverridesRefused.
        """
        whole = self._templates.get(template)
        paths = {name: [each.path for each in whole.parameters if name in (each.path, each.source)] for name in names}
        faults = [f"{name} is nothing it sets, so it is left alone anyway" for name, each in paths.items() if not each]
        if faults:
            raise OverridesRefused(template, faults)
        return dict.fromkeys(path for each in paths.values() for path in each)

    async def rendered(self, *, device_serial: str) -> RenderedDevice:
        """What the CPE bound under that serial is to have. Raises: SerialMalformed, DeviceUnknown."""
        device = await self._live(device_serial)
        wish: Rendering | None = None
        problem: str | None = None
        try:
            wish = await rendering_of(self._db, device, self._templates.get(device.template), device.inputs)
        except (TemplateUnknown, TemplateInputsRefused, OverridesRefused) as error:
            problem = str(error)
        delivery = Delivery.from_json(device.delivery or {})
        written = [Setting.from_row(row) for row in device.parameters]
        return RenderedDevice(
            device_serial=device.serial,
            template=device.template,
            data_model=cast(DataModel, device.data_model),
            revision=device.revision,
            state=cast(DeviceState, device.state),
            management=delivery.management,
            plan=device.plan,
            overrides=dict(device.overrides or {}),
            selectors=[
                RowChoice(name=each.name, chosen_by=each.words, row=device.rows.get(each.name))
                for each in delivery.selectors
            ],
            parameters=[_parameter(setting, wish, delivery, device.rows) for setting in written],
            changes=_changes(written, wish),
            problem=problem,
        )

    async def override(self, *, device_serial: str, changes: Overrides, removed: Sequence[str] = ()) -> RenderedDevice:
        """Let this CPE have something otherwise than its template says, or no longer; that makes a new revision.

        Raises: SerialMalformed, DeviceUnknown, TemplateUnknown, TemplateInputsRefused, OverridesRefused (with every
            fault; nothing is changed then).
        """
        device = await self._live(device_serial, locked=True)
        template = self._templates.get(device.template)
        unknown = [f"{key} is not overridden" for key in removed if key not in (device.overrides or {})]
        if unknown:
            wrong = [f"{key} {fault}" for key, fault in faults_of(template, changes)]
            raise OverridesRefused(template.name, [*unknown, *wrong])
        before = device.overrides
        device.overrides = {**without(device.overrides or {}, removed), **changes}
        try:
            wish = await rendering_of(self._db, device, template, device.inputs)
        except (TemplateInputsRefused, OverridesRefused):
            device.overrides = before
            raise
        write_wish(device, wish, why="What it has otherwise than its template was changed.", at=self._now())
        await self._db.flush()
        log.info("overrides of a cpe changed", serial=device.serial, keys=sorted([*changes, *removed]))
        return await self.rendered(device_serial=device_serial)

    async def typed(self, *, device_serial: str, texts: Mapping[str, str]) -> dict[str, OverrideValue]:
        """Overrides as somebody typed them, each as the type it is of. Raises: as ``rendered``; TemplateUnknown."""
        device = await self._live(device_serial)
        template = self._templates.get(device.template)
        return {key: typed(template, key, text) for key, text in texts.items()}

    async def define_plan_overrides(self, *, plan: str, overrides: Overrides) -> None:
        """What CPEs of that plan have otherwise, in place of what was said before; for those bound or rendered after.

        A plan's CPEs may have any template; what a template knows nothing of is passed over at its CPEs.

        Raises: OverridesRefused, when no template takes one of them.
        """
        faults = [fault for key, value in sorted(overrides.items()) for fault in self._of_no_template(key, value)]
        if faults:
            raise OverridesRefused("of any name", faults)
        known = await self._plan(plan)
        if known is None:
            row = AcsPlanOverrides(
                tenant_id=self._tenant_id, plan=plan, overrides=dict(overrides), updated_at=self._now()
            )
            try:
                async with self._db.begin_nested():
                    self._db.add(row)
                return
            except IntegrityError:  # defined twice at the same time
                known = await self._plan(plan)
        if known is not None and known.overrides != dict(overrides):
            known.overrides, known.updated_at = dict(overrides), self._now()
        await self._db.flush()

    async def plans(self) -> dict[str, dict[str, OverrideValue]]:
        """Every plan that says something, by name."""
        found = await self._db.scalars(
            select(AcsPlanOverrides)
            .where(AcsPlanOverrides.tenant_id == self._tenant_id)
            .order_by(AcsPlanOverrides.plan)
        )
        return {each.plan: dict(each.overrides) for each in found if each.overrides}

    def _of_no_template(self, key: str, value: OverrideValue) -> list[str]:
        said = [faults_of(self._templates.get(name), {key: value}) for name in self._templates.names]
        return [] if any(not faults for faults in said) else [f"{key} {said[0][0][1]}"] if said else []

    async def _plan(self, plan: str) -> AcsPlanOverrides | None:
        found = await self._db.scalars(
            select(AcsPlanOverrides)
            .where(AcsPlanOverrides.tenant_id == self._tenant_id, AcsPlanOverrides.plan == plan)
            .with_for_update()
        )
        return found.one_or_none()

    async def _live(self, device_serial: str, *, locked: bool = False) -> AcsDevice:
        serial = canonical_serial(device_serial)
        query = select(AcsDevice).where(
            AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial == serial, AcsDevice.state != "withdrawn"
        )
        device = (await self._db.scalars(query.with_for_update() if locked else query)).one_or_none()
        if device is None:
            raise DeviceUnknown(serial)
        return device


def _parameter(
    setting: Setting, wish: Rendering | None, delivery: Delivery, rows: Mapping[str, str]
) -> RenderedParameter:
    origins = wish.origins.get(setting.path) if wish is not None and setting in wish.settings else None
    placed = _numbers(delivery, rows).placed(setting.path)
    return RenderedParameter(
        path=setting.path,
        placed=None if "{" in placed else placed,
        value=setting.value,
        once_verified=setting.settled,
        xsd_type=setting.xsd_type,
        secret=setting.secret,
        origin=origins.layer if origins is not None else "earlier",
        name=origins.name or None if origins is not None else None,
        sureness=origins.sureness if origins is not None else None,
    )


def _numbers(delivery: Delivery, rows: Mapping[str, str]) -> ChosenRows:
    numbers: dict[str, str] = {}
    for selector in delivery.selectors:
        numbers |= selector.numbers_of(rows.get(selector.name, "")) or {}
    return ChosenRows(numbers)


def _changes(written: Sequence[Setting], wish: Rendering | None) -> list[str]:
    if wish is None:
        return []
    now = {setting.path: setting for setting in wish.settings}
    before = {setting.path: setting for setting in written}
    return sorted(path for path in {*now, *before} if now.get(path) != before.get(path))


def _entry(template: Template) -> TemplateEntry:
    sureness: dict[str, int] = {}
    for parameter in template.parameters:
        sureness[parameter.sureness] = sureness.get(parameter.sureness, 0) + 1
    return TemplateEntry(
        name=template.name,
        title=template.title,
        data_model=template.data_model,
        management=template.delivery.management,
        models=list(template.delivery.models),
        manufacturers=list(template.delivery.manufacturers),
        inputs=[name for name, wanted in template.inputs.items() if wanted.type != "refused"],
        refuses=[name for name, wanted in template.inputs.items() if wanted.type == "refused"],
        sureness=sureness,
        note=template.note,
    )
