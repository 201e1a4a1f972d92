"""How a command is told which subscriber it is about."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.subscriber_desk import ANY_CUSTOMER, ExternalId, LastKnownAs, Who

Username = Annotated[str, typer.Argument(help="The RADIUS username, realm included.")]
ByExternalId = Annotated[bool, typer.Option("--external-id", help="In the username's place stands your own id of it.")]

CustomersElsewhere = Annotated[bool, typer.Option("--customers-elsewhere", help=f"{ANY_CUSTOMER.capitalize()}.")]


def whom(word: str, by_external_id: bool) -> Who:
    """The subscriber that was typed."""
    return ExternalId(word) if by_external_id else word


def whom_to_end(word: str, by_external_id: bool) -> Who:
    """The same, also who has ended."""
    return LastKnownAs(word) if by_external_id else word


async def names_of(appliance: Appliance, word: str, by_external_id: bool) -> list[str]:
    """The username itself, whoever has it or had it, or that of the subscriber with this id; then the names that were
    given up for it. Raises: SubscriberUnknown."""
    async with appliance.database.read() as db:
        return await appliance.subscriber_desk(db).names(whom(word, by_external_id))


async def username_of(appliance: Appliance, word: str, by_external_id: bool) -> str:
    """The first of these."""
    return word if not by_external_id else (await names_of(appliance, word, by_external_id))[0]
