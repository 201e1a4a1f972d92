"""Connection requests (TR-069 3.2.2): the ACS knocks at the CPE's door, and what becomes of it."""

from __future__ import annotations

from enum import Enum

from acs.testing.clock import Clock
from acs.testing.cpe import LabCpe
from acs.testing.device_document import leaf_at
from acs.testing.query import Document

TIMEOUT_SECONDS = 2.0
_ROUND_TRIP_SECONDS = 0.012


class CrAnswer(Enum):
    """How a connection request (TR-069 3.2.2) ended, as the ACS sees it."""

    ACCEPTED = "accepted"
    DROPPED = "dropped"
    REFUSED = "refused"
    UNAUTHORISED = "unauthorised"


_ERRORS = {
    CrAnswer.DROPPED: "Device is offline",
    CrAnswer.REFUSED: "Device is offline",
    CrAnswer.UNAUTHORISED: "Connection request error: Incorrect connection request credentials",
}


async def call_cpe(cpe: LabCpe | None, document: Document, clock: Clock) -> str | None:
    """Send a connection request with the document's credentials. None when it was accepted, else the NBI's words."""
    root = "InternetGatewayDevice" if "InternetGatewayDevice" in document else "Device"
    username, password = (
        str((leaf_at(document, f"{root}.ManagementServer.ConnectionRequest{name}") or {}).get("_value", ""))
        for name in ("Username", "Password")
    )
    await clock.sleep(_ROUND_TRIP_SECONDS)
    answer = CrAnswer.DROPPED if cpe is None else answer_of(cpe, username, password)
    if answer is CrAnswer.DROPPED:
        await clock.sleep(TIMEOUT_SECONDS)
    if cpe is not None and answer is CrAnswer.ACCEPTED and not cpe.quirks.cr_ignored:
        cpe.connection_requested()
    return _ERRORS.get(answer)


def answer_of(cpe: LabCpe, username: str, password: str) -> CrAnswer:
    """How this CPE takes a request with these credentials."""
    quirks = cpe.quirks
    if cpe.rebooting or (cpe.online and (quirks.cr_refused or quirks.cr_busy)):
        return CrAnswer.REFUSED
    if not cpe.online or not quirks.reachable:
        return CrAnswer.DROPPED
    own_username = cpe.value(cpe.path("ManagementServer.ConnectionRequestUsername"))
    own_password = cpe.value(cpe.path("ManagementServer.ConnectionRequestPassword"))
    if quirks.cr_wrong_credentials or (own_password and (own_username, own_password) != (username, password)):
        return CrAnswer.UNAUTHORISED
    return CrAnswer.ACCEPTED
