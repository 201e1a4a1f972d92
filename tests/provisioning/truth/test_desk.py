"""The truth about one subscriber on a whole estate: every side is asked, and what was spoilt behind our back shows."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, insert, update

from provisioning.access import ROLES
from provisioning.bootstrap import Appliance
from provisioning.sight import ALL_SIGHT, Sight
from provisioning.truth import Comparison, SubscriberMoved, Truth
from radius import SubscriberUnknown
from radius.projection.freeradius_tables import radcheck, radreply

DONE = "c1001-s1@isp.example"


async def look(appliance: Appliance, sight: Sight = ALL_SIGHT) -> Truth:
    async with appliance.database.read() as db:
        return await appliance.truth_desk(db, sight).look(DONE)


def of(truth: Truth, matter: str) -> Comparison:
    return next(each for each in truth.comparisons if each.matter == matter)


async def test_a_healthy_subscriber_agrees_on_every_side_that_can_be_asked(spoilable: Appliance) -> None:
    truth = await look(spoilable)
    assert truth.differences == []
    assert truth.agrees
    login, address = of(truth, "login"), of(truth, "ipv4")
    assert (login.wanted.value, login.radius.value, login.session.value) == ("let in", "let in", "online")
    assert address.wanted.value == address.radius.value == address.session.value != None  # noqa: E711
    assert address.session.source.startswith("accounting of ")
    assert address.session.at is not None and address.wanted.at is not None and address.radius.at is not None
    settings = of(truth, "settings")
    assert settings.cpe.value == "as they shall be"
    assert of(truth, "plan").radius.value == of(truth, "plan").wanted.value
    assert not of(truth, "routes").session.is_known
    assert of(truth, "routes").session.note == "accounting does not tell it"


async def test_an_address_that_was_changed_in_radius_behind_our_back_is_told_with_its_fix(
    spoilable: Appliance,
) -> None:
    async with spoilable.radius_database.begin() as db:
        mine = (radreply.c.username == DONE, radreply.c.attribute == "Framed-IP-Address")
        await db.execute(update(radreply).where(*mine).values(value="203.0.113.77"))
    truth = await look(spoilable)
    [difference] = truth.differences
    assert (difference.matter, difference.side, difference.fix) == ("ipv4", "radius", "set-right")
    assert "ipv4 is 203.0.113.77 instead of " in difference.sentence
    assert of(truth, "ipv4").differs == ["radius"]
    async with spoilable.database.begin() as db:
        changed = await spoilable.subscriber_desk(db).set_right(DONE)
    await spoilable.projector.project_subscriber(changed["subscriber"]["subscriber_id"])
    truth = await look(spoilable)
    assert truth.differences == []
    assert truth.asked[0].act == "set right"
    assert truth.asked[0].standing == "asked_for"


async def test_a_password_that_was_changed_in_radius_shows_as_such_and_is_not_shown(spoilable: Appliance) -> None:
    async with spoilable.radius_database.begin() as db:
        mine = (radcheck.c.username == DONE, radcheck.c.attribute.like("%Password%"))
        await db.execute(update(radcheck).where(*mine).values(value="hunter2"))
    truth = await look(spoilable)
    [difference] = truth.differences
    assert (difference.matter, difference.fix) == ("other_rows", "set-right")
    assert difference.sentence == "RADIUS has other rows than we write."
    assert "hunter2" not in repr(truth)


async def test_a_refusal_by_hand_and_rows_that_are_gone_are_told(spoilable: Appliance) -> None:
    async with spoilable.radius_database.begin() as db:
        await db.execute(delete(radcheck).where(radcheck.c.username == DONE))
        await db.execute(insert(radcheck).values(username=DONE, attribute="Auth-Type", op=":=", value="Reject"))
    truth = await look(spoilable)
    assert of(truth, "login").radius.value == "refused"
    assert truth.differences[0].sentence == "RADIUS has other rows than we write: login is refused instead of let in."


async def test_a_suspended_one_whose_session_goes_on_is_a_difference_that_a_disconnection_ends(
    spoilable: Appliance,
) -> None:
    async with spoilable.database.begin() as db:
        changed = await spoilable.subscriber_desk(db).suspend(DONE)
    await spoilable.projector.project_subscriber(changed["subscriber"]["subscriber_id"])
    truth = await look(spoilable)
    [difference] = truth.differences
    assert (difference.matter, difference.side, difference.fix) == ("login", "session", "disconnect")
    assert of(truth, "login").radius.value == "refused"


async def test_who_does_not_see_cpes_is_told_so_and_everybody_else_sees_them(spoilable: Appliance) -> None:
    hidden = await look(spoilable, Sight(frozenset({"subscribers.read"})))
    assert hidden.devices == []
    assert not of(hidden, "ipv4").cpe.is_known
    assert of(hidden, "ipv4").cpe.note == "your role does not see CPEs"
    assert [each for each in hidden.comparisons if each.matter == "settings"] == []
    for role in ("admin", "noc", "dispatch", "read-only"):
        assert (await look(spoilable, Sight(ROLES[role]))).devices != []


async def test_without_an_acs_to_ask_readings_are_not_known_and_say_why(spoilable: Appliance) -> None:
    spoilable.settings = spoilable.settings.model_copy(update={"genieacs_nbi_url": None})
    truth = await look(spoilable)
    assert truth.readings == []
    assert not of(truth, "ipv4").cpe.is_known
    assert "FIRSTLIGHT_GENIEACS_NBI_URL" in of(truth, "ipv4").cpe.note
    assert truth.sentence.endswith("The ACS could not be asked.")


async def test_an_act_is_taken_on_what_was_seen(spoilable: Appliance) -> None:
    async with spoilable.database.read() as db:
        seen = await spoilable.truth_desk(db, ALL_SIGHT).mark(DONE)
    async with spoilable.database.begin() as db:
        await spoilable.truth_desk(db, ALL_SIGHT).require_seen(DONE, seen)
        await spoilable.subscriber_desk(db).disconnect(DONE)
        with pytest.raises(SubscriberMoved):
            await spoilable.truth_desk(db, ALL_SIGHT).require_seen(DONE, seen)


async def test_who_nobody_is_has_no_truth(spoilable: Appliance) -> None:
    async with spoilable.database.read() as db:
        with pytest.raises(SubscriberUnknown):
            await spoilable.truth_desk(db, ALL_SIGHT).look("nobody@isp.example")
