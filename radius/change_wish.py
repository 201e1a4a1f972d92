"""What the open sessions of one subscriber shall have, and in which words each NAS is told that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from radius.changes_of_sessions import FormerTerms
from radius.coa import Words, coa_words
from radius.doors import KnownNas
from radius.sessions import Session
from radius.terms import PlanTerms

CLOCKS_DIFFER = timedelta(days=1)
"""A session that began, as its NAS says, less than this after a plan was changed may have the plan's earlier terms."""


@dataclass(frozen=True)
class ChangeWish:
    """What the open sessions of one subscriber shall have. ``words`` of each dialect; None: they shall end."""

    change_id: int
    username: str
    former: list[FormerTerms]
    wanted: PlanTerms
    ends: bool
    brought_at: dict[int, datetime]
    changed: frozenset[int]
    """The sessions, by number, whose NAS has said already that they are as they shall be."""
    former_names: tuple[str, ...] = ()
    """Names that it gave up and under which it may still be online."""

    @property
    def interim(self) -> timedelta:
        """How long a session that is not as it shall be may stay unheard of; 0 when there can be none."""
        if (
            not self.ends
            and not self.former_names
            and all(each == FormerTerms(self.wanted, since=None) for each in self.former)
        ):
            return timedelta(0)
        return self.longest_interim

    @property
    def longest_interim(self) -> timedelta:
        """How far apart a session's packets of accounting may be: it may keep the former interval."""
        every = (*(each.terms for each in self.former), self.wanted)
        return timedelta(seconds=max(terms.interim_interval_seconds for terms in every))

    @property
    def names(self) -> tuple[str, ...]:
        return (self.username, *self.former_names)

    def words(self, nas: KnownNas, session: Session) -> Words | None:
        if self.ends or nas.dialect is None:
            return None
        former = [each.terms for each in self.former]
        return coa_words(
            nas.dialect, former, self.wanted, in_doubt=self._in_doubt(session), again=session.radacct_id in self.changed
        )

    def _in_doubt(self, session: Session) -> bool:
        """It may have been given terms that a plan has no longer."""
        known = self.brought_at.get(session.radacct_id)
        if known is None and session.started_at is not None:
            known = session.started_at - CLOCKS_DIFFER
        return any(each.since is not None and (known is None or known < each.since) for each in self.former)
