"""What the script `firstlight_first_session` does in a GenieACS, done natively: it asks, then gives what it was told.

Its argument is the ACS's name, which stands in the script itself. A CPE whose ProvisioningCode is none of ours
is not asked about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from acs.presets.baseline import ACS_NAMED, first_session_script
from acs.presets.baseline import FIRST_SESSION as NAME
from acs.testing.apply_script import firstlight_apply
from acs.testing.device_session import DeviceSession

__all__ = ["NAME", "acs_named_in", "firstlight_first_session"]

_CODE = re.compile(r"[a-z2-7]{32}")
_ROOTS = (("TR-181", "Device"), ("TR-098", "InternetGatewayDevice"))


def acs_named_in(stored: str) -> str | None:
    """The ACS that the script names, if it is stored as it comes."""
    found = re.search(re.escape(ACS_NAMED).replace(r"\{\}", "([a-z0-9-]+)"), stored)
    return found[1] if found is not None and stored == first_session_script(found[1]) else None


async def firstlight_first_session(session: DeviceSession, args: Sequence[object]) -> None:
    """Raises: ExtensionFault, and as ``firstlight_apply``."""
    identity = session.document["_deviceId"]
    for data_model, root in _ROOTS:
        path = f"{root}.DeviceInfo.ProvisioningCode"
        if session.value(path) is None:  # the lab forgets at a BOOTSTRAP what the Inform itself has told, too
            await session.read_fresh([path])
        code = str(session.value(path) or "")
        if _CODE.fullmatch(code):
            said = (identity.get(name) or "" for name in ("_Manufacturer", "_ProductClass"))
            answer = await session.ext(
                "firstlight", "settings", args[0], identity["_SerialNumber"], data_model, code, *said
            )
            if answer:
                await firstlight_apply(session, [answer])
            return
