"""The CPE: what it should have, its first Inform, its settings, and their proof in a later session."""

from __future__ import annotations

from acs import ApplyOutcome, DeviceDrifted, ProvisionedDevice, VerifyOutcome, require_verified
from workflows.definitions.installation.kit import Installation, step
from workflows.definitions.installation.line import hand_over_line
from workflows.definitions.installation.resources import allocate_resources, create_subscriber
from workflows.definitions.installation.ticket import (
    DeviceInformed,
)
from workflows.definitions.installation.visit import serial
from workflows.engine.routes import Elsewhere, GoBack, Hold
from workflows.engine.step_kit import wait_for
from workflows.engine.steps import NothingToUndo, RetryPolicy
from workflows.services import (
    Outside,
    Services,
)

# A CPE may be switched off or behind NAT for hours; the ACS converges at its next Inform.
CPE_PATIENCE = RetryPolicy(attempts=40, first_delay_seconds=1.0, factor=2.0, longest_delay_seconds=600.0)


# A CPE that goes on showing other values is one that lies or is changed by somebody: a person must look.
REPAIRS = 2
READ_BACK = RetryPolicy(attempts=6, first_delay_seconds=2.0, factor=3.0, longest_delay_seconds=120.0)


async def withdraw_device(services: Services, run: Installation, bound: ProvisionedDevice) -> None:
    await services.genieacs_service.withdraw_device(
        device_serial=bound["device_serial"], service_id=run[allocate_resources]["service_id"]
    )


@step.transactional(undo=withdraw_device)
async def provision_device(services: Services, run: Installation) -> ProvisionedDevice:
    allocated, subscriber = run[allocate_resources], run[create_subscriber]
    return await services.genieacs_service.provision_device(
        customer_id=run.customer_id,
        device_serial=serial(run),
        config_template=run.input.config_template,
        service_id=allocated["service_id"],
        values={
            "pppoe_username": subscriber["username"],
            "pppoe_password": subscriber["password"],
            "cpe_vlan_id": allocated["cpe_vlan_id"],
            "wifi_ssid": run.input.wifi_ssid,
        },
        access_node=allocated["access_node"],
        plan=run.input.bandwidth_plan,
        request_id=run.key(provision_device),
    )


def no_inform(run: Installation) -> Hold:
    """The CPE is not blamed for an ACS that nobody could ask."""
    serial_number, unseen = run[provision_device]["device_serial"], run.unseen(device_informed)
    if unseen is not None:
        return Hold(
            f"nobody knows whether CPE {serial_number} has informed within {run.within('inform')}: {unseen}. Retry "
            "once that is mended; an Inform of meanwhile counts"
        )
    return Hold(
        f"CPE {serial_number} has not informed within {run.within('inform')}: check its power, the fibre, the "
        "management VLAN and the ACS address it was given"
    )


device_informed = wait_for(
    "device_informed",
    signal="device_informed",
    payload=DeviceInformed,
    says="waiting for the CPE's first Inform",
    subject=lambda run: run[provision_device]["device_serial"],
    since=lambda run: run.started(hand_over_line),  # a CPE may inform the instant the OLT lets it
    deadline=lambda run: run.now + run.patience("inform"),
    patience=("inform",),
    on_deadline=no_inform,
)


async def withdraw_from_acs(outside: Outside, run: Installation, applied: ApplyOutcome | None) -> None:
    await outside.acs.release(run[provision_device]["device_serial"], service_id=run[allocate_resources]["service_id"])


@step.keyed(undo=withdraw_from_acs, retry=CPE_PATIENCE, timeout_seconds=240)
async def apply_device(outside: Outside, run: Installation) -> ApplyOutcome:
    return await outside.acs.apply(run[provision_device]["device_serial"])


def apply_again(run: Installation, reason: str) -> Elsewhere | None:
    """A CPE that lost or changed its settings gets them anew; one that goes on losing them needs a person."""
    return GoBack(apply_device, reason) if len(run.rounds["verify_device"]) <= REPAIRS else None


async def already_read_back(outside: Outside, run: Installation) -> VerifyOutcome | None:
    """What a reading that was cut off has found in this round: the CPE need not be called a second time."""
    return await outside.acs.verified(run[provision_device]["device_serial"], since=run.started(verify_device))


@step.probeable(
    probe=already_read_back,
    undo=NothingToUndo("reading back changes nothing"),
    retry=READ_BACK,
    timeout_seconds=240,
    leads={DeviceDrifted: apply_again},
    again_from=(apply_device,),
)
async def verify_device(outside: Outside, run: Installation) -> VerifyOutcome:
    return require_verified(await outside.acs.verify(run[provision_device]["device_serial"]))


CPE_STEPS = tuple(each.name for each in (device_informed, apply_device, verify_device))
"""While a run is at one of these, its CPE is its own."""
