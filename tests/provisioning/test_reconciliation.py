"""Which command puts a difference right, as it is typed."""

from __future__ import annotations

from ipam import Difference
from provisioning.reconciliation import _with_command


def test_a_name_that_begins_like_an_option_is_no_option_of_the_command() -> None:
    found = Difference(
        difference="mismatched",
        username="-dash",
        service_id=7,
        customer_id=1,
        ipam=["Framed-IP-Address=198.51.100.10"],
        radius=["Framed-IP-Address=198.51.100.11"],
    )
    assert _with_command(found, {"-dash": 1})["command"] == "firstlight subscribers project -- -dash"
    assert _with_command(found, {})["command"] == "firstlight addresses show --service 7"
