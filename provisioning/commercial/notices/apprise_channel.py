"""Apprise, which knows the services that teams talk through. Imported where a notice is sent: it loads slowly.

An Apprise address is a secret as a whole: it holds tokens in places that only its kind knows. So nothing that Apprise
says is passed on: its log is shut, and of a failure only the HTTP status is read from it.
"""

from __future__ import annotations

import logging
import re

from apprise import Apprise, AppriseAsset, AppriseResultStatus, NotifyBase, NotifyFormat

# Below that level it writes whole addresses. Its warnings are read here, and go nowhere else.
_its_log = logging.getLogger("apprise")
_its_log.setLevel(logging.WARNING)
_its_log.propagate = False

_STATUS = re.compile(r"error=(\d{3})\b")


def is_understood(address: str) -> bool:
    """Whether Apprise knows what to do with this address; nobody is asked."""
    return _plugin(address) is not None


async def send(address: str, *, subject: str, text: str, timeout_seconds: float) -> str | None:
    """None when the other side took it, else why not, in words without secrets.

    After a time-out the notice may have arrived.
    """
    plugin = _plugin(address)
    if plugin is None:
        return "its address is not one that Apprise understands; import the team anew"
    plugin.redirects = False  # a token goes where it was meant to go, and nowhere else
    sender = Apprise()
    sender.add(plugin)
    result = await sender.async_notify(body=text, title=subject, body_format=NotifyFormat.TEXT, timeout=timeout_seconds)
    with result:
        if result.status == AppriseResultStatus.SUCCESS:
            return None
        if result.status == AppriseResultStatus.TIMEOUT:
            return f"no answer within {timeout_seconds:g} s; it may have arrived"
        statuses = [found.group(1) for entry in result.logs() if (found := _STATUS.search(entry.message))]
    return f"the other side answered {statuses[-1]}" if statuses else "the other side was not reached"


def _plugin(address: str) -> NotifyBase | None:
    asset = AppriseAsset(app_id="Firstlight", app_desc="Firstlight", secure_logging=True)
    return Apprise.instantiate(address, asset=asset, suppress_exceptions=True)


is_understood("json://localhost")  # Apprise loads what it knows at its first address: now, not at the first notice
