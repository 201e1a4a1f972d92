"""Asks a NAS to change one session: CoA-Request (RFC 5176 s2.2) with the whole of what the session shall have.

An ACK is the NAS' word and no proof. What a NAS could not be told of a session that is up is not left out in silence:
then there is no request that would do, and the session has to begin anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

from radius.attributes import fact_of, split_tag
from radius.coa.dynamic_authorization import COA_REQUEST, NasDoor, Retransmission, SessionIdentity, Shares, ask
from radius.coa.wire import Words
from radius.dialects import Dialect, Live
from radius.encoder import EncodedAttribute
from radius.plan_errors import RateNotExpressible, SeveralNotExpressible, TermsNotExpressible
from radius.plans.terms import PlanTerms
from radius.plans.wording import common_words, words_of


@dataclass(frozen=True)
class CoaAnswer:
    """What came of one request: changed (ACK), unknown_to_nas (503, also by its id alone), refused, or unanswered."""

    said: Literal["changed", "unknown_to_nas", "refused", "unanswered"]
    reason: str
    error_cause: int | None = None


def coa_words(
    dialect: Dialect, former: Sequence[PlanTerms], wanted: PlanTerms, *, in_doubt: bool = False, again: bool = False
) -> Words | None:
    """The attributes that bring a session, which has the terms of one of ``former``, to those that are wanted.

    ``in_doubt``: it may have others besides, of a plan as it once was. Then it is told all of it, and where the dialect
    withdraws what a session has by its old value there is nothing to withdraw it by.
    ``again``: its NAS has said that it did all this, so nothing is left that could be withdrawn.

    Empty: it has them. None: a NAS of that dialect can't be told while the session is up.
    """
    return _coa_words(dialect, tuple(former), wanted, in_doubt=in_doubt, again=again)


@lru_cache(maxsize=256)  # thousands of sessions are told the same
def _coa_words(
    dialect: Dialect, former: tuple[PlanTerms, ...], wanted: PlanTerms, *, in_doubt: bool, again: bool
) -> Words | None:
    try:
        after = _words(dialect, wanted)
        befores = [_words(dialect, terms) for terms in former]
    except (RateNotExpressible, TermsNotExpressible, SeveralNotExpressible):  # the plan or its NAS was changed since
        return None
    if not in_doubt and all(_by_name(before) == _by_name(after) for before in befores):
        return ()
    live = dialect.live
    if live is None or any(_needs_login(live, before, after) for before in befores):
        return None
    if in_doubt and live.withdrawn_by:
        return None
    withdrawing = [] if again else befores
    gone = [(by, value) for before in withdrawing for by, value in _withdrawn(live, before, after)]
    said = [(item.attribute, _value(item)) for item in after if _name(item) in live.changeable]
    return (*dict.fromkeys(gone), *said)


async def ask_to_change(
    door: NasDoor,
    session: SessionIdentity,
    words: Words,
    *,
    now: datetime,
    retransmission: Retransmission,
    shares_its_id: Shares | None = None,
) -> CoaAnswer:
    """One request, sent until it is answered. Safe to repeat: it says all of it every time."""
    reply = await ask(
        door, COA_REQUEST, session, words, now=now, retransmission=retransmission, shares_its_id=shares_its_id
    )
    if reply.heard == "silence":
        return CoaAnswer("unanswered", reply.words)
    if reply.heard == "ack":
        return CoaAnswer("changed", f"NAS {door.name} says that it has changed it", reply.error_cause)
    if reply.knows_no_session:
        return CoaAnswer("unknown_to_nas", f"NAS {door.name} knows of no such session", reply.error_cause)
    return CoaAnswer("refused", f"NAS {door.name} refused to change it: {reply.words}", reply.error_cause)


def _words(dialect: Dialect, terms: PlanTerms) -> tuple[EncodedAttribute, ...]:
    plan = "the plan"
    return (*words_of(dialect, plan, terms), *common_words(plan, terms))


def _needs_login(live: Live, before: Iterable[EncodedAttribute], after: Iterable[EncodedAttribute]) -> bool:
    """Something differs that is not changeable, or goes away: a NAS is not told that by leaving it out."""
    had, has = _by_name(before), _by_name(after)
    return any(
        had.get(name) != has.get(name) and (name not in live.changeable or name not in has)
        # how often it accounts is not worth ending a session for
        for name in (had.keys() | has.keys()) - {"Acct-Interim-Interval"}
    )


def _withdrawn(
    live: Live, before: Iterable[EncodedAttribute], after: Sequence[EncodedAttribute]
) -> Iterable[tuple[str, str | int]]:
    for item in before:
        by = live.withdrawn_by.get(split_tag(item.attribute)[0])
        if by is not None and item not in after:
            yield by, item.value


def _name(item: EncodedAttribute) -> str:
    name, _tag = split_tag(item.attribute)
    return f"{name} {item.value.partition('=')[0]}" if name == "Cisco-AVPair" else name


def _by_name(items: Iterable[EncodedAttribute]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for item in items:
        values.setdefault(_name(item), []).append(item.value)
    return {name: sorted(each) for name, each in values.items()}


def _value(item: EncodedAttribute) -> str | int:
    fact = fact_of(item.attribute)
    return int(item.value) if fact is not None and fact.type == "integer" and not fact.values else item.value
