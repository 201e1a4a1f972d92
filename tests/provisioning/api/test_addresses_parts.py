"""Of a malformed request about addresses its other parts are looked at as well."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from ipam import RequestParts
from provisioning.api import addresses, addresses_files, addresses_nat, addresses_services, addresses_upkeep
from provisioning.api.addresses_parts import misfits, misfits_of_leaving, misfits_of_live, misfits_of_some
from provisioning.api.misfits import names_in_query
from provisioning.api.routes import Door

SHAPE_ALONE = {"at", "port", "shape"}
"""What nothing can speak against but its own shape."""
DOORS = [
    route
    for module in (addresses, addresses_files, addresses_nat, addresses_services, addresses_upkeep)
    for route in module.doors.routes
    if isinstance(route, Door)
    and route.terms.misfits in (misfits, misfits_of_leaving, misfits_of_live, misfits_of_some)
]


@pytest.mark.parametrize("door", DOORS, ids=[door.path for door in DOORS])
def test_each_part_of_a_request_is_known_to_what_looks_at_them(door: Door) -> None:
    names = {name for name, _ in names_in_query(door.dependant)}
    body = None if door.body_field is None else door.body_field.field_info.annotation
    if body is not None:
        assert isinstance(body, type) and issubclass(body, BaseModel)
        names |= body.model_fields.keys()

    assert names - RequestParts.__optional_keys__ <= SHAPE_ALONE
    assert names & RequestParts.__optional_keys__
