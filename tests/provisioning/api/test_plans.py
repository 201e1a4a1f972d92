"""Plans, and who a subscriber is, by API."""

from __future__ import annotations

from typing import Any

from tests.support.api import Api

DONE = "c1001-s1@isp.example"
WHY = {"reason": "order 4711"}


async def items(api: Api, path: str) -> list[dict[str, Any]]:
    """What stands on the first page."""
    found: list[dict[str, Any]] = (await api.get(path)).json()["items"]
    return found


async def test_a_plan_is_tried_defined_and_told_to_whom_it_serves(api: Api) -> None:
    plans = {plan["name"]: plan for plan in await items(api, "/plans")}
    assert plans["fiber-300"]["subscribers"] == 3
    terms = {"download_kbps": 400_000, "upload_kbps": 100_000, **WHY}
    tried = await api.post("/plans/fiber-300/try?dialect=mikrotik", terms)
    assert tried.json()[1]["rows"][0]["value"] == "100000k/400000k"
    assert (await api.get("/plans/fiber-300")).json()["terms"] == plans["fiber-300"]["terms"]

    defined = await api.post("/plans/fiber-300/define", terms)
    assert (defined.status_code, defined.json()["projected"]) == (200, False)
    assert (await api.get("/plans/fiber-300/rows?dialect=mikrotik")).json() == tried.json()
    applied = await api.post("/plans/fiber-300/apply", {"limit": 2, **WHY})
    on_it = await items(api, "/subscribers?plan=fiber-300")
    served = [each["username"] for each in on_it if each["state"] in ("testing", "active", "suspended")]
    assert (len(on_it), DONE in served) == (4, True)
    assert applied.json() == {"plan": "fiber-300", "subscribers": len(served), "sessions": None}
    assert len(await items(api, "/session-changes?pending=true")) == len(served)

    refused = await api.post("/plans/fiber-300/define", {"download_kbps": 0, "upload_kbps": 1, **WHY})
    assert (refused.status_code, refused.json()["code"]) == (422, "radius.plan_refused")
    misspelt = await api.post("/plans/fiber-300/define", {"downlod_kbps": 1, "upload_kbps": 1, **WHY})
    assert misspelt.json()["errors"][1] == {
        "pointer": "#/downlod_kbps",
        "detail": "is not known here; did you mean download_kbps?",
    }
    assert (await api.get("/plans/none")).status_code == 404


async def test_where_a_plan_keeps_its_subscribers_out_is_asked_by_its_name(api: Api) -> None:
    terms = {"download_kbps": 100_000, "upload_kbps": 20_000, "vrf": "biz", **WHY}
    refused = await api.post("/plans/business/define", terms)
    assert (refused.status_code, refused.json()["code"]) == (422, "radius.terms_not_expressible")
    assert (await api.post("/plans/business/define", {**terms, "where_untold": "refuse_login"})).status_code == 200
    faults = ["a NAS of dialect mikrotik cannot be told a VRF"]
    assert (await api.get("/plans/business/untold")).json() == [
        {"plan": "business", "nas": "bng-north", "faults": faults}
    ]
    assert (await api.get("/nas/bng-north/untold")).json() == (await api.get("/plans/business/untold")).json()
    another = {"name": "bng-cisco", "address": "198.51.100.77", "dialect": "cisco", **WHY}
    assert (await api.post("/nas", another)).status_code == 201
    assert (await api.get("/nas/bng-cisco/untold")).json() == []
    assert (await api.get("/nas/nowhere/untold")).status_code == 404
    assert (await api.get("/plans/fiber-300/untold")).json() == []
    assert (await api.get("/plans/none/untold")).status_code == 404


async def test_the_same_terms_again_and_telling_nobody_are_no_change_for_the_audit(any_api: Api) -> None:
    terms = {"download_kbps": 400_000, "upload_kbps": 100_000, **WHY}
    defined = await any_api.post("/plans/gamer/define", terms)
    assert (defined.status_code, defined.json()["version"]) == (200, 1)
    count = len(await any_api.audit(limit=200))
    again = await any_api.post("/plans/gamer/define", terms)
    assert (again.status_code, again.json()) == (200, defined.json())
    applied = await any_api.post("/plans/gamer/apply", WHY)
    assert applied.json() == {"plan": "gamer", "subscribers": 0, "sessions": None}
    assert len(await any_api.audit(limit=200)) == count
    faster = await any_api.post("/plans/gamer/define", {**terms, "download_kbps": 500_000})
    assert faster.json()["version"] == 2
    assert [each["action"] for each in (await any_api.audit(limit=200))[:-count]] == ["plans define"]


async def test_a_subscriber_is_identified_renamed_bound_and_unbound(api: Api) -> None:
    path = f"/subscribers/{DONE}"
    identified = await api.post(f"{path}/identify", {"external_id": "ERP-9", **WHY})
    assert identified.json()["external_id"] == "ERP-9"
    [found] = await items(api, "/subscribers?external_id=ERP-9")
    assert found["username"] == DONE
    by_hand = await api.post(f"{path}/rename", {"username": "a@isp.example", "cpe_by_hand": True, **WHY})
    assert (by_hand.status_code, by_hand.json()["cpes_to_be_told"]) == (200, [])
    await api.post("/subscribers/a@isp.example/rename", {"username": DONE, "cpe_by_hand": True, **WHY})
    renamed = await api.post(f"{path}/rename", {"username": "anna@isp.example", **WHY})
    assert (renamed.status_code, renamed.json()["change"]["act"]) == (200, "rename")
    [serial] = renamed.json()["cpes_to_be_told"]
    cpe = (await api.get(f"/devices/{serial}")).json()
    assert cpe["inputs"]["pppoe_username"] == "anna@isp.example"
    assert cpe["applied_revision"] not in (None, cpe["revision"])  # it has the former one
    assert (await api.get(path)).status_code == 404
    path = "/subscribers/anna@isp.example"
    bound = await api.post(f"{path}/bind", {"station": "00-1A-2B-3C-4D-5E", "circuit": "olt 1#2", **WHY})
    assert bound.json()["subscriber"]["line"] == {"station": "001a2b3c4d5e", "circuit": "olt 1#2"}
    nothing = await api.post(f"{path}/bind", WHY)
    assert (nothing.status_code, nothing.json()["code"]) == (422, "radius.line_refused")
    assert (await api.post(f"{path}/unbind", WHY)).json()["subscriber"]["line"] == {}
