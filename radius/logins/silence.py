"""What may lie behind it that nobody has asked: NASes whose packets were dropped or that are silent themselves, and
addresses that ask and are no NAS.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from radius.logins.findings import Facts, SecretMisfit, clock
from radius.logins.views import LoginView

MOST_NASES = 10
"""So many are named; the subscriber's own and those with dropped packets come first."""

SET_THE_LOG = (
    "Whether its NAS has another secret, FreeRADIUS' log alone tells: FIRSTLIGHT_RADIUS_LOG_FILE has to name it, as a"
    " file that can be read here."
)

TAKES_ITS_PLACE = timedelta(minutes=1)
"""A login that makes an end of the former session comes before that end."""


def silence(facts: Facts) -> list[str]:
    """One line of evidence for each NAS that may be the reason, then each stranger, then what is not known."""
    misfits, own = facts.misfits or {}, facts.last_nas
    known = sorted(facts.nas_names, key=lambda address: (address != own, address not in misfits, address))
    evidence = [
        f"{facts.nas(address)}: {_dropped(facts, address)}{_heard(facts, address)}" for address in known[:MOST_NASES]
    ]
    if len(known) > MOST_NASES:
        evidence.append(f"{len(known) - MOST_NASES} more NASes: `firstlight nas list`")
    evidence += [f"{each['address']} asks and is no NAS, last {clock(each['last_at'])}" for each in facts.unknown_nases]
    evidence += secrets_unknown(facts)
    evidence.append("requests without a Message-Authenticator are dropped too, and FreeRADIUS' log need not say so")
    return evidence


def secrets_unknown(facts: Facts) -> list[str]:
    """That nobody here knows whether a NAS has another secret, and why; nothing where FreeRADIUS' log was read."""
    return [] if facts.misfits is not None else [f"whether a NAS has another secret is not known: {facts.log_unread}"]


def next_act(facts: Facts, otherwise: str) -> str:
    """Packets that were dropped since a login came from their NAS are looked into before anything else: those of its
    own NAS, or of any where nobody knows which is its own."""
    if facts.misfits is None:
        return f"{otherwise} {SET_THE_LOG}"
    misfits = fresh_misfits(facts)
    other_secret = [facts.nas(address) for address, misfit in misfits.items() if not misfit.unsigned][:MOST_NASES]
    unsigned = [facts.nas(address) for address, misfit in misfits.items() if misfit.unsigned][:MOST_NASES]
    acts = []
    if other_secret:
        tests = ", ".join(f"`firstlight nas test {name}`" for name in other_secret)
        acts.append(f"{tests}: {'it' if len(other_secret) == 1 else 'each'} and FreeRADIUS must have the same secret.")
    if unsigned:
        acts.append(
            f"Let {', '.join(unsigned)} send a Message-Authenticator; only if it cannot,"
            " FIRSTLIGHT_FREERADIUS_REQUIRE_MESSAGE_AUTHENTICATOR=no."
        )
    return " ".join(acts) or otherwise


def fresh_misfits(facts: Facts) -> Mapping[str, SecretMisfit]:
    """By address of a NAS the packets that were dropped since a login came from it, the latest first: of its own NAS,
    or of all of them where it was never seen at one."""
    own = facts.nas_names if facts.last_nas is None else [facts.last_nas]
    found = [(address, misfit) for address in own if (misfit := (facts.misfits or {}).get(address)) is not None]
    fresh = [(address, misfit) for address, misfit in found if not _is_mended(facts, address, misfit)]
    return dict(sorted(fresh, key=lambda each: (each[1].last_at, each[0]), reverse=True))


def _is_mended(facts: Facts, address: str, misfit: SecretMisfit) -> bool:
    heard = facts.last_heard.get(address)
    return heard is not None and heard > misfit.last_at


def dropped_since(facts: Facts, login: LoginView) -> list[str]:
    """What came from the NAS of a login behind it and was dropped: a further try, or the accounting of this one."""
    address = login["nas_address"]
    misfit = (facts.misfits or {}).get(address)
    if misfit is None or misfit.last_at < login["happened_at"].replace(microsecond=0):  # the log has whole seconds
        return []
    return [f"{facts.nas(address)}: {_dropped(facts, address).removesuffix('; ')}"]


def nothing_since(facts: Facts) -> list[str] | None:
    """The evidence that nobody has asked since the last session ended; None where somebody has, or one is open."""
    over = facts.last_session
    if over is None or over.stopped_at is None or facts.open_sessions:
        return None
    tried = [each["happened_at"] for each in facts.logins[:1]] + [
        each["last_at"] for each in (*facts.tried_names, *facts.line_tries)
    ]
    return None if any(at >= over.stopped_at - TAKES_ITS_PLACE for at in tried) else silence(facts)


def _dropped(facts: Facts, address: str) -> str:
    misfit = (facts.misfits or {}).get(address)
    if misfit is None:
        return ""
    what = "without a Message-Authenticator" if misfit.unsigned else "with another secret"
    return f"packets {what} were dropped, last {clock(misfit.last_at)}; "


def _heard(facts: Facts, address: str) -> str:
    at = facts.last_heard.get(address)
    if at is not None:
        return f"its last login {clock(at)}"
    if facts.looked_back is None:
        return "no login from it is kept"
    return f"none of the last {facts.looked_back} logins is from it"
