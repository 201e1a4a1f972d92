"""What every part of the estate's file is made of, and how the faults of writing one are gathered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import MISSING, fields
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Strict

from acs import AcsError
from ipam import IpamError
from provisioning.errors import Fault, InvalidRequest, ProvisioningError
from radius import RadiusError

_NUMBERS = (int, int | None)


class Part(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def fields_of(terms: type[Any]) -> dict[str, Any]:
    """The fields of a dataclass, for a part that says just these. A number is a whole number: neither ``true`` nor
    text is taken for one."""
    hints = {
        name: Annotated[hint, Strict()] if hint in _NUMBERS else hint for name, hint in get_type_hints(terms).items()
    }
    return {
        field.name: (hints[field.name], ... if field.default is MISSING else field.default) for field in fields(terms)
    }


async def attempt(faults: list[Fault], where: str, act: Callable[..., Awaitable[Any]]) -> None:
    """Does it; what is wrong with it comes to the faults, under ``where``."""
    try:
        await act()
    except InvalidRequest as error:
        faults += [Fault(f"{where}: {fault.field}", fault.reason) for fault in error.faults]
    except (ProvisioningError, IpamError, RadiusError, AcsError) as error:
        faults += faults_in(where, error)


def faults_in(where: str, error: Exception) -> list[Fault]:
    """Each fault that an error has; else the error itself."""
    return [Fault(where, str(fault)) for fault in getattr(error, "faults", None) or [error]]
