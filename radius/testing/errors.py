"""What can go wrong around a FreeRADIUS child process and a lab NAS.

::

    RadiusError
    `-- RadiusLabError
        |-- FreeRadiusMissing     the program (or its PostgreSQL driver) is not installed
        |-- FreeRadiusFailed      it was started and did not come up; its log says why
        `-- NoAnswer              nobody answered: not a reject, the outcome is unknown      (transient)
"""

from __future__ import annotations

from radius.errors import RadiusError

INSTALL = "apt-get install freeradius freeradius-postgresql"


class RadiusLabError(RadiusError):
    """The RADIUS lab failed."""

    code = "radius.lab_error"


class FreeRadiusMissing(RadiusLabError):
    """FreeRADIUS is not installed."""

    code = "radius.freeradius_missing"

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} is missing on this machine; install it with: {INSTALL}")


class FreeRadiusFailed(RadiusLabError):
    """FreeRADIUS did not come up."""

    code = "radius.freeradius_failed"

    def __init__(self, reason: str, log_tail: str) -> None:
        self.reason = reason
        self.log_tail = log_tail
        super().__init__(f"FreeRADIUS {reason}. The end of its log:\n{log_tail}")


class NoAnswer(RadiusLabError):
    """No RADIUS server answered in time. The request may or may not have had its effect."""

    code = "radius.no_answer"
    transient = True

    def __init__(self, request: str, server: str, port: int, seconds: float) -> None:
        self.request = request
        super().__init__(f"{request} to {server} port {port}: no (valid) answer within {seconds:g} s.")
