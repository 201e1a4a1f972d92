"""``POST /subscribers``: one without a service, made once."""

from __future__ import annotations

from typing import Any

from tests.support.api import Api

WISH: dict[str, Any] = {"username": "new1@isp.example", "customer_id": 2003, "plan": "fiber-300", "reason": "by hand"}


async def test_the_same_again_is_answered_200_and_is_no_change_for_the_audit(any_api: Api) -> None:
    made = await any_api.post("/subscribers", WISH)
    assert made.status_code == 201, made.text
    count = len(await any_api.audit(limit=200))
    again = await any_api.post("/subscribers", WISH)
    assert (again.status_code, again.json()) == (200, made.json())
    assert again.headers["location"] == made.headers["location"]
    assert len(await any_api.audit(limit=200)) == count


async def test_one_that_was_ended_is_made_anew_and_the_audit_says_what_it_was(any_api: Api) -> None:
    await any_api.post("/subscribers", WISH)
    assert (await any_api.post(f"/subscribers/{WISH['username']}/end", {"reason": "gone"})).status_code == 200
    assert (await any_api.post("/subscribers", WISH)).status_code == 201
    [entry] = await any_api.audit(limit=1)
    assert (entry["before"]["state"], entry["after"]["state"]) == ("terminated", "pending")
