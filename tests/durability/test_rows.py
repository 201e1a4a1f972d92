"""Which instant the next worker of a run is to die at, told from a run without a death."""

from __future__ import annotations

from collections.abc import Sequence

from tests.durability.rows import DEATHS_IN_A_ROW, rows_of
from tests.durability.story import kills_of
from tests.support.worker_process import Instant

CLAIMED = ["claim.in_tx", "claim.committed"]
ASKED = ["ask.before", "ask.in_tx", "ask.committed"]
SENT = ["send.before", "send.effect", "send.in_tx", "send.committed"]
ENDED = ["end.before", "end.in_tx", "end.committed"]
WAITED_TWICE = [*CLAIMED, *ASKED, *SENT, *CLAIMED, *ASKED, *CLAIMED, *ENDED]
"""Three segments: it asks and sends, is woken and asks again, is woken and ends."""


def row(*wanted: str, trace: Sequence[str] = WAITED_TWICE) -> list[tuple[str, ...]]:
    """The runs in which these instants are died at, one where it can be one."""
    return [tuple(map(str, at)) for at, _ in rows_of(trace, [Instant.parse(text) for text in wanted])]


def test_each_instant_of_a_run_has_its_death_and_a_run_has_several() -> None:
    instants = kills_of(WAITED_TWICE)
    rows = list(rows_of(WAITED_TWICE, instants))
    assert sorted(str(one) for _, covered in rows for one in covered) == sorted(map(str, instants))
    assert len(rows) == -(-len(instants) // DEATHS_IN_A_ROW)
    assert all(len(at) == len(covered) for at, covered in rows)


def test_a_step_that_was_not_recorded_is_gone_through_again_and_so_is_the_claim() -> None:
    assert row("ask.in_tx#1", "ask.in_tx#2") == [("ask.in_tx#1", "ask.in_tx#2")]  # once again, and then a second time
    assert row("send.effect#1", "claim.in_tx#2") == [("send.effect#1", "claim.in_tx#2")]
    assert row("claim.in_tx#2", "claim.committed#2") == [("claim.in_tx#2", "claim.committed#1")]


def test_what_was_recorded_is_not_gone_through_again() -> None:
    assert row("ask.committed#1", "ask.in_tx#2") == [("ask.committed#1", "ask.in_tx#1")]


def test_a_run_that_rests_is_not_claimed_before_it_is_woken() -> None:
    assert row("send.committed#1", "claim.in_tx#2") == [("send.committed#1", "claim.in_tx#1")]
    assert row("ask.committed#1", "claim.in_tx#2") == [("ask.committed#1", "claim.in_tx#2")]


def test_a_commit_in_the_middle_of_a_step_is_died_at_like_any_other_instant_of_it() -> None:
    trace = [*CLAIMED, *ASKED, "send.before", "commit(send: mail).after", *SENT[1:], *CLAIMED, *ENDED]
    assert row("commit(send: mail).after#1", "claim.in_tx#2", trace=trace) == [
        ("commit(send: mail).after#1", "claim.in_tx#2")
    ]


def test_where_nobody_can_tell_the_next_death_has_a_run_of_its_own() -> None:
    trace = ["commit(worker: dbos.workflow_status).before", *WAITED_TWICE]
    assert row(trace[0] + "#1", "claim.in_tx#2", "end.in_tx#1", trace=trace) == [
        ("commit(worker: dbos.workflow_status).before#1", "end.in_tx#1"),
        ("claim.in_tx#2",),
    ]
