"""Outgoing webhooks over HTTP: a secret is shown once and kept nowhere, and of two operators one looks again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from tests.support.api import Api

URL = "https://hooks.example/in/token-of-theirs"
WISH: dict[str, Any] = {"url": URL, "event_types": ["run.state_changed"]}
HELD = 3


async def kept(api: Api) -> str:
    """All that the database has of requests and changes."""
    async with api.appliance.database.read() as db:
        answers = await db.scalars(text("SELECT body FROM idempotency_key"))
        entries = await db.execute(text("SELECT before, after FROM audit_entry"))
        return " ".join(map(str, [*map(bytes, answers), *entries]))


async def test_a_secret_is_shown_once_and_is_in_no_copy_of_the_answer(any_api: Api) -> None:
    added = await any_api.post("/webhooks", WISH, key="w-1")
    assert added.status_code == 201, added.text
    secret = added.json()["secret"]
    assert secret.startswith("whsec_")
    again = await any_api.post("/webhooks", WISH, key="w-1")
    assert (again.status_code, again.headers["idempotent-replay"]) == (201, "true")
    assert again.json() == added.json() | {"secret": None}
    address = added.headers["location"]
    shown = await any_api.get(address)
    assert shown.headers["etag"] == added.headers["etag"]
    assert (shown.json()["state"], "secret" in shown.json()) == ("enabled", False)
    assert [hook["url"] for hook in (await any_api.get("/webhooks")).json()["items"]] == [URL]

    rotated = await any_api.post(f"{address}/rotate-secret", {"keep_hours": 0}, match=shown.headers["etag"])
    assert rotated.status_code == 200, rotated.text
    assert rotated.json()["secret"] not in (None, secret)
    entry = (await any_api.audit(subject="webhook/1"))[0]
    assert (entry["action"], entry["before"]["state"], entry["after"]["state"]) == (
        "webhooks rotate-secret",
        "enabled",
        "enabled",
    )
    copies = await kept(any_api)
    assert secret not in copies and rotated.json()["secret"] not in copies and URL in copies
    assert "token-of-theirs" not in str(await any_api.audit())


async def test_of_two_operators_the_second_looks_again(any_api: Api) -> None:
    address = (await any_api.post("/webhooks", WISH)).headers["location"]
    etag = (await any_api.get(address)).headers["etag"]
    rotation = {"keep_hours": 0}
    assert (await any_api.post(f"{address}/rotate-secret", rotation)).status_code == 428
    first = await any_api.post(f"{address}/rotate-secret", rotation, match=etag)
    second = await any_api.post(f"{address}/rotate-secret", rotation, match=etag)
    assert (first.status_code, second.status_code, second.json()["code"]) == (200, 412, "api.precondition_failed")
    disabled = await any_api.post(f"{address}/disable", {"reason": "they move"}, match=first.headers["etag"])
    assert (disabled.status_code, disabled.json()["state"]) == (200, "disabled")
    late = await any_api.post(f"{address}/enable", match=first.headers["etag"])
    assert late.status_code == 412
    refused = await any_api.post(f"{address}/replay", {"since": "2026-01-01T00:00:00Z"})
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook.disabled")
    enabled = await any_api.post(f"{address}/enable", match=disabled.headers["etag"])
    assert (enabled.json()["state"], enabled.json()["disable_reason"]) == ("enabled", None)
    reasons = [entry["reason"] for entry in await any_api.audit(subject="webhook/1")]
    assert reasons == [None, "they move", None, None]


async def test_what_a_webhook_was_told_is_listed_by_state_and_told_again(api: Api) -> None:
    address = (await api.post("/webhooks", WISH)).headers["location"]
    await api.post(f"/runs/{HELD}/cancel", {"reason": "a change of mind"}, match="*")
    [told] = (await api.get(f"{address}/deliveries?state=queued")).json()["items"]
    assert (told["type"], told["subject"], told["state"]) == ("run.state_changed", f"run/{HELD}", "queued")
    async with api.appliance.database.begin() as db:
        await db.execute(text("UPDATE webhook_delivery SET state = 'failed', attempts = 14, last_error = '503'"))
    assert (await api.get(f"{address}/deliveries?state=queued&state=delivered")).json()["items"] == []
    replayed = await api.post(f"{address}/replay", {"message_id": told["message_id"], "only_failed": True})
    assert replayed.json() == {"webhook_id": 1, "queued": 1}
    [again] = (await api.get(f"{address}/deliveries")).json()["items"]
    assert (again["message_id"], again["state"], again["attempts"]) == (told["message_id"], "queued", 0)
    unknown = await api.post(f"{address}/replay", {"message_id": "msg_none"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "webhook.message_unknown")
    assert (await api.get("/webhooks/9/deliveries")).status_code == 404


async def test_what_cannot_be_a_webhook_is_refused_with_every_fault_and_to_admins_alone(api: Api) -> None:
    refused = await api.post("/webhooks", {"url": "http://10.0.0.1/in", "event_types": ["tea.ready"]})
    assert (refused.status_code, {fault["field"] for fault in refused.json()["errors"]}) == (
        422,
        {"url", "event_types"},
    )
    assert (await api.get("/webhooks", role="noc")).status_code == 403
    assert (await api.get("/webhooks", role="read-only")).status_code == 403


async def test_an_act_on_a_webhook_is_previewed(any_api: Api) -> None:
    added = await any_api.post("/webhooks", {"url": "https://crm.example/in", "event_types": ["pool.critical"]})
    path = f"/webhooks/{added.json()['webhook_id']}/preview"
    seen = (await any_api.get(path, params={"verb": "replay"})).json()
    assert (seen["verb"], seen["refused"]) == ("replay", None)
    assert seen["touches"][0].startswith("No messages are sent to it once more")
    assert (await any_api.get(path, params={"verb": "enable"})).json()["refused"].startswith("It is enabled;")
    assert (await any_api.get(path, params={"verb": "replay"}, role="noc")).status_code == 403
