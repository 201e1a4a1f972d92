"""A live service logs in under another name: whoever looks an address up is told the present one."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.orders import check_text
from ipam.errors import UsernameTaken
from ipam.tables import Service


async def rename(db: AsyncSession, tenant_id: str, service_id: int, username: str) -> bool:
    """False when it has that name already, or there is no such service.

    Raises:
        UsernameTaken: another service has the name, or had it.
        RequestInvalid: it is no text.
    """
    check_text("username", username)
    mine = (Service.tenant_id == tenant_id, Service.service_id == service_id, Service.username != username)
    customer_id = await db.scalar(select(Service.customer_id).where(*mine))
    if customer_id is None:
        return False
    try:
        async with db.begin_nested():
            await db.execute(update(Service).where(*mine).values(username=username))
    except IntegrityError as exc:
        raise UsernameTaken(username, customer_id=customer_id) from exc
    return True
