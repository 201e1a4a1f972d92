"""How a lab CPE misbehaves: every kind of trouble that a client of the NBI has to see through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Quirks:
    """Set the fields on `cpe.quirks`; the defaults are an honest CPE.

    Connection requests: `reachable` False drops them (NAT, firewall: 2 s, "Device is offline"), `cr_refused` resets
    them, `cr_busy` answers 503, `cr_wrong_credentials` demands credentials nobody gave the ACS, `cr_ignored` answers
    200 and never informs. A password set in ConnectionRequestPassword is demanded without any quirk.

    Writing: `refuse` answers SetParameterValues with 9003 and this fault per path (9007, 9001, ...), `fault_all` with
    this fault alone, and with `echoes` either repeats the values, secrets too; `lies` answers Status 0 and changes
    nothing; `status_one` answers Status 1 and applies at the next reboot. Reading: `secret_mask` is what every secret
    reads back as, blank by default.

    The rest: RPCs in `unsupported` are answered 9000 (by their CWMP names: Reboot, FactoryReset, Download, ...);
    `forgets` loses every setting at a boot, which it calls no BOOTSTRAP; `session_seconds` keeps every session open so
    much longer; `transfer_seconds` passes before TransferComplete;
    `test_seconds` before the end of a ping or download that the CPE was asked for; `keeps_version` takes a firmware and
    runs the old one on.

    With `wan_restart_seconds` the ACS reaches it over the WAN that carries the service: a write that changes that WAN
    takes it off the network for so long, after the session or, with `wan_restart_cuts_session`, in the middle of it.
    """

    reachable: bool = True
    cr_refused: bool = False
    cr_busy: bool = False
    cr_wrong_credentials: bool = False
    cr_ignored: bool = False
    refuse: dict[str, int] = field(default_factory=dict)
    fault_all: int | None = None
    secret_mask: str = ""
    echoes: bool = False
    lies: bool = False
    status_one: bool = False
    unsupported: frozenset[str] = frozenset()
    forgets: bool = False
    session_seconds: float = 0.0
    transfer_seconds: float = 60.0
    reboot_seconds: float = 30.0
    wan_restart_seconds: float | None = None
    wan_restart_cuts_session: bool = False
    test_seconds: float = 4.0
    keeps_version: bool = False

    def dump(self) -> dict[str, Any]:
        return asdict(self) | {"unsupported": sorted(self.unsupported)}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Quirks:
        return cls(**(dict(dumped) | {"unsupported": frozenset(dumped.get("unsupported", ()))}))
