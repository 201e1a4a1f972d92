"""``/acs``: what an ACS has instead of what it should have from us."""

from __future__ import annotations

from pathlib import Path

from acs.testing import LabAcs
from tests.support.api import Api, open_api
from tests.support.healthy_estate import HealthyEstate


async def test_what_an_acs_has_not_is_shown_and_one_that_nobody_named_is_not_found(
    sqlite_estate: HealthyEstate, tmp_path: Path
) -> None:
    lab = LabAcs()
    await lab.start()
    settings = sqlite_estate.copy(tmp_path / "copy", public_url="https://isp.example", genieacs_nbi_url=lab.url)
    async with open_api(settings) as api:
        found = (await api.get("/acs/default/differences")).json()
        unknown = await api.get("/acs/south/differences")
    await lab.stop()
    assert {change["name"] for change in found["changes"]} == {
        "firstlight_apply",
        "firstlight_bootstrap",
        "firstlight_inform",
    }
    assert (found["foreign"], found["poison"]) == (0, [])
    assert (unknown.status_code, unknown.json()["code"]) == (404, "acs.acs_unknown")


async def test_without_an_acs_there_is_none_of_any_name(api: Api) -> None:
    answered = await api.get("/acs/default/differences")
    assert (answered.status_code, answered.json()["code"]) == (404, "acs.acs_unknown")
