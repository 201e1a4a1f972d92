"""A RADIUS lab, used by ``firstlight demo`` and by the tests: the real FreeRADIUS as a child process, and a NAS to ask
it.

``FreeRadiusServer`` starts the server with the product's raddb; ``LabNas`` logs in, accounts and ends
sessions as a BNG would.
Silence is ``NoAnswer`` and never a reject.
"""

from __future__ import annotations

from radius.testing.disconnects import DisconnectServer, Mood
from radius.testing.errors import FreeRadiusFailed, FreeRadiusMissing, NoAnswer, RadiusLabError
from radius.testing.freeradius_server import FreeRadiusServer
from radius.testing.lab_nas import LabNas, LabSession, LoginReply, Usage
from radius.testing.past_sessions import PastSession, write_past_sessions, write_silence

__all__ = [
    "DisconnectServer",
    "FreeRadiusFailed",
    "FreeRadiusMissing",
    "FreeRadiusServer",
    "LabNas",
    "LabSession",
    "LoginReply",
    "Mood",
    "NoAnswer",
    "PastSession",
    "RadiusLabError",
    "Usage",
    "write_past_sessions",
    "write_silence",
]
