"""What can go wrong at the northbound interface of GenieACS: a branch of the tree in ``acs.errors``."""

from __future__ import annotations

from collections.abc import Sequence

from acs.errors import AcsError


class NbiError(AcsError):
    """The northbound interface of GenieACS failed."""

    code = "acs.nbi_error"


class NbiRequestInvalid(NbiError):
    """A request that GenieACS would not survive was stopped before it was sent."""

    code = "acs.nbi_request_invalid"

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The request was not sent to the ACS: " + "; ".join(self.faults) + ".")


class NbiRejected(NbiError):
    """The ACS rejected the request."""

    code = "acs.nbi_rejected"

    def __init__(self, asked: str, *, status: int, said: str) -> None:
        self.status = status
        self.said = said
        hint = " Check the credentials of the ACS address." if status in (401, 403) else ""
        super().__init__(f"The ACS rejected {asked}: {status} {said}.{hint}")


class NbiPoisoned(NbiError):
    """The ACS cut the connection after a long silence, as it does when a request has killed one of its workers."""

    code = "acs.nbi_poisoned"

    def __init__(self, asked: str, *, silence_seconds: float) -> None:
        self.silence_seconds = silence_seconds
        super().__init__(
            f"The ACS hung up on {asked} after {silence_seconds:.0f} s without a word, as it does when a request kills"
            " one of its workers. It is not sent again; look at the log of genieacs-nbi."
        )


class NbiUnreachable(NbiError):
    """The ACS cannot be reached."""

    code = "acs.nbi_unreachable"
    transient = True


class NbiLeftInPeace(NbiUnreachable):
    """The ACS was in trouble a moment ago and is left in peace; nothing was sent. ``why``: what trouble, in words."""

    code = "acs.nbi_left_in_peace"

    def __init__(self, acs: str, *, why: str, seconds: float | None) -> None:
        self.seconds = seconds
        self.why = why
        when = "it is being tried at this moment" if seconds is None else f"it is asked again in {seconds:.0f} s"
        super().__init__(f"The ACS at {acs} is left in peace; {when}. Before: {why}")


class NbiTimedOut(NbiError):
    """The ACS did not answer in time."""

    code = "acs.nbi_timed_out"
    transient = True


class NbiGarbled(NbiError):
    """The ACS sent something that is not a whole GenieACS answer."""

    code = "acs.nbi_garbled"
    transient = True


class NbiDeviceInSession(NbiError):
    """The ACS is in a session with this device and takes no changes to its queue meanwhile."""

    code = "acs.nbi_device_in_session"
    transient = True
