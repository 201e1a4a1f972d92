"""CPEs are bound and withdrawn by hand over HTTP: by whoever may, once however often asked, with every fault named."""

from __future__ import annotations

from tests.support.api import Api

OLD, NEW = "HWTC00000001", "HWTC0000000A"
WHY = {"reason": "her own router"}
WISH: dict[str, object] = {
    "username": "c1001-s1@isp.example",
    "serial": NEW,
    "template": "tr181-pppoe",
    "values": {"cpe_vlan_id": 100},
    "line_by_hand": True,
    **WHY,
}


async def test_a_cpe_is_withdrawn_and_another_one_bound_once_however_often_asked(any_api: Api) -> None:
    gone = await any_api.post(f"/devices/{OLD.lower()}/withdraw", WHY, role="noc")
    assert (gone.status_code, gone.json()["state"], gone.json()["service_id"]) == (200, "withdrawn", 1)
    bound = await any_api.post("/devices", WISH, role="noc", key="k1")
    assert (bound.status_code, bound.headers["location"]) == (201, f"/api/v1/devices/{NEW}")
    assert (bound.json()["state"], bound.json()["customer_id"]) == ("awaiting_first_inform", 1001)
    same = await any_api.post("/devices", WISH, role="noc", key="k1")
    assert (same.json(), same.headers["idempotent-replay"]) == (bound.json(), "true")

    entries = await any_api.audit()
    again = await any_api.post("/devices", WISH, role="noc")
    assert (again.status_code, again.json()) == (200, bound.json())
    assert await any_api.audit() == entries
    bind, withdraw = entries[0], entries[1]
    assert (bind["action"], bind["before"], bind["subject"]) == ("devices provision", None, f"device/{NEW}")
    assert (withdraw["reason"], withdraw["before"]["state"]) == ("her own router", "accepted_unverifiable")

    changed = await any_api.post("/devices", {**WISH, "values": {"cpe_vlan_id": 101}}, role="noc")
    assert changed.status_code == 201
    entry = (await any_api.audit())[0]
    assert (entry["before"]["revision"], entry["after"]["revision"]) == (
        bound.json()["revision"],
        changed.json()["revision"],
    )
    assert bound.json()["revision"] != changed.json()["revision"]


async def test_what_stands_in_the_way_is_told_and_nobody_else_goes_through(api: Api) -> None:
    for path in ("/devices", f"/devices/{OLD}/withdraw"):
        assert (await api.post(path, WISH if path == "/devices" else WHY, role="dispatch")).status_code == 403, path
    refused = {
        "provisioning.invalid_request": (422, WISH),
        "acs.serial_malformed": (422, {**WISH, "serial": "/x/"}),
        "radius.subscriber_unknown": (404, {**WISH, "username": "nobody@isp.example"}),
        "service.under_way": (409, {**WISH, "username": "c1002-s2@isp.example"}),
    }
    for code, (status, wish) in refused.items():
        answer = await api.post("/devices", wish)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await api.post(f"/devices/{NEW}/withdraw", WHY)).json()["code"] == "acs.device_unknown"

    assert (await api.post(f"/devices/{OLD}/withdraw", WHY)).status_code == 200
    refused = {
        "device.olt_has_old_cpe": (409, {**WISH, "line_by_hand": False}),
        "acs.template_unknown": (422, {**WISH, "template": "acme"}),
        "acs.template_inputs_refused": (422, {**WISH, "values": {"cpe_vlan_id": 5000, "colour": "red"}}),
    }
    for code, (status, wish) in refused.items():
        answer = await api.post("/devices", wish)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert "colour is no input of it" in answer.text and "cpe_vlan_id is 5000, the most is 4094" in answer.text
    assert (await api.get(f"/devices/{NEW}")).status_code == 404


async def test_a_list_is_bound_as_a_whole_or_not_at_all(api: Api) -> None:
    assert (await api.post(f"/devices/{OLD}/withdraw", WHY)).status_code == 200
    entries = await api.audit()
    listed = f"serial,username,cpe_vlan_id\n{NEW},{WISH['username']},100\n"
    sound: dict[str, object] = {"content": listed, "template": "tr181-pppoe", "line_by_hand": True, **WHY}
    assert (await api.post("/devices/imports", sound, role="dispatch")).status_code == 403
    tried = await api.post("/devices/imports", {**sound, "dry_run": True}, role="noc")
    assert tried.json() == {"lines": 1, "bound": 1, "unchanged": 0, "dry_run": True}
    wrong = await api.post("/devices/imports", {**sound, "content": listed + "/x/,nobody@isp.example,5000\n"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "device.list_refused")
    assert "line 3" in wrong.text and "is none" in wrong.text
    much = await api.post("/devices/imports", {**sound, "content": listed + f"{NEW},x,1\n" * 500})
    assert (much.status_code, "a request takes 500 at most" in much.text) == (422, True)
    assert (await api.get(f"/devices/{NEW}")).status_code == 404
    assert await api.audit() == entries

    assert (await api.post("/devices/imports", sound, role="noc")).json()["bound"] == 1
    assert (await api.post("/devices/imports", sound)).json()["unchanged"] == 1
    assert len(await api.audit()) == len(entries) + 1


async def test_the_description_names_permission_key_and_refusals(api: Api) -> None:
    described = (await api.client.get("/openapi.json")).json()
    for path in ("/api/v1/devices", "/api/v1/devices/imports", "/api/v1/devices/{serial}/withdraw"):
        door = described["paths"][path]["post"]
        assert (door["x-permission"], door["parameters"][-1]["name"]) == ("devices.operate", "Idempotency-Key")
        assert {"409", "422"} <= set(door["responses"])
