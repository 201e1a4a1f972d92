"""What is refused of tickets. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.errors import ProvisioningError
from workflows.answers import TicketState


class TicketError(ProvisioningError):
    """The ticket can't be treated like that."""

    code = "ticket.error"

    def __init__(self, ticket_id: int, message: str) -> None:
        self.ticket_id = ticket_id
        super().__init__(message)


class TicketUnknown(TicketError):
    """No such ticket."""

    code = "ticket.unknown"

    def __init__(self, ticket_id: int) -> None:
        super().__init__(ticket_id, f"There is no ticket {ticket_id}.")


class TicketCancelled(TicketError):
    """The ticket was cancelled, and the same request doesn't open it again."""

    code = "ticket.cancelled"

    def __init__(self, ticket_id: int) -> None:
        super().__init__(
            ticket_id, f"Ticket {ticket_id} of this request was cancelled; open another under a new request id."
        )


class TicketMoveRefused(TicketError):
    """A ticket in this state doesn't go there."""

    code = "ticket.move_refused"

    def __init__(
        self, ticket_id: int, state: TicketState, wanted: TicketState, possible: Sequence[TicketState]
    ) -> None:
        self.state = state
        self.wanted = wanted
        self.possible = tuple(possible)
        ways = f"it can become {', '.join(possible)}" if possible else "it stays so; open a new one"
        super().__init__(ticket_id, f"Ticket {ticket_id} is {state} and can't become {wanted}; {ways}.")


class TicketChanged(TicketError):
    """Somebody else has changed the ticket meanwhile."""

    code = "ticket.changed"

    def __init__(self, ticket_id: int, version: int, seen: int) -> None:
        self.version = version
        self.seen = seen
        super().__init__(
            ticket_id, f"Ticket {ticket_id} was changed since you looked (version {version}, not {seen}); look again."
        )
