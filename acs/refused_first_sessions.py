"""CPEs that were told nothing in their first session: when, why in words, and what to do; for an operator alone.

A CPE may claim any serial number, and may ask as often as it likes. So a bound one has it in its own row; of serials
that are bound to nobody there is one row each, in a list that is halved when it is full; and the same is written down
again only after a minute. No code is kept, and nobody is alarmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from shlex import quote
from typing import Any, NamedTuple

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from acs.commands import WHY, command_about
from acs.ports import Now
from acs.tables import AcsDevice, AcsRefusedSerial

MOST_UNBOUND = 1000
"""Serial numbers that serve nobody; a full list keeps its newer half: whoever fills it hides no one for long."""
AGAIN_AFTER = timedelta(minutes=1)


class Cause(NamedTuple):
    """Why, as a sentence, and what to do about it; ``told_of`` puts in the commands and the ACS."""

    words: str
    remedy: str


_ITS_CODE = "Give it the code that `{codes}` tells"
_BY_TASK = "once it is bound, it gets its settings by a task all the same"
CAUSES: Mapping[str, Cause] = {
    "no_code": Cause(
        "No provisioning code can be checked here: none was ever told, or the key of all codes does not open.",
        f"{_ITS_CODE}; {_BY_TASK}.",
    ),
    "wrong_code": Cause(
        "It did not show the provisioning code of its serial number.",
        f"{_ITS_CODE}; {_BY_TASK}. If it has that code, another CPE claims its serial number.",
    ),
    "old_code": Cause(
        "It showed its code of before the key was rotated, which is good no more.", f"{_ITS_CODE}; {_BY_TASK}."
    ),
    "not_waiting": Cause(
        "It has proven who it is, but no settings waited for it then: it was bound to nobody, its settings had failed,"
        " or somebody was giving them to it.",
        "Bind it, if it is not (`{provision}`); otherwise its state says how far it is.",
    ),
    "not_its_first": Cause(
        "It has proven who it is, and has had settings before.", "Nothing: it gets them again by a task, as a repair."
    ),
    "ambiguous": Cause(
        "It has proven who it is, but several CPEs at the ACS carry its serial number.",
        "Find out which one is the customer's, and delete the other in GenieACS.",
    ),
    "other_acs": Cause(
        "It has proven who it is, but reports to ACS {acs}, and is bound to another.",
        "`{move}`, or set in the CPE where it is to report.",
    ),
    "wrong_data_model": Cause(
        "It has proven who it is, but speaks another data model than its template is for.",
        "Give it a template that fits the model (`{provision}`).",
    ),
    "wrong_model": Cause(
        "It has proven who it is, but its template is for another maker's CPEs, or another model of them.",
        "Give it a template that fits the model (`{provision}`).",
    ),
    "settings_unsendable": Cause(
        "It has proven who it is, but a secret of its settings does not open or cannot be sent.",
        "Set that secret anew (`{render}` names them), or restore the keyring.",
    ),
}
"""By the slug that ``FirstSessions`` logs."""


class RefusedFirstSession(TypedDict):
    """The last time that nothing was handed out, to whoever claimed this serial number at that ACS."""

    refused_at: datetime
    why: str
    acs_name: str
    words: str
    remedy: str


def told_of(serial: str, at: datetime | None, why: str | None, acs_name: str | None) -> RefusedFirstSession | None:
    """A refusal as an operator is told it; None where there was none."""
    if at is None or why is None or acs_name is None:
        return None
    cause = CAUSES[why]
    return RefusedFirstSession(
        refused_at=at,
        why=why,
        acs_name=acs_name,
        words=cause.words.format(acs=acs_name),
        remedy=cause.remedy.format_map(_commands(serial, acs_name)),
    )


def _commands(serial: str, acs_name: str) -> dict[str, str]:
    return {
        "codes": command_about("devices acs codes", serial),
        "provision": command_about("devices provision", serial, "USERNAME", options=f"--template ... {WHY}"),
        "move": command_about("devices move", serial, options=f"--acs {quote(acs_name)} {WHY}"),
        "render": command_about("devices render", serial, options=""),
    }


class RefusedFirstSessions:
    """Notes them for one tenant, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def note(self, *, serial: str, acs_name: str, why: str) -> None:
        """Write it down, at the CPE's row or in the list; nothing is written when just that stands there already."""
        facts: dict[str, Any] = {"refused_at": self._now(), "refused_why": why, "refused_by": acs_name}
        before = facts["refused_at"] - AGAIN_AFTER
        mine = (AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial == serial, AcsDevice.state != "withdrawn")
        bound = (await self._db.execute(select(AcsDevice.id).where(*mine))).scalar_one_or_none()
        if bound is None:
            await self._note_unbound(serial, facts, before)
            return
        is_news = or_(AcsDevice.refused_at.is_(None), AcsDevice.refused_at <= before, AcsDevice.refused_why != why)
        await self._db.execute(
            update(AcsDevice)
            .where(AcsDevice.id == bound, *mine, is_news)
            .values(facts)
            .execution_options(synchronize_session=False)
        )

    async def _note_unbound(self, serial: str, facts: dict[str, Any], before: datetime) -> None:
        mine = AcsRefusedSerial.tenant_id == self._tenant_id
        insert = insert_postgresql if self._db.get_bind().dialect.name == "postgresql" else insert_sqlite
        made = insert(AcsRefusedSerial).values(tenant_id=self._tenant_id, serial=serial, **facts)
        await self._db.execute(
            made.on_conflict_do_update(
                index_elements=["tenant_id", "serial"],
                set_=facts,
                where=or_(AcsRefusedSerial.refused_at <= before, AcsRefusedSerial.refused_why != facts["refused_why"]),
            )
        )
        held = await self._db.scalar(select(func.count()).select_from(AcsRefusedSerial).where(mine)) or 0
        if held <= MOST_UNBOUND:
            return
        newest = select(AcsRefusedSerial.id).where(mine)
        newest = newest.order_by(AcsRefusedSerial.refused_at.desc(), AcsRefusedSerial.id.desc())
        await self._db.execute(
            delete(AcsRefusedSerial)
            .where(mine, AcsRefusedSerial.id.not_in(newest.limit(MOST_UNBOUND // 2)))
            .execution_options(synchronize_session=False)
        )
