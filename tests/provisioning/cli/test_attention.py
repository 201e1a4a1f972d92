"""``firstlight attention``, as the NOC types it."""

from __future__ import annotations

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type


def test_what_needs_a_person_is_said_worst_first_and_the_last_check_with_its_time(
    any_isp: Settings, type_: Type
) -> None:
    assert type_("check").status == 0
    [first, second, *rest] = type_("attention").out.splitlines()
    assert " a person at 20" in first
    assert second.startswith("now    Run 3 (ticket/T-3) for customer 1003 is held in confirm_port: ONT")
    below = " ".join(line.strip() for line in rest)
    assert "held meanwhile: service 3: 100.64." in below and "for Customer 3" in below
    assert rest[-1].startswith("last check: 20")
    seen = type_("attention", "--json").json
    held, *visits = seen["items"]
    assert (held["kind"], held["target"]) == ("run_held", {"noun": "run", "id": "3"})
    assert {item["kind"] for item in visits} <= {"visit_at_risk"}  # the estate's are today, or tomorrow
    assert type_("audit", "list", "--json").json == []  # nobody has decided anything
