"""What can go wrong on the way to the OLT. (t) marks what a retry may cure by itself.

Input that can't be meant is ``InvalidRequest`` and a re-used request id ``RequestConflict``, both in
``provisioning.errors``.

ProvisioningError
`-- LineError
    |-- LineOrderUnknown
    |-- LineBusy              the serial or the service has a live line order already
    |-- LineRaced         (t) another order for it came and went at this very moment
    |-- LineNotHandedOver     an answer to something that was never asked
    |-- LineAnswerConflict    a second answer that differs from the first
    |-- LineOrderClosed       withdrawn, or being withdrawn
    |-- LineStillOnOlt        the OLT hasn't said that it removed it
    |-- LineAdapterMissing
    `-- OltError
        |-- LineRefused           the OLT said no, and did nothing
        |-- OltUnreachable    (t) the OLT was never asked, or was too busy to begin
        |-- OltOutcomeUnknown (t) no answer: it may or may not have happened; ask again with the same key
        `-- OltAnswerMalformed    it answered, but not in words that we know
"""

from __future__ import annotations

from provisioning.errors import ProvisioningError


class LineError(ProvisioningError):
    """Something is wrong with a line order."""

    code = "line.error"


class LineOrderUnknown(LineError):
    """There is no such line order."""

    code = "line.order_unknown"

    def __init__(self, line_order_id: int) -> None:
        self.line_order_id = line_order_id
        super().__init__(f"There is no line order {line_order_id}.")


class LineBusy(LineError):
    """The serial or the service already has a line."""

    code = "line.busy"

    def __init__(self, *, device_serial: str, service_id: int, holder_id: int, held_for: str) -> None:
        self.device_serial = device_serial
        self.service_id = service_id
        self.holder_id = holder_id
        super().__init__(
            f"No line for {device_serial} and service {service_id}: line order {holder_id} ({held_for}) is live; "
            "withdraw that one first."
        )


class LineRaced(LineError):
    """Another order for the same line was made and taken back at this very moment."""

    code = "line.raced"
    transient = True


class LineNotHandedOver(LineError):
    """The line order was never handed to the OLT, so there can be no answer."""

    code = "line.not_handed_over"

    def __init__(self, line_order_id: int) -> None:
        self.line_order_id = line_order_id
        super().__init__(f"Line order {line_order_id} was never handed over, so there can be no answer to it.")


class LineAnswerConflict(LineError):
    """The OLT's answer differs from the one recorded."""

    code = "line.answer_conflict"

    def __init__(self, line_order_id: int, recorded: str) -> None:
        self.line_order_id = line_order_id
        self.recorded = recorded
        super().__init__(
            f"Line order {line_order_id} was already answered otherwise: {recorded}; look at the OLT which one is "
            "true, and withdraw the order if the recorded answer is wrong."
        )


class LineOrderClosed(LineError):
    """The line order is withdrawn, or being withdrawn."""

    code = "line.order_closed"

    def __init__(self, line_order_id: int) -> None:
        self.line_order_id = line_order_id
        super().__init__(f"Line order {line_order_id} is withdrawn or being withdrawn; authorise the line anew.")


class LineStillOnOlt(LineError):
    """The OLT may still have the line."""

    code = "line.still_on_olt"

    def __init__(self, line_order_id: int, device_serial: str, access_node: str) -> None:
        self.line_order_id = line_order_id
        super().__init__(
            f"Line order {line_order_id} can't end yet: {access_node} may still have {device_serial}, and nobody has "
            "confirmed its removal."
        )


class LineAdapterMissing(LineError):
    """The way to this OLT isn't set up."""

    code = "line.adapter_missing"

    def __init__(self, adapter: str, known: tuple[str, ...]) -> None:
        self.adapter = adapter
        super().__init__(f"The line adapter {adapter} isn't set up here, only {', '.join(known)}; see the settings.")


class OltError(LineError):
    """The OLT didn't do what it was asked."""

    code = "line.olt_error"


class LineRefused(OltError):
    """The OLT refused the line."""

    code = "line.refused"

    def __init__(self, device_serial: str, access_node: str, reason: str) -> None:
        self.device_serial = device_serial
        self.access_node = access_node
        self.reason = reason
        super().__init__(f"{access_node} refused {device_serial}: {reason}")


class OltUnreachable(OltError):
    """The OLT can't be reached; nothing was asked of it."""

    code = "line.olt_unreachable"
    transient = True

    def __init__(self, access_node: str, reason: str) -> None:
        self.access_node = access_node
        super().__init__(f"{access_node} can't be reached ({reason}); nothing has changed there.")


class OltOutcomeUnknown(OltError):
    """The OLT gave no answer; it may or may not have done it."""

    code = "line.olt_outcome_unknown"
    transient = True

    def __init__(self, access_node: str, device_serial: str, reason: str) -> None:
        self.access_node = access_node
        self.device_serial = device_serial
        super().__init__(
            f"{access_node} didn't say whether it did what was asked for {device_serial} ({reason}); "
            "asking again with the same key is safe."
        )


class OltAnswerMalformed(OltError):
    """The OLT's answer makes no sense."""

    code = "line.olt_answer_malformed"

    def __init__(self, access_node: str, reason: str) -> None:
        self.access_node = access_node
        super().__init__(f"{access_node} answered in words that aren't ours ({reason}); is the address an OLT's?")
