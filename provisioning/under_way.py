"""Which services a run still works on: what it took there, it also takes back, and it would not hear of a change."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.address_errors import ServiceUnderWay
from workflows import open_results


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
