"""What an adapter is given, what it answers, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class LineRequest:
    """One line, in the words of whoever drives the OLT.

    ``order`` names the line order for ever and everywhere (``tenant.id``). ``actual_port`` and ``onu_id`` are what the
    OLT has answered earlier, which a withdrawal needs.
    """

    order: str
    customer_id: int
    service_id: int
    device_serial: str
    access_node: str
    port: str | None
    svlan: int
    cvlan: int | None
    management_vlan: int | None
    line_profile: str
    actual_port: str | None = None
    onu_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class AdapterAnswer:
    """What the other side said. ``answered=False``: it was told, and will answer later (or a person will, for it)."""

    answered: bool
    actual_port: str | None = None
    onu_id: int | None = None
    received_power_dbm: float | None = None
    snippet: str | None = None


class LineAdapter(Protocol):
    """A way to an OLT. Both methods may be called any number of times with the same key, and act once.

    Raises (both):
        LineRefused: the OLT said no, and did nothing.
        OltUnreachable: the OLT was never asked.
        OltOutcomeUnknown: no answer; call again with the same key.
        OltAnswerMalformed: an answer that can't be understood.
    """

    async def authorise(self, line: LineRequest, *, key: str) -> AdapterAnswer:
        """Let this serial onto the fibre. An answer of ``answered=True`` has the port where it really is."""
        ...

    async def withdraw(self, line: LineRequest, *, key: str) -> AdapterAnswer:
        """Take the line off the OLT, for good: an ``authorise`` that comes late must not bring it back."""
        ...
