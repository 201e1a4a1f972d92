"""A whole access network's CPEs in one lab: both data models, and every kind of trouble in its share.

They have reported before the lab opens, and inform at moments spread over their interval. Which temper a CPE has
follows from its number, so that the same lab comes again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from acs.testing.cpe import LabCpe
from acs.testing.cpe_rpcs import CpeRpcs
from acs.testing.device_session import DeviceSession
from acs.testing.quirks import Quirks
from acs.testing.server import LabAcs

Temper = Literal[
    "honest", "offline", "nat", "wrong_credentials", "busy", "lying", "refusing", "resetting", "forgetting", "slow"
]
SHARES: Mapping[Temper, float] = {
    "offline": 0.06,
    "nat": 0.10,
    "wrong_credentials": 0.02,
    "busy": 0.01,
    "lying": 0.01,
    "refusing": 0.01,
    "resetting": 0.005,
    "forgetting": 0.005,
    "slow": 0.05,
}
"""Of all CPEs; the rest is honest."""
HONEST: Mapping[Temper, float] = {}
RESET_EVERY_SECONDS = 900.0
SLOW_SECONDS = 8.0
PRIME = 7_919  # spreads numbers over the shares, so that neighbours differ


def serial_of(number: int) -> str:
    """The serial number of the lab's CPE of that number, counted from 0; as ONTs have them (G.984.3)."""
    return f"LABC{number:08X}"


def populate(
    lab: LabAcs,
    count: int,
    *,
    shares: Mapping[Temper, float] = SHARES,
    inform_interval_seconds: int = 300,
    first: int = 0,
) -> dict[Temper, int]:
    """Attach so many CPEs, which the ACS knows already; says how many have which temper. Needs a running loop."""
    counted: dict[Temper, int] = {}
    resetting: list[LabCpe] = []
    for number in range(first, first + count):
        temper = temper_of(number, shares)
        counted[temper] = counted.get(temper, 0) + 1
        cpe = lab.attach(
            LabCpe(
                serial_of(number),
                product_class="LAB-ONT" if number % 2 else "LAB-GATEWAY",
                data_model="TR-098" if number % 2 else "TR-181",
                inform_interval_seconds=inform_interval_seconds,
                line_up=temper != "offline",
                quirks=quirks_of(temper),
            )
        )
        cpe.bootstrapped = cpe.powered = True
        _has_reported(lab, cpe)
        cpe.timers.restart(first_after_seconds=(number * PRIME) % 10_000 / 10_000 * inform_interval_seconds)
        if temper == "resetting":
            resetting.append(cpe)
    if resetting:
        lab.spawn(_reset_by_turns(lab, resetting))
    return counted


def temper_of(number: int, shares: Mapping[Temper, float]) -> Temper:
    place, reached = (number * PRIME) % 1_000 / 1_000, 0.0
    for temper, share in shares.items():
        reached += share
        if place < reached:
            return temper
    return "honest"


def quirks_of(temper: Temper) -> Quirks:
    return Quirks(
        reachable=temper != "nat",
        cr_wrong_credentials=temper == "wrong_credentials",
        cr_ignored=temper == "busy",
        lies=temper == "lying",
        keeps_version=temper == "lying",
        fault_all=9007 if temper == "refusing" else None,
        forgets=temper == "forgetting",
        session_seconds=SLOW_SECONDS if temper == "slow" else 0.0,
    )


def _has_reported(lab: LabAcs, cpe: LabCpe) -> None:
    """What a first session leaves at the ACS, without holding ten thousand of them."""
    session = DeviceSession({}, CpeRpcs(cpe), lab.clock, ["0 BOOTSTRAP", "1 BOOT"], ext=lab.extensions.run)
    session.take_inform()
    lab.documents["devices"][cpe.device_id] = session.document


async def _reset_by_turns(lab: LabAcs, cpes: Iterable[LabCpe]) -> None:
    """Somebody holds the pin of each of them, again and again."""
    them = list(cpes)
    while True:
        for cpe in them:
            await lab.clock.sleep(RESET_EVERY_SECONDS / len(them), background=True)
            await cpe.factory_reset()
