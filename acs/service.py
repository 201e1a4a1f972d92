"""What each CPE should have, by serial number, before it ever reports: the ``genieacs_service`` of the contract.

These methods write our database and nothing else. ``acs.convergence.device_convergence`` carries the wish to the CPE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import structlog
from sqlalchemy import Text, select, true
from sqlalchemy import cast as cast_sql
from sqlalchemy.ext.asyncio import AsyncSession

from acs.device_looks import DeviceLooks, wifi_ref
from acs.device_records import ProvisionedDevice, provisioned
from acs.errors import DeviceUnknown
from acs.ports import Now, Secrets
from acs.remembered_requests import RememberedRequests, digest_of
from acs.serials import canonical_serial
from acs.tables import DEFAULT_ACS, AcsDevice
from acs.templates.library import TemplateLibrary
from acs.templates.overriding import without
from acs.templates.passphrases import new_wifi_passphrase
from acs.templates.rendering import InputValue, Setting, Template, checked_inputs
from acs.wishes import plan_overrides, rendering_of, renew, was_sent, write_wish

log = structlog.get_logger(__name__)


class GenieAcsService(DeviceLooks):
    """Desired state of CPEs, within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Now,
        templates: TemplateLibrary,
        secrets: Secrets,
        acs_by_node: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(db, tenant_id=tenant_id, now=now)
        self._templates = templates
        self._secrets = secrets
        self._acs_by_node = acs_by_node or {}
        self._requests = RememberedRequests(db, tenant_id=tenant_id, now=now)

    async def provision_device(
        self,
        *,
        customer_id: int,
        device_serial: str,
        config_template: str,
        service_id: int | None = None,
        values: Mapping[str, str | int | None] | None = None,
        access_node: str | None = None,
        plan: str | None = None,
        request_id: str | None = None,
    ) -> ProvisionedDevice:
        """Bind a CPE to a service and write down what it is to have. The CPE need not have reported yet.

        For a serial bound to the same service already the wish is replaced. ``values`` are the template's inputs;
        passwords come as references. What the ``plan`` and this CPE have otherwise than the template says counts; both
        stay when the wish is replaced and no plan is named. A WiFi passphrase the template wants and nobody gave is
        generated and sealed under ``secret:device/<serial>/wifi``. The ACS that a new binding is for is that of its
        ``access_node``; one that is bound already stays with its own. With a ``request_id`` the same request made
        again gives the same answer (and binds the serial anew, should it have been withdrawn meanwhile).

        Raises: SerialMalformed, TemplateUnknown, TemplateInputsRefused, OverridesRefused, SerialBoundElsewhere,
            RequestConflict.
        """
        serial = canonical_serial(device_serial)
        template = self._templates.get(config_template)
        given = {name: value for name, value in (values or {}).items() if value is not None}
        digest = digest_of(customer_id, serial, config_template, service_id, given, plan)
        answered = await self._requests.answered(request_id, digest)
        if answered is not None:
            return answered

        inputs = _complete(template, serial, given)
        acs_name = self._acs_by_node.get(access_node or "", DEFAULT_ACS)
        device = await self._bindings.bind(
            serial, spelt=device_serial.strip(), customer_id=customer_id, service_id=service_id, acs_name=acs_name
        )
        await self._seal_generated_wifi(serial, inputs, known=[*device.inputs.values(), *given.values()])
        if device.template != template.name:
            device.send_until = None  # what a campaign keeps back is its template, and this is another
        device.template, device.data_model, device.inputs = template.name, template.data_model, inputs
        device.plan = plan if plan is not None else device.plan
        await self._write_wish(device, template, inputs, "Its settings were written down.")
        await self._db.flush()
        log.info(
            "device bound",
            serial=serial,
            customer_id=customer_id,
            service_id=service_id,
            template=template.name,
            revision=device.revision,
        )
        answer = provisioned(device)
        return answer if request_id is None else await self._requests.remember(request_id, digest, device, answer)

    async def render_again(self, *, device_serial: str, config_template: str | None = None) -> ProvisionedDevice:
        """Write down what a bound CPE is to have by its template as it is now, or by another; its inputs stay.

        An input that the other template doesn't know is a fault: nothing a customer has gets lost on the way. When
        nothing changes by it, the CPE is left alone.

        Raises: SerialMalformed, DeviceUnknown, TemplateUnknown, TemplateInputsRefused, OverridesRefused.
        """
        serial = canonical_serial(device_serial)
        device = await self._bindings.live(serial)
        if device is None:
            raise DeviceUnknown(serial)
        template = self._templates.get(config_template or device.template)
        inputs = _complete(template, serial, device.inputs)
        wish = await rendering_of(self._db, device, template, inputs)
        await self._seal_generated_wifi(serial, inputs, known=device.inputs.values())
        device.template, device.data_model, device.inputs = template.name, template.data_model, inputs
        write_wish(device, wish, why="Its template was changed.", at=self._now())
        await self._db.flush()
        return provisioned(device)

    async def withdraw_device(self, *, device_serial: str, service_id: int | None = None) -> ProvisionedDevice | None:
        """Unbind a CPE: nothing will be sent to it any more, and a passphrase we generated for it is forgotten.

        With ``service_id`` only that service's binding is withdrawn, so that an undo cannot take the CPE from whoever
        has it by now. Safe to repeat; None when there was no such binding.

        Raises: SerialMalformed.
        """
        serial = canonical_serial(device_serial)
        device = await self._bindings.live(serial)
        if device is None or (service_id is not None and device.service_id != service_id):
            past = await self._bindings.latest_withdrawn(serial, service_id)
            return None if past is None else provisioned(past)
        device.state = "withdrawn"
        device.reason = "Withdrawn from its service."
        device.details = []
        device.withdrawn_at = device.updated_at = self._now()
        device.cleared_at = None if was_sent(device) else device.withdrawn_at  # never sent: nothing is at the ACS
        if wifi_ref(serial) in device.inputs.values():
            await self._secrets.discard(self._db, wifi_ref(serial))
        await self._db.flush()  # the serial is free for a new binding within this transaction
        log.info("device withdrawn", serial=serial, customer_id=device.customer_id, service_id=device.service_id)
        return provisioned(device)

    async def secret_changed(self, *, ref: str, service_id: int | None = None) -> list[ProvisionedDevice]:
        """Another secret stands under ``ref`` now: every CPE that has it gets a new revision, to be applied.

        ``service_id``: only CPEs of that service can have it.
        """
        of_service = true() if service_id is None else AcsDevice.service_id == service_id
        live = await self._db.scalars(
            select(AcsDevice)
            .where(
                AcsDevice.tenant_id == self._tenant_id,
                AcsDevice.state != "withdrawn",
                of_service,
                cast_sql(AcsDevice.parameters, Text).contains(ref, autoescape=True),
            )
            .order_by(AcsDevice.id)
            .with_for_update()
        )
        changed = [device for device in live if any(ref == value for _, value, *_ in device.parameters)]
        for device in changed:
            device.secret_version += 1
            self._renew(device, [Setting.from_row(row) for row in device.parameters], "A secret of it was changed.")
        await self._db.flush()
        return [provisioned(device) for device in changed]

    async def take_over_overrides(self, *, former_serial: str, device_serial: str) -> None:
        """Let a CPE have what the one before it, withdrawn by now, had otherwise than the template that both have.

        A row that an operator named was the former CPE's, and stays behind.

        Raises: SerialMalformed, DeviceUnknown, TemplateUnknown, TemplateInputsRefused, OverridesRefused.
        """
        device = await self._bindings.live(canonical_serial(device_serial))
        former = await self._bindings.latest_withdrawn(canonical_serial(former_serial), None)
        if device is None:
            raise DeviceUnknown(device_serial)
        if former is None or not former.overrides:
            return
        template = self._templates.get(device.template)
        rows = [selector.name for selector in template.delivery.selectors]
        device.overrides = {**without(former.overrides, rows), **device.overrides}
        await self._write_wish(device, template, device.inputs, "Its settings were taken over.")
        await self._db.flush()

    async def plan_changed(self, *, service_id: int, plan: str) -> list[ProvisionedDevice]:
        """A service has another plan now: those of its CPEs that have something otherwise by it, to be applied.

        Raises: TemplateUnknown, TemplateInputsRefused, OverridesRefused.
        """
        bound = await self._db.scalars(
            select(AcsDevice)
            .where(
                AcsDevice.tenant_id == self._tenant_id,
                AcsDevice.service_id == service_id,
                AcsDevice.state != "withdrawn",
                AcsDevice.plan.is_distinct_from(plan),
            )
            .order_by(AcsDevice.id)
            .with_for_update()
        )
        changed: list[AcsDevice] = []
        said = await plan_overrides(self._db, tenant_id=self._tenant_id, plan=plan)
        for device in bound:
            former = await plan_overrides(self._db, tenant_id=self._tenant_id, plan=device.plan)
            revision, device.plan = device.revision, plan
            if said != former:
                template = self._templates.get(device.template)
                await self._write_wish(device, template, device.inputs, "Its plan was changed.")
            changed += [device] if device.revision != revision else []
        await self._db.flush()
        return [provisioned(device) for device in changed]

    async def _seal_generated_wifi(
        self, serial: str, inputs: Mapping[str, InputValue], *, known: Iterable[InputValue]
    ) -> None:
        """Make the passphrase that the inputs refer to, unless it was there before."""
        if wifi_ref(serial) in inputs.values() and wifi_ref(serial) not in known:
            await self._secrets.seal(self._db, wifi_ref(serial), new_wifi_passphrase())

    async def _write_wish(
        self, device: AcsDevice, template: Template, inputs: Mapping[str, InputValue], why: str
    ) -> None:
        """Raises: TemplateInputsRefused, OverridesRefused."""
        write_wish(device, await rendering_of(self._db, device, template, inputs), why=why, at=self._now())

    def _renew(self, device: AcsDevice, settings: Sequence[Setting], why: str) -> None:
        """Set what the device is to have; when that is something new, its way begins again."""
        renew(device, settings, why=why, at=self._now())


def _complete(template: Template, serial: str, given: Mapping[str, InputValue]) -> dict[str, str | int]:
    """The inputs, and a place for the passphrase where the template wants one and none was given.

    Defaults are left to the template: what it says of them later is so for this CPE as well.

    Raises: TemplateInputsRefused.
    """
    generated = {wanted.name: wifi_ref(serial) for wanted in template.inputs.values() if wanted.generate is not None}
    inputs = {**generated, **given}
    return {name: value for name, value in checked_inputs(template, inputs).items() if name in inputs}
