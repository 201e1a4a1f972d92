"""CPEs through GenieACS: what each should have, and the honest way there.

* ``GenieAcsService`` writes down what a CPE should have, by serial number, before it ever reports (``acs_device``).
* ``DeviceConvergence`` finds the CPE at the ACS, gives it its settings in one session, all or none, and reads them back
  in a later one. It believes only proof: a tag our script sets after the CPE has taken the values, and readings newer
  than the write. What reads back blank (passwords) is ``accepted_unverifiable``.
* ``DeviceSettings`` shows what exactly a CPE is set to, and lets single CPEs and plans have something otherwise.
* ``FleetConvergence`` does that for thousands at a time; ``Sweep`` looks at all CPEs of an ACS for news, and
  ``FleetTender`` is what goes on by itself: first Informs, factory resets, drift, with a limit to repairs.
* ``CampaignService`` and ``CampaignTurns`` bring a change to a group of CPEs, a few first, until too many fail.
* ``ConvergenceBySite`` is the same where several GenieACS serve the CPEs, each bound to one of them.
* ``PresetInstaller`` keeps the handful of presets and scripts at an ACS that are ours as they should be.
* ``NbiClient`` speaks the northbound interface of GenieACS: outcomes instead of booleans, every request checked before
  it is sent, because one bad request costs GenieACS a worker.
* ``TemplateLibrary`` holds the CPE templates, ``provisions/firstlight_apply.js`` the script that runs at the ACS.
* ``DeviceOperations`` and ``CustomerWishes`` write down what is to be done to a CPE once (reboot, firmware, a ping,
  another WiFi name, a swap), ``OperationCarrier`` does it and calls it done by its effect.
* ``FirstSessions`` answers an ACS that asks in a CPE's very first session, for a CPE that has proven who it is.
* ``DeviceSearch`` finds CPEs by the beginning of a serial number in any of its spellings.
* The functions named ``serials_bound_twice`` and the like are the invariants of ``firstlight check``.

To add a CPE template, put one TOML file into ``acs/cpe_templates/`` (or a folder given to ``TemplateLibrary.load``);
``docs/cpe-templates.md`` shows a whole one:

1. Copy the one that is nearest. The file's name is the template's name; ``models`` and ``manufacturers`` say for which
   CPEs it is.
2. ``data_model`` is TR-181 (paths begin with ``Device.``) or TR-098 (``InternetGatewayDevice.``).
3. ``[instances]`` name the table rows the service lives in, by number or by what the CPE reports of them (``row``,
   ``where``, and ``has`` or ``is``); paths use them as ``{wan}``. ``[[management_signs]]`` say by what such a row shows
   that it carries the connection to the ACS.
4. ``[inputs.<name>]`` are what a ticket gives: ``string`` (``max_bytes``), ``integer`` (``minimum``, ``maximum``) or
   ``secret`` (a reference), each with ``default`` or ``optional`` where it need not be given; ``refused`` (``reason``)
   for what such a CPE cannot be given. Of an optional input without a value the parameters are left out.
5. ``[[parameters]]`` have a ``path``, an ``xsd`` type and either ``from`` (an input) or ``value`` (a constant);
   ``secret = true`` for what must not be shown and reads back blank; ``when`` (an input) for a constant that belongs to
   an optional input; ``restarts_wan`` where a change restarts the WAN; ``sureness`` and ``source`` of the path.
6. One row in the table of ``docs/cpe-templates.md``; a CPE of it in ``acs/testing/cpe_models.py``, and one line in
   ``tests/acs/convergence/test_rows.py``.

Everything is checked when Firstlight starts, and all faults are named at once.
``tests/acs/templates/test_rendering.py`` checks every template that comes with Firstlight.
"""

from acs.campaigns.changes import Desks
from acs.campaigns.errors import (
    CampaignError,
    CampaignNameTaken,
    CampaignNotThere,
    CampaignRefused,
    CampaignUnknown,
)
from acs.campaigns.invariants import campaigns_called_complete_too_early
from acs.campaigns.pace import Pace
from acs.campaigns.pacing import MemberState
from acs.campaigns.records import CampaignRecord, CampaignState, MemberRecord, StoppedCampaign
from acs.campaigns.service import CampaignService, stopped_campaigns
from acs.campaigns.targets import Group
from acs.campaigns.turning import CampaignTurns
from acs.commands import command_about
from acs.convergence.applying import ApplyOutcome
from acs.convergence.device_convergence import DeviceConvergence, WithdrawOutcome
from acs.convergence.resetting import ResetOutcome, ResetRequest
from acs.convergence.seen_devices import SeenDevice
from acs.convergence.sessions import Patience
from acs.convergence.slowing import SLOWING_KEY
from acs.convergence.verifying import Drift, VerifyOutcome, require_verified
from acs.device_looks import wifi_ref
from acs.device_records import DeviceRecord, DeviceState, ProvisionedDevice
from acs.device_search import DeviceSearch, UnboundSerial, beginnings_of_serial
from acs.device_settings import DeviceSettings, RenderedDevice, RenderedParameter, TemplateEntry
from acs.doctor import AcsDoor, AcsExamination, AcsTrap, examine_acs, own_addresses
from acs.doctor_of_records import examine_acs_records
from acs.errors import (
    AcsError,
    AcsUnknown,
    AwaitingFirstInform,
    CodesRotatedLately,
    DesiredStateChanged,
    DeviceDrifted,
    DeviceError,
    DeviceUnknown,
    DeviceUnreachable,
    FirstSessionRefused,
    FirstSessionsOff,
    NothingToRollBack,
    NotYet,
    OverridesRefused,
    PresetInstallUnderWay,
    PresetInstallUnfinished,
    PresetsNotTaken,
    PresetsPoisoned,
    Refusal,
    RequestConflict,
    SerialAmbiguous,
    SerialBoundElsewhere,
    SerialMalformed,
    SettingsFailed,
    SettingsRefused,
    SettingsUnsendable,
    TemplateInputsRefused,
    TemplatesInvalid,
    TemplateUnknown,
    WrongDataModel,
    WrongModel,
)
from acs.estate import AcsFleet, ConvergenceBySite
from acs.first_sessions import Asking, FirstSessions, HandedOut
from acs.fleet.converging import FleetConvergence, FleetProgress
from acs.fleet.judged_page import SweepOutcome
from acs.fleet.overview import CauseCount, FleetOverview, FleetTrouble, StateCount
from acs.fleet.overview import overview as fleet_overview
from acs.fleet.overview import trouble as fleet_trouble
from acs.fleet.repairing import RepairLimit
from acs.fleet.rereading import Rereading
from acs.fleet.resuming import resume_devices
from acs.fleet.seen_rows import UnboundDevice
from acs.fleet.seen_rows import unbound as unbound_devices
from acs.fleet.sweeping import InHand, Sweep
from acs.fleet.tending import FleetTender
from acs.invariants import (
    Finding,
    claims_without_proof,
    devices_of_ended_services,
    handed_over_and_not_at_rest,
    left_standing_for_long,
    revisions_that_do_not_fit,
    secrets_in_clear,
    serials_bound_twice,
    traces_left_at_the_acs,
    unreached_without_a_cause,
)
from acs.nbi.client import Found, NbiClient
from acs.nbi.errors import (
    NbiDeviceInSession,
    NbiError,
    NbiGarbled,
    NbiLeftInPeace,
    NbiPoisoned,
    NbiRejected,
    NbiRequestInvalid,
    NbiTimedOut,
    NbiUnreachable,
)
from acs.nbi.outcomes import (
    CallOutcome,
    Done,
    Fault,
    Faulted,
    NotReached,
    Operation,
    Queued,
    Rejected,
    StoredFile,
    Task,
    TaskOutcome,
    Unknown,
    Why,
    WriteOutcome,
    require_done,
)
from acs.nbi.preset import Condition, Preset
from acs.operations.carrier import OperationCarrier
from acs.operations.customer_wishes import CustomerWishes
from acs.operations.errors import (
    OperationError,
    OperationOver,
    OperationRefused,
    OperationUnderWay,
    OperationUnknown,
    ParameterOwned,
)
from acs.operations.invariants import operations_nobody_ends, operations_with_secrets
from acs.operations.moving import DeviceMoving
from acs.operations.readings import DeviceReading, DeviceReadings, LateCpe, LateCpes, Reading
from acs.operations.records import OperationKind, OperationRecord, OperationState
from acs.operations.service import DeviceOperations
from acs.operations.tables import AcsOperation
from acs.ports import Begin, Now, Secrets, Sleep
from acs.presets.baseline import Baseline, baseline
from acs.presets.differences import Change, Differences
from acs.presets.installing import InstallOutcome, PresetInstaller
from acs.presets.tables import AcsPresetInstall
from acs.provisioning_codes import (
    FIRST_SESSION_KEY,
    CodeKeyRecord,
    CodeKeys,
    ProvisioningCodes,
    provisioning_code,
)
from acs.refused_first_sessions import RefusedFirstSession, RefusedFirstSessions
from acs.serials import canonical_serial, is_serial, pon_serial, same_serial
from acs.service import GenieAcsService
from acs.tables import DEFAULT_ACS, AcsBase, AcsDevice, AcsRequest
from acs.templates.library import TemplateLibrary
from acs.templates.rendering import DataModel, Setting, Template, TemplateInput, checked_inputs
from acs.templates.settings import render

__all__ = [
    "DEFAULT_ACS",
    "FIRST_SESSION_KEY",
    "SLOWING_KEY",
    "AcsBase",
    "AcsDevice",
    "AcsDoor",
    "AcsError",
    "AcsExamination",
    "AcsFleet",
    "AcsOperation",
    "AcsPresetInstall",
    "AcsRequest",
    "AcsTrap",
    "AcsUnknown",
    "ApplyOutcome",
    "Asking",
    "AwaitingFirstInform",
    "Baseline",
    "Begin",
    "CallOutcome",
    "CampaignError",
    "CampaignNameTaken",
    "CampaignNotThere",
    "CampaignRecord",
    "CampaignRefused",
    "CampaignService",
    "CampaignState",
    "CampaignTurns",
    "CampaignUnknown",
    "CauseCount",
    "Change",
    "CodeKeyRecord",
    "CodeKeys",
    "CodesRotatedLately",
    "Condition",
    "ConvergenceBySite",
    "CustomerWishes",
    "DataModel",
    "DesiredStateChanged",
    "Desks",
    "DeviceConvergence",
    "DeviceDrifted",
    "DeviceError",
    "DeviceMoving",
    "DeviceOperations",
    "DeviceReading",
    "DeviceReadings",
    "DeviceRecord",
    "DeviceSearch",
    "DeviceSettings",
    "DeviceState",
    "DeviceUnknown",
    "DeviceUnreachable",
    "Differences",
    "Done",
    "Drift",
    "Fault",
    "Faulted",
    "Finding",
    "FirstSessionRefused",
    "FirstSessions",
    "FirstSessionsOff",
    "FleetConvergence",
    "FleetOverview",
    "FleetProgress",
    "FleetTender",
    "FleetTrouble",
    "Found",
    "GenieAcsService",
    "Group",
    "HandedOut",
    "InHand",
    "InstallOutcome",
    "LateCpe",
    "LateCpes",
    "MemberRecord",
    "MemberState",
    "NbiClient",
    "NbiDeviceInSession",
    "NbiError",
    "NbiGarbled",
    "NbiLeftInPeace",
    "NbiPoisoned",
    "NbiRejected",
    "NbiRequestInvalid",
    "NbiTimedOut",
    "NbiUnreachable",
    "NotReached",
    "NotYet",
    "NothingToRollBack",
    "Now",
    "Operation",
    "OperationCarrier",
    "OperationError",
    "OperationKind",
    "OperationOver",
    "OperationRecord",
    "OperationRefused",
    "OperationState",
    "OperationUnderWay",
    "OperationUnknown",
    "OverridesRefused",
    "Pace",
    "ParameterOwned",
    "Patience",
    "Preset",
    "PresetInstallUnderWay",
    "PresetInstallUnfinished",
    "PresetInstaller",
    "PresetsNotTaken",
    "PresetsPoisoned",
    "ProvisionedDevice",
    "ProvisioningCodes",
    "Queued",
    "Reading",
    "Refusal",
    "RefusedFirstSession",
    "RefusedFirstSessions",
    "Rejected",
    "RenderedDevice",
    "RenderedParameter",
    "RepairLimit",
    "RequestConflict",
    "Rereading",
    "ResetOutcome",
    "ResetRequest",
    "Secrets",
    "SeenDevice",
    "SerialAmbiguous",
    "SerialBoundElsewhere",
    "SerialMalformed",
    "Setting",
    "SettingsFailed",
    "SettingsRefused",
    "SettingsUnsendable",
    "Sleep",
    "StateCount",
    "StoppedCampaign",
    "StoredFile",
    "Sweep",
    "SweepOutcome",
    "Task",
    "TaskOutcome",
    "Template",
    "TemplateEntry",
    "TemplateInput",
    "TemplateInputsRefused",
    "TemplateLibrary",
    "TemplateUnknown",
    "TemplatesInvalid",
    "UnboundDevice",
    "UnboundSerial",
    "Unknown",
    "VerifyOutcome",
    "Why",
    "WithdrawOutcome",
    "WriteOutcome",
    "WrongDataModel",
    "WrongModel",
    "baseline",
    "beginnings_of_serial",
    "campaigns_called_complete_too_early",
    "canonical_serial",
    "checked_inputs",
    "claims_without_proof",
    "command_about",
    "devices_of_ended_services",
    "examine_acs",
    "examine_acs_records",
    "fleet_overview",
    "fleet_trouble",
    "handed_over_and_not_at_rest",
    "is_serial",
    "left_standing_for_long",
    "operations_nobody_ends",
    "operations_with_secrets",
    "own_addresses",
    "pon_serial",
    "provisioning_code",
    "render",
    "require_done",
    "require_verified",
    "resume_devices",
    "revisions_that_do_not_fit",
    "same_serial",
    "secrets_in_clear",
    "serials_bound_twice",
    "stopped_campaigns",
    "traces_left_at_the_acs",
    "unbound_devices",
    "unreached_without_a_cause",
    "wifi_ref",
]
