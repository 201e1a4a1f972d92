"""``GET /health``: whether this process can serve, for load balancers and whoever restarts services.

It says nothing of the ISP's work; that is ``firstlight attention`` and ``firstlight check``.
"""

from __future__ import annotations

from typing import Literal

from fastapi.responses import JSONResponse, Response
from sqlalchemy import select, text
from typing_extensions import TypedDict

from provisioning.api.calls import InCall
from provisioning.api.openapi import problem
from provisioning.api.routes import PUBLIC, Doors

MEDIA_TYPE = "application/health+json"
"""The Internet-Draft draft-inadarei-api-health-check-06, of which only ``status`` is used."""

doors = Doors(tags=["health"])


class Health(TypedDict):
    """It passes, or the answer is a 503."""

    status: Literal["pass"]


@doors.get(
    "/health",
    permission=PUBLIC,
    responses={200: {"model": Health, "content": {MEDIA_TYPE: {}}}, 503: problem("The database does not answer")},
)
async def health(call: InCall) -> Response:
    """Whether this process and its database answer; anybody may ask, and learns nothing else."""
    await call.db.execute(select(text("1")))
    said: Health = {"status": "pass"}
    return JSONResponse(said, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
