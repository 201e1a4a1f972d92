"""What a command changes leaves an audit entry in the same transaction: the words that were typed, and by whom.

Commands act through many services, so it is seen where all of them pass: at the database. A transaction that only read
leaves nothing. ``before`` and ``after`` tell the numbers, states, amounts and times of the rows that the transaction
has changed; of what was typed only numbers and words of a fixed choice are kept beside them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import typer
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import WROTE
from provisioning.access import Deed, filled, keep_deed, note_changes, noted_changes, subject_of
from provisioning.access.keeping import NOT_KEPT
from provisioning.bootstrap import Appliance
from provisioning.cli.account import account
from provisioning.cli.choices import refuse_what_is_no_text
from provisioning.logs import mask_secrets

COMMAND_LINE = "command line"
CHOSEN = frozenset({"state", "outcome", "role", "scope", "scopes", "template", "channel", "team", "priority", "method"})
"""Options whose words are a choice of ours, not somebody's."""
KEPT_BESIDE = frozenset({"by", "reason"})

_NOTHING = "firstlight_changes_nothing"

_TYPED: ContextVar[tuple[str, dict[str, Any]]] = ContextVar("what was typed", default=("", {}))
_TOLD: ContextVar[dict[str, Any] | None] = ContextVar("what the command says itself", default=None)
_CHANGES: ContextVar[list[str]] = ContextVar("what the command has changed so far")
_WRITING = re.compile(r"\s*(?:WITH\b.*?\(\s*)?(?:INSERT|UPDATE|DELETE)\b", re.IGNORECASE | re.DOTALL)


def tells(**facts: Any) -> None:
    """What the audit is to say of this command's change (fields of ``Deed``), where its rows don't pass a flush.

    Told inside of the transaction, or before it; ``after`` comes to what was typed.
    """
    told = _TOLD.get()
    assert told is not None, "a command runs"
    told.update(facts)


def has_changed() -> bool:
    """Whether the command that was typed last has changed anything, and that is committed."""
    return bool(_CHANGES.get([]))


def changes_nothing(db: AsyncSession) -> None:
    """What this transaction writes leaves everything as it was, so the audit has nothing to keep of it."""
    db.info[_NOTHING] = True


def remember_what_is_typed(app: typer.Typer) -> None:
    """Every command of this application, and of those inside of it, remembers its words while it runs. What is no text
    is refused before it does."""
    _remember(app, "")


def _remember(app: typer.Typer, before: str) -> None:
    for command in app.registered_commands:
        assert command.callback is not None, "a command does something"
        name = command.name or command.callback.__name__.strip("_").replace("_", "-")
        command.callback = _remembering(before + name, command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _remember(group.typer_instance, f"{before}{group.name} ")


def audit_changes(appliance: Appliance) -> None:
    """From here on, every transaction of this appliance that changes something says that this command did."""
    deed, changed = _deed(*_TYPED.get()), _CHANGES.get([])
    engine = appliance.database.engine.sync_engine

    @event.listens_for(engine, "begin")
    def forget(connection: Any) -> None:
        connection.info.pop(WROTE, None)

    @event.listens_for(engine, "after_cursor_execute")
    def notice(connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if _WRITING.match(statement):
            connection.info[WROTE] = True

    async def witness(db: AsyncSession) -> None:
        await db.flush()
        connection = await db.connection()
        if connection.info.get(WROTE) and not db.info.get(_NOTHING):
            said = _TOLD.get() or {}
            told = replace(deed, **{**said, "after": {**deed.after, **said.get("after", {})}})
            changes = noted_changes(db)
            told = filled(told, changes)
            told.after |= {"changed": changes.after, "runs": changes.runs}
            await keep_deed(db, told, tenant_id=appliance.tenant_id, at=appliance.clock())
            changed.append(told.action)

    appliance.database.hear(note_changes)

    appliance.database.witness = witness


async def changes_elsewhere(db: AsyncSession) -> None:
    """What the command changes is no row of ours; the audit is to have it all the same."""
    (await db.connection()).info[WROTE] = True


@contextmanager
def carrying(appliance: Appliance) -> Iterator[None]:
    """What is only carried out now was decided, and audited, before: for the time of the block nothing is kept."""
    witness, appliance.database.witness = appliance.database.witness, None
    try:
        yield
    finally:
        appliance.database.witness = witness


def _remembering(words: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def remembered(*arguments: Any, **given: Any) -> Any:
        refuse_what_is_no_text(given)
        typed, told = _TYPED.set((words, given)), _TOLD.set({})
        _CHANGES.set([])  # and is asked for when the command is over
        try:
            return callback(*arguments, **given)
        finally:
            _TYPED.reset(typed)
            _TOLD.reset(told)

    return remembered


def _deed(words: str, given: dict[str, Any]) -> Deed:
    """Who typed what: ``runs cancel`` of run 7, because of a reason. The actor is the account; whom ``--by`` names
    stands beside what was typed."""
    who = account()
    meant = {name: value for name, value in given.items() if name != "json_" and value not in (None, [], ())}
    named, number = next(iter(meant.items()), ("", None))
    noun = "line_order" if words.startswith("line ") else named.removesuffix("_id")
    typed = {
        name: value if isinstance(value, int) or name in CHOSEN else NOT_KEPT
        for name, value in meant.items()
        if name not in KEPT_BESIDE
    }
    if (said := meant.get("by")) not in (None, who):
        typed["by"] = said
    return Deed(
        action=words,
        actor=who,
        door=COMMAND_LINE,
        subject=subject_of(noun, number) if isinstance(number, int) and not isinstance(number, bool) else None,
        customer_id=meant["customer"] if isinstance(meant.get("customer"), int) else None,
        run_id=number if named == "run_id" else None,
        reason=meant.get("reason") or meant.get("note"),
        after={"typed": dict(mask_secrets(None, "", typed))},
    )
