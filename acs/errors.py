"""Everything that can go wrong in ``acs``, in one tree.

::

    AcsError
    ├── TemplatesInvalid         a CPE template file is wrong; all faults of all files at once
    ├── TemplateUnknown          no template of that name
    ├── TemplateInputsRefused    inputs missing, unknown or ill-typed; all named at once
    ├── OverridesRefused         overrides that do not fit the template; all named at once
    ├── SerialMalformed          no CPE has such a serial number
    ├── SerialBoundElsewhere     the serial already serves somebody else
    ├── RequestConflict          a request id came again with other input
    ├── DeviceUnknown            nothing is bound to that serial
    ├── AcsUnknown               no ACS of that name is configured
    ├── PresetsPoisoned          presets of others stop all CPE sessions of the ACS
    ├── PresetsNotTaken          the ACS did not keep a preset or script as it was sent
    ├── PresetInstallUnderWay    an install at that ACS is under way
    ├── PresetInstallUnfinished  the ACS went away in the middle of an install
    ├── NothingToRollBack        no install at that ACS could be taken back
    ├── FirstSessionRefused      nothing is handed out to whoever asks in a CPE's first session
    ├── FirstSessionsOff         no ACS of that name is to ask in first sessions
    ├── CodesRotatedLately       codes of the key before are good still, and would be no more
    ├── DeviceError              the CPE, as the ACS sees it
    │   ├── SerialAmbiguous      several CPEs at the ACS carry that serial
    │   ├── WrongDataModel       the template is for the other TR-069 data model
    │   ├── WrongModel           the template is for another maker's CPEs, or another model of them
    │   ├── SettingsRefused      the CPE (or the apply script) refused; by parameter
    │   │   └── SettingsUnsendable   the ACS itself does not take them
    │   ├── SettingsFailed       the CPE or its session failed; another attempt may do     (transient)
    │   ├── DeviceDrifted        the CPE does not have what was applied                   (transient)
    │   ├── DesiredStateChanged  the wish changed while it was being carried out          (transient)
    │   └── NotYet               waiting; the reason says for what                        (transient)
    │       ├── AwaitingFirstInform
    │       └── DeviceUnreachable
    ├── CampaignError            a campaign can't do that; this branch stands in ``acs.campaigns.errors``
    ├── OperationError           an operation on a CPE; this branch stands in ``acs.operations.errors``
    └── NbiError                 the ACS itself; this branch stands in ``acs.nbi.errors``
        ├── NbiRequestInvalid    refused on our side before it was sent
        ├── NbiRejected          GenieACS (or a proxy before it) refused the request
        ├── NbiPoisoned          the request costs the ACS its workers; not sent again
        ├── NbiUnreachable       nobody answers at that address                           (transient)
        │   └── NbiLeftInPeace   it was in trouble a moment ago and is not asked before a pause is over
        ├── NbiTimedOut          no answer in time; for a write its outcome is unknown    (transient)
        ├── NbiGarbled           an answer that is not a GenieACS answer, or a part of one (transient)
        └── NbiDeviceInSession   the ACS is busy with this very device                    (transient)

``transient`` says whether the same call may succeed later without anybody changing anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, TypedDict

from acs.commands import WHY, command_about


class Refusal(TypedDict):
    """One parameter that was not taken: its path, the fault code (``9007``, ``missing``, ...) and what that means."""

    path: str
    code: str
    meaning: str


class AcsError(Exception):
    """The ACS side of the work failed."""

    code: ClassVar[str] = "acs.error"
    transient: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class TemplatesInvalid(AcsError):
    """A CPE template cannot be used."""

    code = "acs.templates_invalid"

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{len(self.faults)} fault(s) in the CPE templates: " + "; ".join(self.faults))


class TemplateUnknown(AcsError):
    """There is no CPE template of that name."""

    code = "acs.template_unknown"

    def __init__(self, template: str, known: Iterable[str]) -> None:
        self.template = template
        self.known = tuple(sorted(known))
        super().__init__(f"There is no CPE template {template!r}; known are: {', '.join(self.known) or 'none'}.")


class TemplateInputsRefused(AcsError):
    """The inputs do not fit the CPE template."""

    code = "acs.template_inputs_refused"

    def __init__(self, template: str, faults: Sequence[str]) -> None:
        self.template = template
        self.faults = tuple(faults)
        super().__init__(f"The inputs do not fit CPE template {template}: " + "; ".join(self.faults) + ".")


class OverridesRefused(AcsError):
    """The overrides do not fit the CPE template."""

    code = "acs.overrides_refused"

    def __init__(self, template: str, faults: Sequence[str]) -> None:
        self.template = template
        self.faults = tuple(faults)
        super().__init__(f"The overrides do not fit CPE template {template}: " + "; ".join(self.faults) + ".")


class SerialMalformed(AcsError):
    """That is no serial number of a CPE."""

    code = "acs.serial_malformed"

    def __init__(self, serial: str) -> None:
        self.serial = serial
        super().__init__(
            f"{serial[:80]!r} is no serial number of a CPE: 1 to 64 of A-Z a-z 0-9 . _ ~ % - are allowed."
            " Read it again from the label."
        )


class SerialBoundElsewhere(AcsError):
    """The serial number is bound to another service."""

    code = "acs.serial_bound_elsewhere"

    def __init__(self, serial: str, *, customer_id: int, bound_service_id: int | None, bound_customer_id: int) -> None:
        self.serial = serial
        self.customer_id = customer_id
        self.bound_service_id = bound_service_id
        self.bound_customer_id = bound_customer_id
        service = f"service {bound_service_id}" if bound_service_id is not None else "a service without a number"
        super().__init__(
            f"CPE {serial} cannot be given to customer {customer_id}: it is bound to {service} of customer"
            f" {bound_customer_id}. Withdraw it there first, or scan the right CPE."
        )


class RequestConflict(AcsError):
    """The same request id came with other input."""

    code = "acs.request_conflict"

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(f"Request {request_id!r} was made before with other input; nothing was changed.")


class DeviceUnknown(AcsError):
    """No CPE with that serial number is bound to a service."""

    code = "acs.device_unknown"

    def __init__(self, serial: str) -> None:
        self.serial = serial
        super().__init__(f"CPE {serial} is not bound to any service.")


class AcsUnknown(AcsError):
    """There is no ACS of that name."""

    code = "acs.acs_unknown"

    def __init__(self, acs_name: str, known: Iterable[str]) -> None:
        self.acs_name = acs_name
        self.known = tuple(sorted(known))
        super().__init__(
            f"There is no ACS {acs_name!r}; known are: {', '.join(self.known) or 'none'}."
            " CPEs bound to it stay bound to it until it is named in the settings again."
        )


class PresetsPoisoned(AcsError):
    """Presets at the ACS stop all CPE sessions."""

    code = "acs.presets_poisoned"

    def __init__(self, acs_name: str, faults: Mapping[str, Sequence[str]]) -> None:
        self.acs_name = acs_name
        self.names = tuple(sorted(faults))
        found = "; ".join(f"{name}: {', '.join(faults[name])}" for name in self.names)
        super().__init__(
            f"Presets at ACS {acs_name} stop the sessions of all CPEs ({found}). They are not ours, so nothing was"
            " changed: delete or mend them in GenieACS."
        )


class PresetsNotTaken(AcsError):
    """The ACS did not keep what it was sent."""

    code = "acs.presets_not_taken"

    def __init__(self, acs_name: str, name: str, why: str) -> None:
        self.acs_name = acs_name
        self.name = name
        super().__init__(f"ACS {acs_name} did not take {name}: {why}. Everything was put back as it was.")


class PresetInstallUnderWay(AcsError):
    """An install at that ACS is under way."""

    code = "acs.preset_install_under_way"

    def __init__(self, acs_name: str) -> None:
        self.acs_name = acs_name
        super().__init__(
            f"An install at ACS {acs_name}, or its taking back, is under way. Wait for it; if its process was killed,"
            " the next one takes it up in half a minute."
        )


class PresetInstallUnfinished(AcsError):
    """The ACS went away in the middle of an install, so part of it may be there."""

    code = "acs.preset_install_unfinished"

    def __init__(self, acs_name: str, why: str) -> None:
        self.acs_name = acs_name
        super().__init__(
            f"Part of what was being changed at ACS {acs_name} may be there: {why} When it answers again, `firstlight"
            f" devices acs install --acs {acs_name}` goes on, and `firstlight devices acs rollback --acs {acs_name}`"
            " takes it back."
        )


class NothingToRollBack(AcsError):
    """No install at that ACS could be taken back."""

    code = "acs.nothing_to_roll_back"

    def __init__(self, acs_name: str) -> None:
        self.acs_name = acs_name
        super().__init__(f"Nothing was installed at ACS {acs_name} that could be taken back.")


class FirstSessionRefused(AcsError):
    """Nothing is handed out: no CPE that has proven to be this one waits for its first settings here."""

    code = "acs.first_session_refused"

    def __init__(self, *, serial: str | None = None, why: str | None = None) -> None:
        """``why`` (a slug) is for whoever writes it down, and not in the message: the asker is told the same always.
        The ``serial`` is canonical, and None where what came is none."""
        self.serial = serial
        self.why = why
        super().__init__()


class CodesRotatedLately(AcsError):
    """The key of provisioning codes was rotated, and codes of the one before are good still."""

    code = "acs.codes_rotated_lately"

    def __init__(self, rotated_at: datetime, former_until: datetime) -> None:
        self.rotated_at = rotated_at
        self.former_until = former_until
        super().__init__(
            f"The key of provisioning codes was rotated at {rotated_at:%Y-%m-%d %H:%M} UTC, and codes of the one before"
            f" are good until {former_until:%Y-%m-%d %H:%M} UTC; another one now would end them. Nothing was changed."
            " If nobody needs them any more, `firstlight devices acs end-codes --reason ...`; if the present key was"
            " seen by somebody, `--keep-days 0` ends all codes at once."
        )


class FirstSessionsOff(AcsError):
    """This ACS is not to ask in CPEs' first sessions; says nothing of any CPE."""

    code = "acs.first_sessions_off"

    def __init__(self, acs_name: str) -> None:
        self.acs_name = acs_name
        super().__init__(
            f"ACS {acs_name} is not to ask in first sessions: FIRSTLIGHT_GENIEACS_FIRST_SESSION does not name it."
        )


class DeviceError(AcsError):
    """The CPE is not as it should be."""

    code = "acs.device_error"

    def __init__(self, serial: str, message: str) -> None:
        self.serial = serial
        super().__init__(message)


class SerialAmbiguous(DeviceError):
    """Several CPEs at the ACS carry that serial number."""

    code = "acs.serial_ambiguous"

    def __init__(self, serial: str, device_ids: Sequence[str]) -> None:
        self.device_ids = tuple(device_ids)
        super().__init__(
            serial,
            f"The ACS knows {len(self.device_ids)} CPEs with serial {serial} ({', '.join(self.device_ids)});"
            " nothing was sent to any of them. Delete the wrong one at the ACS.",
        )


def _choose_template(serial: str) -> str:
    """What to do about a template that is for others."""
    provision = command_about("devices provision", serial, "USERNAME", options=f"--template ... {WHY}")
    return f"Choose a template for this CPE (`firstlight devices templates`): `{provision}`."


class WrongDataModel(DeviceError):
    """The CPE speaks another TR-069 data model than the template."""

    code = "acs.wrong_data_model"

    def __init__(self, serial: str, *, template: str, wanted: str, reported: Sequence[str]) -> None:
        self.template = template
        self.wanted = wanted
        self.reported = tuple(reported)
        super().__init__(
            serial,
            f"CPE {serial} speaks {' and '.join(self.reported)}, but template {template} is for {wanted}."
            f" Nothing was sent. {_choose_template(serial)}",
        )


class WrongModel(DeviceError):
    """The template is for other CPEs than this one."""

    code = "acs.wrong_model"

    def __init__(self, serial: str, *, template: str, wanted: Sequence[str], reported: str) -> None:
        self.template = template
        self.wanted = tuple(wanted)
        self.reported = reported
        super().__init__(
            serial,
            f"CPE {serial} is a {reported}, but template {template} is for {', '.join(wanted)}. Nothing was sent."
            f" {_choose_template(serial)}",
        )


class SettingsRefused(DeviceError):
    """The CPE refused its settings."""

    code = "acs.settings_refused"

    def __init__(self, serial: str, *, fault_code: str, refusals: Sequence[Refusal], message: str) -> None:
        self.fault_code = fault_code
        self.refusals = tuple(refusals)
        super().__init__(serial, f"CPE {serial} refused its settings: {message}")


class SettingsUnsendable(SettingsRefused):
    """The ACS does not take the settings, or does not survive them; they were not sent to the CPE."""

    code = "acs.settings_unsendable"

    def __init__(self, serial: str, *, fault_code: str, message: str) -> None:
        super().__init__(serial, fault_code=fault_code, refusals=(), message=message)
        self.args = (message,)


class SettingsFailed(DeviceError):
    """The CPE failed while it was taking its settings; another attempt may succeed.

    ``again_after`` is how much later that is due; None once a person has to look.
    """

    code = "acs.settings_failed"
    transient = True

    def __init__(
        self,
        serial: str,
        *,
        fault_code: str,
        refusals: Sequence[Refusal],
        message: str,
        again_after: timedelta | None = None,
    ) -> None:
        self.again_after = again_after
        self.fault_code = fault_code
        self.refusals = tuple(refusals)
        super().__init__(serial, f"CPE {serial} did not take its settings: {message}")


class DeviceDrifted(DeviceError):
    """The CPE does not have what was applied to it; applying again may repair it."""

    code = "acs.device_drifted"
    transient = True

    def __init__(self, serial: str, paths: Sequence[str], reason: str) -> None:
        self.paths = tuple(paths)
        super().__init__(serial, f"CPE {serial} does not have what was applied to it: {reason}")


class DesiredStateChanged(DeviceError):
    """The desired state changed while it was being carried out."""

    code = "acs.desired_state_changed"
    transient = True

    def __init__(self, serial: str) -> None:
        super().__init__(serial, f"What CPE {serial} should have changed meanwhile; the newer wish comes next.")


class NotYet(DeviceError):
    """The CPE has not taken or confirmed its settings yet.

    ``reason`` is a slug: ``no_session``, ``in_progress``, ``no_data_model``, ``not_applied``, ``not_read_back``,
    ``not_seen_since_reset``, ``reset_meanwhile``, ``held_back``, ``path_restarting``, or one of the subclasses' own.
    """

    code = "acs.not_yet"
    transient = True

    def __init__(self, serial: str, *, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(serial, message)


class AwaitingFirstInform(NotYet):
    """The CPE has never reported to the ACS."""

    code = "acs.awaiting_first_inform"

    def __init__(self, serial: str) -> None:
        super().__init__(
            serial,
            reason="awaiting_first_inform",
            message=f"CPE {serial} has never reported to the ACS; its settings wait for its first Inform.",
        )


class DeviceUnreachable(NotYet):
    """The ACS could not call the CPE, so its settings wait for its next periodic Inform.

    ``reason``: ``offline``, ``connection_request_credentials`` or ``connection_request_failed``.
    """

    code = "acs.device_unreachable"
