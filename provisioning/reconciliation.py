"""RADIUS compared with what is allocated, each difference with the command that puts it right.

What a run is about to carry over is no difference yet, and of a service that another system looks after RADIUS may know
nothing. The two databases are not read in one instant, so a service that
changes meanwhile may show once; it doesn't show twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, get_args

from ipam import Difference, DifferenceKind
from provisioning.bootstrap import Appliance
from provisioning.projections import ALLOCATION, ENDING, usernames_in_work
from provisioning.signals import TOLD_FROM_OUTSIDE
from radius import ReplyRow, address_replies, as_argument
from workflows import open_results


class Reconciled(Difference):
    """``command``: what to type to put it right."""

    command: str


KINDS: tuple[DifferenceKind, ...] = get_args(DifferenceKind)
COLUMNS = ("difference", "username", "service_id", "customer_id", "ipam", "radius", "command")
NAMES_AT_ONCE = 1_000
"""So that of a network of any size only some of it is in memory."""
Triple = tuple[str, str, str]
HOLD = "firstlight addresses import --from radreply"
DESCRIBE = "firstlight import ESTATE"


class RadiusComparison:
    """One comparison of all names. What it leaves out, it counts: ``anothers`` are services that another system looks
    after and of which RADIUS has no row, ``under_way`` names that differ and that a run is about to carry over."""

    def __init__(self, appliance: Appliance) -> None:
        self._appliance = appliance
        self.anothers = 0
        self.under_way = 0

    async def differences(self) -> AsyncIterator[Reconciled]:
        """Every difference, while RADIUS' rows are read; the counts are whole when it has come to its end.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        appliance, tenant_id = self._appliance, str(self._appliance.tenant_id)
        async with appliance.database.read() as db:
            reconciliation = appliance.inventory(db).reconciliation()
            anothers = set(await appliance.address_lookup(db).services_of_requests(TOLD_FROM_OUTSIDE))
            subscribers = await appliance.services(db).radius_service.subscriber_ids()
            kept = [await open_results(db, tenant_id=tenant_id, step=step) for step in (ALLOCATION, ENDING)]
            in_work = usernames_in_work([one for some in kept for one in some])
            async for by_name in _some_names(address_replies(appliance.radius_database.read, tenant_id=tenant_id)):
                for found in await reconciliation.compare(by_name):
                    if found["username"] in in_work:
                        self.under_way += 1
                    else:
                        yield _with_command(found, subscribers)
            async for found in reconciliation.remaining():
                if found["service_id"] in anothers:
                    self.anothers += 1
                elif found["username"] in in_work:
                    self.under_way += 1
                else:
                    yield _with_command(found, subscribers)

    def left_out(self) -> str:
        """In words; empty: nothing was."""
        parts = []
        if self.anothers:
            parts.append(f"{self.anothers} of another system's services, of which RADIUS knows nothing")
        if self.under_way:
            parts.append(f"{self.under_way} that a run is about to carry over")
        return f"left out: {'; '.join(parts)}" if parts else ""


async def _some_names(rows: AsyncIterator[ReplyRow]) -> AsyncIterator[dict[str, list[Triple]]]:
    """All rows of each of some names, which come one after the other."""
    by_name: dict[str, list[Triple]] = {}
    async for row in rows:
        if row.username not in by_name and len(by_name) == NAMES_AT_ONCE:
            yield by_name
            by_name = {}
        by_name.setdefault(row.username, []).append((row.username, row.attribute, row.value))
    if by_name:
        yield by_name


def _with_command(found: Difference, subscribers: dict[str, int]) -> Reconciled:
    """A subscriber of ours is projected anew, and a service that came with a file, and so has none, is looked at. What
    is nobody's here is kept, so that nobody is given it; a pool that isn't described yet can keep nothing. What an
    import would refuse is looked at, or tried, which says why."""
    if found["username"] in subscribers:
        command = f"firstlight subscribers project {as_argument(found['username'])}"
    elif found["service_id"] is not None:
        command = f"firstlight addresses show --service {found['service_id']}"
    elif found["difference"] in ("reserved_otherwise", "held_otherwise"):
        command = f"firstlight addresses show {found['radius'][0].partition('=')[2]}"
    elif found["difference"] in ("given_twice", "unfit"):
        command = f"{HOLD} --dry-run"
    elif found["difference"] == "outside_pools":
        command = DESCRIBE
    else:
        command = HOLD
    return Reconciled(**found, command=command)


def cells(found: Reconciled) -> list[Any]:
    """As a row of ``COLUMNS``; what is several stands in one cell."""
    row: dict[str, Any] = {**found}
    return [" ".join(row[name]) if isinstance(row[name], list) else row[name] for name in COLUMNS]
