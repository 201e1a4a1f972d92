"""Which services a run still works on: what it took there, it also takes back, and it would not hear of a change."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.errors import ProvisioningError
from workflows import open_results

MOST_NAMED = 5


class ServiceUnderWay(ProvisioningError):
    """A run goes on with this service."""

    code = "service.under_way"

    def __init__(self, runs: Mapping[int, int]) -> None:
        self.runs = dict(runs)
        named = [f"service {service_id} (run {run_id})" for service_id, run_id in sorted(runs.items())]
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        super().__init__(
            f"Runs go on with {', '.join(named[:MOST_NAMED])}{more}; nothing was changed. Let them"
            " end, or cancel them: what they took they give back themselves."
        )


async def refuse_under_way(
    db: AsyncSession, tenant_id: str, service_ids: Collection[int], *, steps: Collection[str]
) -> None:
    """``steps`` are those whose results name the service.

    Raises:
        ServiceUnderWay: a run that has done one of the steps has more to do with one of the services.
    """
    asked, runs = set(service_ids), dict[int, int]()
    for step in steps:
        for kept in await open_results(db, tenant_id=tenant_id, step=step):
            if kept.has_more_to_do and int(kept.result["service_id"]) in asked:
                runs[int(kept.result["service_id"])] = kept.run_id
    if runs:
        raise ServiceUnderWay(runs)
