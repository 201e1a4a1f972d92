"""Signing in and out: one answer for all that is wrong, a new session each time, and forms that only our pages send."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from provisioning.access import Invitations, Users
from provisioning.access.console_sessions import LASTS
from provisioning.access.sign_ins import OF_A_NAME_FROM_AN_ADDRESS
from provisioning.console import first_link
from tests.support.console import PASSWORD, SAME_ORIGIN, Console, add_user


async def test_who_signs_in_comes_to_where_they_wanted_to_go(any_console: Console) -> None:
    await add_user(any_console.appliance, "nora", "noc")
    person = any_console.anybody()
    turned_away = await person.get("/runs?state=held")
    assert (turned_away.status_code, turned_away.headers["location"]) == (303, "/sign-in?next=/runs%3Fstate%3Dheld")
    page = await person.get(turned_away.headers["location"])
    assert 'name="next" value="/runs?state=held"' in page.text
    answer = await person.sign_in(" NORA ", next="/runs?state=held")
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?state=held")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie
    shown = await person.get("/runs?state=held")
    assert shown.status_code == 200 and "nora of the test" in shown.text


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "", "javascript:x"]
)
async def test_nobody_is_led_elsewhere_by_signing_in(console: Console, elsewhere: str) -> None:
    await add_user(console.appliance, "nora", "noc")
    answer = await console.anybody().sign_in("nora", next=elsewhere)
    assert (answer.status_code, answer.headers["location"]) == (303, "/home")


async def test_behind_tls_the_cookie_never_goes_without(console: Console) -> None:
    await add_user(console.appliance, "nora", "noc")
    person = console.anybody()
    person.client.base_url = "https://isp.test"
    assert "Secure" in (await person.sign_in("nora")).headers["set-cookie"]


async def test_an_unknown_name_and_a_wrong_password_look_the_same(console: Console) -> None:
    await add_user(console.appliance, "nora", "noc")
    await add_user(console.appliance, "gone", "noc")
    async with console.appliance.database.begin() as db:
        users = Users(db, tenant_id=console.appliance.tenant_id, now=console.appliance.clock)
        await users.disable("gone")
        await users.add(login_name="invited", display_name="Ivo", role="noc")
    person = console.anybody()
    tries = [("nora", "x"), ("nobody", PASSWORD), ("gone", PASSWORD), ("invited", ""), ("nora", PASSWORD + " ")]
    answers = [await person.sign_in(name, password) for name, password in tries]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text.replace(name, "") for answer, (name, _) in zip(answers, tries, strict=True)}) == 1
    assert all("set-cookie" not in answer.headers for answer in answers)


async def test_who_guesses_is_stopped_and_others_are_not(console: Console) -> None:
    await add_user(console.appliance, "nora", "noc")
    await add_user(console.appliance, "paul", "noc")
    person = console.anybody()
    statuses = [(await person.sign_in("nora", "guess")).status_code for _ in range(OF_A_NAME_FROM_AN_ADDRESS + 1)]
    assert statuses == [401] * OF_A_NAME_FROM_AN_ADDRESS + [429]
    assert (await person.sign_in("nora")).status_code == 429
    assert (await person.sign_in("paul")).status_code == 303


async def test_a_session_ends_by_sign_out_by_time_and_with_its_person(any_console: Console) -> None:
    appliance = any_console.appliance
    nora = await any_console.somebody("noc")
    out = await nora.send("/sign-out", page="/queue")
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    await nora.sign_in("noc")
    kept = nora.client.cookies["firstlight_session"]
    assert (await nora.get("/queue")).status_code == 200
    clock = appliance.clock
    appliance.clock = lambda: clock() + LASTS
    assert (await nora.get("/queue")).status_code == 303
    appliance.clock = clock
    assert (await nora.get("/queue")).status_code == 200
    async with appliance.database.begin() as db:
        await Users(db, tenant_id=appliance.tenant_id, now=clock).disable("noc")
    assert (await nora.get("/queue")).headers["location"].startswith("/sign-in")
    assert kept


async def test_a_form_that_was_sent_when_the_session_was_over_is_said_not_to_have_been_taken(console: Console) -> None:
    nobody, act = console.anybody(), "/runs/3/acts/retry-from"
    came = {**SAME_ORIGIN, "Referer": f"http://isp.test{act}?from_step=visit"}
    turned_away = await nobody.client.post(act, data={"reason": "x"}, headers=came)
    assert turned_away.headers["location"] == f"/sign-in?next={act}%3Ffrom_step%3Dvisit&sent=yes"
    page = (await nobody.get(turned_away.headers["location"])).text
    assert "nothing was done: sign in, and send it again" in page
    assert f'name="next" value="{act}?from_step=visit"' in page
    for elsewhere in (
        "http://evil.test/x",
        "http://isp.test/home",
        "http://isp.test/sign-in?next=/queue",
        "",
        "::",
        "http://[",
    ):
        answer = await nobody.client.post(act, headers={**SAME_ORIGIN, "Referer": elsewhere})
        assert answer.headers["location"] == "/sign-in?sent=yes", elsewhere
    out = await nobody.client.post("/sign-out", headers={**SAME_ORIGIN, "Referer": "http://isp.test/queue"})
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in"), "that is what they wanted"
    nowhere = await nobody.get("/queue/now", headers={"HX-Request": "true", "HX-Current-URL": "http://["})
    assert (nowhere.status_code, nowhere.headers["hx-redirect"]) == (200, "/sign-in")
    part = {"HX-Request": "true", "HX-Current-URL": "http://isp.test/queue?step=visit"}
    led = await nobody.get("/queue/now?step=visit", headers=part)
    assert (led.status_code, led.headers["hx-redirect"]) == (200, "/sign-in?next=/queue%3Fstep%3Dvisit")


async def test_signing_in_ends_the_session_before_and_begins_a_new_one(console: Console) -> None:
    nora = await console.somebody("noc")
    before = nora.client.cookies["firstlight_session"]
    await nora.sign_in("noc")
    assert nora.client.cookies["firstlight_session"] != before
    other = console.anybody()
    other.client.cookies.set("firstlight_session", before)
    assert (await other.get("/queue")).status_code == 303


async def test_nothing_of_a_session_that_could_be_used_is_kept(console: Console) -> None:
    nora = await console.somebody("noc")
    token = nora.client.cookies["firstlight_session"]
    async with console.appliance.database.read() as db:
        rows = (await db.execute(text("SELECT * FROM console_session"))).all()
        users = (await db.execute(text("SELECT password_hash FROM console_user"))).scalars().all()
    assert token not in repr(rows) and token.encode() not in [value for row in rows for value in row]
    assert PASSWORD not in repr(users) and all(hashed.startswith("$argon2id$") for hashed in users)


async def test_a_form_that_no_page_of_ours_has_sent_does_nothing(console: Console) -> None:
    nora = await console.somebody("noc")
    page = await nora.get("/queue")
    token = page.text.partition('name="form_token" value="')[2].partition('"')[0]
    other = await (await console.somebody("admin")).get("/queue")
    others = other.text.partition('name="form_token" value="')[2].partition('"')[0]
    good = {"form_token": token}
    for form, headers in (
        ({}, SAME_ORIGIN),
        ({"form_token": "0" * 64}, SAME_ORIGIN),
        ({"form_token": others}, SAME_ORIGIN),
        (good, {"Sec-Fetch-Site": "cross-site"}),
        (good, {"Sec-Fetch-Site": "same-site"}),
        (good, {"Sec-Fetch-Site": "none"}),
        (good, {"Origin": "https://evil.example"}),
        (good, {"Origin": "null"}),
        (good, {"Origin": "http://["}),
    ):
        answer = await nora.client.post("/sign-out", data=form, headers=headers)
        assert answer.status_code == 403, (form, headers)
        assert "This was not sent from a page of this console" in answer.text
    json = await nora.client.post("/sign-out", json=good, headers=SAME_ORIGIN)
    assert json.status_code == 415
    assert (await nora.get("/queue")).status_code == 200
    assert (await nora.client.post("/sign-out", data=good, headers={"Origin": "http://isp.test"})).status_code == 303


async def test_a_sign_in_from_elsewhere_is_refused_too(console: Console) -> None:
    await add_user(console.appliance, "nora", "noc")
    form = {"login_name": "nora", "password": PASSWORD}
    answer = await console.anybody().client.post("/sign-in", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers


async def test_the_first_start_makes_a_link_that_makes_an_administrator_once(any_console: Console) -> None:
    link = await first_link(any_console.appliance, base="http://isp.test")
    assert link is not None and link.startswith("http://isp.test/welcome/")
    newer = await first_link(any_console.appliance, base="http://isp.test")
    assert newer is not None
    person, path = any_console.anybody(), newer.removeprefix("http://isp.test")
    assert (await person.get(link.removeprefix("http://isp.test"))).status_code == 410
    assert "Nobody can sign in yet" in (await person.get(path)).text
    faulty = await person.send(path, {"login_name": "N N", "display_name": "", "password": "short", "again": "other"})
    assert faulty.status_code == 422
    for fault in ("other characters than letters", "is missing", "has fewer than 12 characters", "is another password"):
        assert fault in faulty.text, fault
    assert "short" not in faulty.text
    form = {"login_name": "Nora", "display_name": "Nora Bell", "password": PASSWORD, "again": PASSWORD}
    done = await person.send(path, form)
    assert (done.status_code, done.headers["location"]) == (303, "/home")
    assert "Nora Bell" in (await person.get("/queue")).text
    assert (await any_console.anybody().get(path)).status_code == 410
    assert await first_link(any_console.appliance, base="http://isp.test") is None
    assert (await any_console.anybody().sign_in("nora")).status_code == 303


async def test_an_invitation_sets_a_password_and_signs_everybody_else_out(console: Console) -> None:
    appliance = console.appliance
    before = await console.somebody("noc")
    async with appliance.database.begin() as db:
        user = await Users(db, tenant_id=appliance.tenant_id, now=appliance.clock).user("noc")
        links = Invitations(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        made = await links.make(user_id=user.user_id, by="a test")
    person, new = console.anybody(), "another long password"
    assert (await person.send(made.path, {"password": new, "again": new})).status_code == 303
    assert (await before.get("/queue")).status_code == 303
    assert (await console.anybody().sign_in("noc")).status_code == 401
    assert (await console.anybody().sign_in("noc", new)).status_code == 303


async def test_an_invitation_is_over_after_a_day(console: Console) -> None:
    appliance = console.appliance
    path = str(await first_link(appliance, base=""))
    clock = appliance.clock
    appliance.clock = lambda: clock() + timedelta(hours=24)
    assert (await console.anybody().get(path)).status_code == 410
