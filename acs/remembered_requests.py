"""A request to provision a device that is made twice takes effect once, and has the same answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import cast

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from acs.device_records import ProvisionedDevice
from acs.errors import DesiredStateChanged, RequestConflict
from acs.ports import Now
from acs.tables import AcsDevice, AcsRequest


class RememberedRequests:
    """Of one tenant, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def _request(self, request_id: str) -> AcsRequest | None:
        found = await self._db.scalars(
            select(AcsRequest).where(AcsRequest.tenant_id == self._tenant_id, AcsRequest.request_id == request_id)
        )
        return found.one_or_none()

    async def answered(self, request_id: str | None, digest: str) -> ProvisionedDevice | None:
        """The answer given to that request before, while its binding lives. Raises: RequestConflict."""
        request = await self._request(request_id) if request_id is not None else None
        if request is None:
            return None
        if request.input_digest != digest:
            raise RequestConflict(request.request_id)
        device = await self._db.get(AcsDevice, request.device_row_id)
        if device is None or device.state == "withdrawn":
            return None
        return cast(ProvisionedDevice, dict(request.answer))

    async def remember(
        self, request_id: str, digest: str, device: AcsDevice, answer: ProvisionedDevice
    ) -> ProvisionedDevice:
        """Keep the answer under the request's id; gives the one that counts. Raises: RequestConflict."""
        known = await self._request(request_id)
        if known is not None:  # its binding was withdrawn, and this is the new one
            known.device_row_id = device.id
            known.answer = dict(answer)
            await self._db.flush()
            return answer
        request = AcsRequest(
            tenant_id=self._tenant_id,
            request_id=request_id,
            input_digest=digest,
            device_row_id=device.id,
            answer=dict(answer),
            made_at=self._now(),
        )
        try:
            async with self._db.begin_nested():
                self._db.add(request)
        except IntegrityError as error:  # made twice at the same time
            answered = await self.answered(request_id, digest)
            if answered is None:
                raise DesiredStateChanged(device.serial) from error
            return answered
        return answer


def digest_of(
    customer_id: int,
    serial: str,
    template: str,
    service_id: int | None,
    values: Mapping[str, object],
    plan: str | None,
) -> str:
    """What makes it the same request."""
    whole = [customer_id, serial, template, service_id, sorted(values.items()), *([plan] if plan is not None else [])]
    return hashlib.sha256(json.dumps(whole, ensure_ascii=True, default=repr).encode()).hexdigest()
