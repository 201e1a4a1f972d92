"""Which mails somebody got, and how often each: a second copy is right only where a worker was lost with it in hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from tests.durability.story import Played

LAST_MAIL: Mapping[str, str] = {"send_template_email": "deliver_email"}
"""The step that writes a mail, and the one that hands it over."""


def wrong_mails(played: Played, address: str, steps: Mapping[str, str] = LAST_MAIL) -> list[str]:
    """Unless each of these steps has written to this address, once a round, and nothing else was sent there."""
    sent, written = set(copies(played, address)), {one for step in steps for one in message_ids(played, step)}
    unlike = [f"mails by Message-ID: {sent}, and written were {written}"] if sent != written or not written else []
    return unlike + sent_again(played, address, steps)


def sent_again(played: Played, address: str, steps: Mapping[str, str] = LAST_MAIL) -> list[str]:
    """Which mails of these steps came more often than they may have."""
    found = copies(played, address)
    return [
        f"{step}: {found[one]} copies of {one}"
        for step, deliver in steps.items()
        for one in message_ids(played, step)
        if found[one] > 1 + was_in_hand(played, deliver)
    ]


def copies(played: Played, address: str) -> Counter[str]:
    """How often each Message-ID reached this address."""
    return Counter(mail.message_id for mail in played.people.world.mail.mails() if address in str(mail.message["To"]))


def message_id(played: Played, step: str) -> str:
    """Under which the last mail of this step is sent; empty if none was ever written."""
    return next(reversed(message_ids(played, step)), "")


def message_ids(played: Played, step: str) -> list[str]:
    """Of all rounds of this step, the oldest first."""
    last = next(one for one in played.view.steps if one.name == step)
    results = [*(one.result for one in last.earlier), last.result]
    return [str(result["message_id"]) for result in results if result]


def was_in_hand(played: Played, deliver: str) -> bool:
    """Lost before the delivery was recorded; or so slow that its segment was taken over while it delivered."""
    lost = any(instant.point.startswith(f"commit({deliver}") for instant in played.lost_at)
    return lost or overlapping(played.trace, deliver)


def overlapping(trace: Iterable[str], step: str) -> bool:
    """Whether a step was begun twice without anything that had ended it in between."""
    begun = False
    for point in trace:
        if point == f"{step}.before":
            if begun:
                return True
            begun = True
        elif point.startswith(("! ", f"{step}.failed", f"{step}.committed")):
            begun = False
    return False
