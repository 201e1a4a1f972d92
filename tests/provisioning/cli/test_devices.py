"""``firstlight devices``, as an operator types it."""

from __future__ import annotations

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type


def test_cpes_are_listed_and_one_is_shown_with_what_keeps_it(isp: Settings, type_: Type) -> None:
    listed = type_("devices", "list", "--json").json
    verified = [each for each in listed if each["state"] == "accepted_unverifiable"]
    assert [each["customer_id"] for each in verified] == [1001]
    lines = type_("devices", "list").out.splitlines()
    assert lines[0].split()[:4] == ["#", "serial", "state", "customer"]
    assert any(verified[0]["device_serial"] in line and "accepted_unverifiable" in line for line in lines)
    assert type_("devices", "list", "--state", "accepted_unverifiable", "--json").json == verified
    assert type_("devices", "list", "--state", "withdrawn").out == "no such CPE\n"

    shown = type_("devices", "show", verified[0]["device_serial"].lower()).out
    assert f"template {verified[0]['template']} (TR-181), revision {verified[0]['revision']}" in shown
    assert "The CPE has its settings; its secrets it took and does not show." in shown
    assert type_("devices", "show", "NOSUCH").err == "refused: CPE NOSUCH is not bound to any service.\n"
