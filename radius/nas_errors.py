"""Why a NAS cannot be used: a branch of the tree in ``radius.errors``."""

from __future__ import annotations

from collections.abc import Iterable

from radius.errors import RadiusError
from radius.known import known_are


class NasError(RadiusError):
    """The NAS cannot be used."""

    code = "radius.nas_error"


class NasRefused(NasError):
    """A value of the NAS cannot be meant."""

    code = "radius.nas_refused"

    def __init__(self, nas: str, faults: Iterable[str]) -> None:
        self.nas = nas[:80]
        self.faults = tuple(faults)
        super().__init__(f"NAS {self.nas!r} cannot be meant: {'; '.join(self.faults)}.")


class NasUnknown(NasError):
    """There is no such NAS."""

    code = "radius.nas_unknown"

    def __init__(self, nas: str, known: Iterable[str]) -> None:
        """``known``: the names of those there are; of many, the nearest are named."""
        self.nas = nas[:80]
        self.known = tuple(sorted(known))
        super().__init__(f"There is no NAS {self.nas!r}; {known_are(self.nas, self.known)}.")


class NothingToAdopt(NasError):
    """FreeRADIUS has no NAS there that could be taken over as it is."""

    code = "radius.nothing_to_adopt"

    def __init__(self, address: str, reason: str) -> None:
        self.address = address[:80]
        self.reason = reason
        super().__init__(f"There is nothing to take over at {self.address}: {reason}.")


class NasNameTaken(NasError):
    """There is another NAS of that name."""

    code = "radius.nas_name_taken"

    def __init__(self, nas: str, address: str) -> None:
        self.nas = nas
        self.address = address
        super().__init__(
            f"There is a NAS {nas} already, at {address} and on other terms. An estate changes it; or use another name."
        )


class NasAddressTaken(NasError):
    """The address belongs to another NAS."""

    code = "radius.nas_address_taken"

    def __init__(self, nas: str, address: str) -> None:
        self.nas = nas
        self.address = address
        super().__init__(f"NAS {nas} cannot have address {address}: another NAS has it. Correct one of the two.")


class NasSessionsOpen(NasError):
    """Sessions are open under the address that the NAS is to have no longer."""

    code = "radius.nas_sessions_open"

    def __init__(self, nas: str, address: str, open_sessions: int, *, removed: bool = False) -> None:
        """``removed``: it is to be there no longer."""
        self.nas = nas
        self.address = address
        self.open_sessions = open_sessions
        many = f"{open_sessions} sessions are" if open_sessions != 1 else "1 session is"
        each = "each of them" if open_sessions != 1 else "it"
        when = "when it is removed" if removed else "under another address"
        until = ", nor does FreeRADIUS hear when it ends" if removed else " before its next login"
        super().__init__(
            f"At NAS {nas} {many} open under {address}: {when} no suspension and no other plan reaches {each} (CoA,"
            f" Disconnect){until}. {'Remove' if removed else 'Change'} it when they are over, or with --leave-sessions"
            " (leave_sessions in the API)."
        )


class NoNasTellsOfLines(NasError):
    """A line that logs in by itself would be let in nowhere."""

    code = "radius.no_nas_tells_of_lines"

    def __init__(self) -> None:
        super().__init__(
            "No NAS here tells of lines, so a line that logs in by itself, without a password, is let in nowhere."
            " First let its NAS tell of them (`firstlight nas change NAS --lines --reason ...`; `lines` in the"
            " API and the estate)."
        )


class NasLinesInUse(NasError):
    """Subscribers log in by their lines, of which no NAS would tell any more."""

    code = "radius.nas_lines_in_use"

    def __init__(self, told_before: Iterable[str], subscribers: int, first: Iterable[str]) -> None:
        """``told_before``: the NASes that tell of lines. ``first``: the first of the subscribers, by name."""
        self.nases = tuple(told_before)
        self.subscribers = subscribers
        self.first = tuple(first)
        only = f"NAS {self.nases[0]} is the only one that tells of lines"
        if len(self.nases) > 1:
            only = f"Only {' and '.join(self.nases)} tell of lines"
        who = f"{subscribers} subscribers log" if subscribers != 1 else "1 subscriber logs"
        more = ", ..." if subscribers > len(self.first) else ""
        super().__init__(
            f"{only}, and {who} in by line ({', '.join(self.first)}{more}): they would be let in nowhere. First"
            " let another NAS tell of lines (`firstlight nas change NAS --lines --reason ...`), or unbind them."
        )


class NasNotSilent(NasError):
    """Accounting comes from it, as far as anybody knows."""

    code = "radius.nas_not_silent"

    def __init__(self, address: str, *, is_heard: bool, sends_interims: bool = True) -> None:
        """``is_heard`` False: nobody has looked lately, or nothing is open there. Without interims nobody knows of a
        session that it is over."""
        self.address = address
        self.is_heard = is_heard
        why = "no session was open there when the worker looked last, or it has not looked for ten minutes"
        if is_heard and sends_interims:
            why = "accounting comes from it, and what has missed three interims there is closed by itself"
        elif is_heard:
            why = "it sends no interims, and has not been quiet for long enough to count as silent"
        super().__init__(f"The sessions at {address} are not closed: {why}. See `firstlight sessions guard`.")


class DialectUnknown(NasError):
    """No such NAS dialect is built in."""

    code = "radius.dialect_unknown"

    def __init__(self, dialect: str, known: Iterable[str]) -> None:
        self.dialect = dialect
        self.known = tuple(sorted(known))
        super().__init__(f"There is no NAS dialect {dialect[:80]!r}; {known_are(dialect, self.known)}.")
