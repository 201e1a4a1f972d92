"""What needs a person: one item for each thing, in a sentence, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, get_args

from provisioning.days import minute

Urgency = Literal["now", "today", "soon"]
AttentionKind = Literal[
    "work_overdue",
    "radius_unread",
    "outage",
    "nas_silent",
    "sessions_behind",
    "run_held",
    "event_refused",
    "visit_at_risk",
    "visit_in_vain",
    "pool_running_dry",
    "invariant_broken",
    "acs_backlog",
    "cpes_unreached",
    "cpes_handed_over",
    "campaign_stopped",
    "webhook_failing",
    "mail_failing",
    "notice_failing",
    "host_name_unproven",
    "not_checked",
]
TargetNoun = Literal[
    "access_node",
    "bng",
    "campaign",
    "check",
    "devices",
    "events",
    "mails",
    "nas",
    "notices",
    "partner",
    "partners",
    "pool",
    "radius",
    "run",
    "runs",
    "visit",
    "visits",
    "webhook",
]

ORDER: tuple[AttentionKind, ...] = get_args(AttentionKind)
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
_LATE = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Target:
    """Where an item leads: a noun, and which one; of several (``runs``) a reason, a state, or nothing."""

    noun: TargetNoun
    id: str = ""


@dataclass(frozen=True)
class Item:
    """One thing that needs a person. ``count``: how many things it stands for; ``customers`` whom it concerns, as far
    as they are known (of a great many held runs nobody is named), and ``for_whom`` the names of the first of them;
    ``held_meanwhile`` what stays taken as long as nobody acts; ``handed_over`` which team has been given it, in a
    sentence; ``folded`` what has the same cause, in sentences, and is
    no item of its own.
    """

    kind: AttentionKind
    urgency: Urgency
    sentence: str
    target: Target
    since: datetime | None = None
    count: int = 1
    customers: list[int] = field(default_factory=list)
    for_whom: list[str] = field(default_factory=list)
    held_meanwhile: list[str] = field(default_factory=list)
    handed_over: str = ""
    folded: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Attention:
    """What needs a person at the time of the look. ``checked_at``: when it was last asked whether everything holds that
    must; None: never, or not to be seen. ``lost_elsewhere``: sessions lost in the last ten minutes that are no outage;
    None: the RADIUS database could not be read, so that nobody knows.
    """

    looked_at: datetime
    is_quiet: bool
    sentence: str
    items: list[Item]
    checked_at: datetime | None
    lost_elsewhere: int | None


def worst_first(items: Iterable[Item]) -> list[Item]:
    """By urgency, then by kind, then the oldest."""
    return sorted(
        items, key=lambda one: (URGENCIES.index(one.urgency), ORDER.index(one.kind), one.since or _LATE, one.sentence)
    )


def summed_up(items: list[Item], looked_at: datetime) -> str:
    """The one sentence above all items."""
    if not items:
        return f"All quiet at {minute(looked_at)}."
    now = sum(one.urgency == "now" for one in items)
    things = "1 thing needs" if len(items) == 1 else f"{len(items)} things need"
    return f"{things} a person at {minute(looked_at)}, {now} of them now."


def several(count: int, one: str, many: str | None = None) -> str:
    """``1 run``, ``3 runs``."""
    return f"{count} {one if count == 1 else many or one + 's'}"
