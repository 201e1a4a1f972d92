"""What outsiders may import, and errors that a person and a program can both read."""

from __future__ import annotations

import inspect
from datetime import timedelta
from types import ModuleType

import ipam
from ipam import errors, unit_errors
from ipam.errors import Fault, IpamError
from tests.ipam.conftest import STARTED_AT


def test_the_face_is_sorted_and_complete() -> None:
    assert ipam.__all__ == sorted(ipam.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name))
    public = {
        name for name, value in vars(ipam).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public == set(ipam.__all__)


def classes() -> list[type[IpamError]]:
    known = [*vars(errors).values(), *vars(unit_errors).values()]
    found = {value for value in known if inspect.isclass(value) and issubclass(value, IpamError)}
    assert len(found) > 25
    return sorted(found, key=lambda error: error.code)


def test_every_error_has_a_code_of_its_own_and_stands_in_the_drawn_tree() -> None:
    codes = [error.code for error in classes()]

    assert len(set(codes)) == len(codes)
    assert all(code.startswith("ipam.") for code in codes)
    for error in classes():
        trees = f"{errors.__doc__}\n{unit_errors.__doc__}"
        drawn = [line for line in trees.splitlines() if error.__name__ in line.split()]
        assert drawn, f"{error.__name__} is not drawn"
        if error is not IpamError:
            assert ("(t)" in drawn[0]) == error.transient


def test_only_a_wait_that_took_too_long_is_worth_another_try() -> None:
    assert [error.__name__ for error in classes() if error.transient] == ["PoolBusy"]


def test_the_docstring_is_the_default_message() -> None:
    assert str(IpamError()) == "Addresses and VLANs could not be given."


def test_messages_name_what_for_whom_and_the_next_act() -> None:
    full = errors.PoolExhausted(
        pools=["north-1"], size=1022, assigned=1000, quarantined=22, next_available_at=STARTED_AT + timedelta(hours=1)
    )
    dry = errors.PoolExhausted(pools=["north-1"], size=2, assigned=2, quarantined=0, next_available_at=None)
    refused = errors.EstateRefused([Fault("pool a", "is wrong"), Fault("pool b", "is too")])

    assert str(full) == (
        "Pool north-1 is full: 1000 of 1022 assigned, 22 in quarantine. The next one comes out of quarantine at"
        " 2030-01-01 13:00:00 UTC. Bind another pool there, lift a quarantine, or release what is not used."
    )
    assert "None is on its way back." in str(dry)
    drained = errors.PoolExhausted(
        pools=["north-1"], size=3, assigned=1, quarantined=0, draining=2, next_available_at=None
    )
    assert str(drained).endswith("Bind another pool there, end the drain, or release what is not used and not drained.")
    assert str(refused) == (
        "The network description has 2 fault(s), nothing was written: pool a: is wrong; pool b: is too."
    )
