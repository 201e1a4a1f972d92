"""What the open sessions of one subscriber shall have, and in which words each NAS is told that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from radius.coa.claims import LEASE
from radius.coa.coa import coa_words
from radius.coa.doors import KnownNas
from radius.coa.namesakes import Namesakes, those_of
from radius.coa.told_before import EarlierChange, LastTold
from radius.coa.treatment import began_right
from radius.coa.wire import Words
from radius.plans.history import FormerTerms
from radius.plans.terms import PlanTerms
from radius.sessions.sessions import Session

CLOCKS_DIFFER = timedelta(days=1)
"""A session that began, as its NAS says, less than this after a plan was changed may have the plan's earlier terms."""


@dataclass(frozen=True)
class ChangeWish:
    """What the open sessions of one subscriber shall have. ``words`` of each dialect; None: they shall end."""

    change_id: int
    subscriber_id: int
    username: str
    former: Sequence[FormerTerms]
    wanted: PlanTerms
    ends: bool
    told: Mapping[int, LastTold]
    """By their numbers, the sessions that were told of changes up to this one."""
    changed: frozenset[int]
    """The sessions, by number, whose NAS has said already that they are as they shall be."""
    former_names: tuple[str, ...] = ()
    """Names that it gave up and under which it may still be online: nobody else is given them."""
    freed_names: tuple[str, ...] = ()
    """Those under which none was open any more; one that was closed without its Stop may go on."""
    is_refused: bool = False
    """No login of it is let in: then no session is right, whenever it began."""
    earlier: Sequence[EarlierChange] = ()
    """Those that this one has followed before they were borne out, the newest first."""
    namesakes: Namesakes = field(default_factory=dict)
    """Of each of its names that several have had, who."""

    @cached_property
    def interim(self) -> timedelta:
        """How long a session that is not as it shall be may stay unheard of; 0 when there can be none."""
        if not self.ends and not self.former_names and all(each == FormerTerms(self.wanted) for each in self.former):
            return timedelta(0)
        return self.longest_interim

    @cached_property
    def longest_interim(self) -> timedelta:
        """How far apart a session's packets of accounting may be: it may keep the former interval."""
        every = (*(each.terms for each in self.former), self.wanted)
        return timedelta(seconds=max(terms.interim_interval_seconds for terms in every))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return (self.username, *self.former_names, *self.freed_names)

    def own(self, sessions: Sequence[Session]) -> list[Session]:
        """Those of these sessions under its names that are not somebody else's who has, or had, such a name."""
        return those_of({self.subscriber_id}, sessions, self.namesakes)

    def is_disowned(self, session: Session) -> bool:
        """Its NAS has said before that it knows of no such session, and has accounted for it since."""
        told = self.told.get(session.radacct_id, LastTold())
        if not told.was_unknown or session.updated_at is None:
            return False
        return told.heard_at is None or session.updated_at > told.heard_at

    def words(self, nas: KnownNas, session: Session, *, now: datetime) -> Words | None:
        former = self._former_of(session, now)
        if self.ends or nas.dialect is None or any(each.ends for each in former):
            return None
        earliest, latest = self._had_between(session)
        had = [each for each in former if _in_force(each, earliest, latest)]
        in_doubt = any(each.after_others and _before(earliest, each.since) for each in had) or not had
        terms = list(dict.fromkeys(each.terms for each in had))
        return coa_words(nas.dialect, terms, self.wanted, in_doubt=in_doubt, again=session.radacct_id in self.changed)

    def _former_of(self, session: Session, now: datetime) -> Sequence[FormerTerms]:
        """Without what was before the last of the earlier changes under which it began rightly."""
        for each in self.earlier:
            if began_right(session, each.treated, each.carried, now):
                return [one for one in self.former if one.until_change is None or one.until_change > each.id]
        return self.former

    def _had_between(self, session: Session) -> tuple[datetime | None, datetime | None]:
        """Between when and when it was told what it has; None: nobody knows."""
        told = self.told.get(session.radacct_id, LastTold())
        if told.at is not None:
            earliest, latest = told.at - LEASE, told.at
        elif session.started_at is not None:
            earliest, latest = session.started_at - CLOCKS_DIFFER, session.started_at + CLOCKS_DIFFER
        else:
            return None, None
        return earliest, None if told.asked_since else latest


def _in_force(former: FormerTerms, earliest: datetime | None, latest: datetime | None) -> bool:
    ended = former.until is not None and earliest is not None and former.until < earliest
    return not ended and not (former.since is not None and latest is not None and latest < former.since)


def _before(moment: datetime | None, since: datetime | None) -> bool:
    return moment is None or since is None or moment < since
