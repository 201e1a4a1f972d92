"""Who asks FreeRADIUS and is no NAS: by its tables, and by its own log where that can be read."""

from __future__ import annotations

import asyncio

from provisioning.bootstrap import Appliance
from radius import UnknownNas, unknown_clients


async def unknown_nases(appliance: Appliance) -> tuple[list[UnknownNas], str | None]:
    """Addresses that asked and are no NAS, who asked last first, and why those outside of FreeRADIUS' network of NASes
    are not among them; None: they are.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    log_file = appliance.settings.radius_log_file
    if log_file is None:
        return await appliance.logins.unknown_nases(), "FIRSTLIGHT_RADIUS_LOG_FILE is not set"
    try:
        told = await asyncio.to_thread(unknown_clients, log_file)
    except OSError as error:
        return await appliance.logins.unknown_nases(), f"{log_file} can't be read ({error.strerror})"
    return await appliance.logins.unknown_nases(told), None
