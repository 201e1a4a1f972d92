"""What a route is handed: the appliance, its transaction, who calls, and what the audit is to say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from provisioning.access import Caller, Deed
from provisioning.api.errors import PreconditionFailed, PreconditionMissing
from provisioning.bootstrap import Appliance

PREFIX = "/api/v1"


@dataclass(frozen=True)
class Call:
    """One request, from the inside. ``db`` commits when the route's function has succeeded and its answer is made."""

    appliance: Appliance
    db: AsyncSession
    caller: Caller
    deed: Deed
    request: Request

    @property
    def by(self) -> str:
        """Who does this, for a run's log and for whatever names them."""
        return self.caller.name

    @property
    def tenant_id(self) -> str:
        return self.appliance.tenant_id

    def address(self, path: str) -> str:
        """Of something under the API: ``runs/7``."""
        return f"{PREFIX}/{path}"

    @property
    def changed_nothing(self) -> bool:
        return bool(getattr(self.request.state, "changed_nothing", False))

    def changes_nothing(self) -> None:
        """This request has left everything as it was, so the audit has nothing to keep of it."""
        self.request.state.changed_nothing = True

    def afterwards(self, act: Callable[[], Awaitable[None]]) -> None:
        """To be done when the answer was sent, whatever it is; in no transaction of this request."""
        self.request.state.afterwards = act

    @property
    def shown_once(self) -> frozenset[str]:
        fields: frozenset[str] = getattr(self.request.state, "shown_once", frozenset())
        return fields

    def shows_once(self, *fields: str) -> None:
        """These fields of the answer, secrets, are in no copy that is kept of it: they are null there."""
        self.request.state.shown_once = frozenset(fields)

    def tells(self, **facts: Any) -> None:
        """What the audit is to say of this change: ``subject``, ``customer_id``, ``run_id``, ``reason``, ``before``,
        ``after`` (the answer, unless told otherwise), and at a door without a token who the ``actor`` is."""
        for name, value in facts.items():
            if name not in Deed.__dataclass_fields__:
                raise TypeError(f"the audit has no field {name}")
            setattr(self.deed, name, value)

    def require_match(self, etag: str) -> None:
        """The caller has seen what stands there now (RFC 9110 section 13.1.1).

        Raises: PreconditionMissing, PreconditionFailed.
        """
        given = self.request.headers.get("if-match", "").strip()
        if not given:
            raise PreconditionMissing
        if given != "*" and etag not in [one.strip() for one in given.split(",")]:
            raise PreconditionFailed


async def _call(request: Request) -> Call:
    call: Call = request.state.call
    return call


InCall = Annotated[Call, Depends(_call)]
"""The parameter of every route."""


def etag_of(*version: object) -> str:
    """A strong validator made of everything whose change another operator must see."""
    return f'"{hashlib.sha256(repr(version).encode()).hexdigest()[:32]}"'
