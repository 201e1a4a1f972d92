"""How a command is told which subscriber it is about."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.errors import Fault, InvalidRequest
from provisioning.subscriber_desk import ANY_CUSTOMER
from provisioning.subscriber_looks import ExternalId, LastKnownAs, Who, subscriber_number
from radius import HeldName

Username = Annotated[str, typer.Argument(help="The RADIUS username, realm included.")]
ByExternalId = Annotated[bool, typer.Option("--external-id", help="In the username's place stands your own id of it.")]
ById = Annotated[bool, typer.Option("--number", help="In the username's place stands our number of it.")]

CustomersElsewhere = Annotated[bool, typer.Option("--customers-elsewhere", help=f"{ANY_CUSTOMER.capitalize()}.")]


def whom(word: str, by_external_id: bool, by_id: bool) -> Who:
    """The subscriber that was typed.

    Raises: InvalidRequest where it is said to be both; SubscriberUnknown, of what is no number.
    """
    if by_external_id and by_id:
        raise InvalidRequest("The subscriber", [Fault("number", "can't be given together with --external-id")])
    if by_id:
        return subscriber_number(word)
    return ExternalId(word) if by_external_id else word


def whom_to_end(word: str, by_external_id: bool, by_id: bool) -> Who:
    """The same, also who has ended."""
    who = whom(word, by_external_id, by_id)
    return LastKnownAs(who.value) if isinstance(who, ExternalId) else who


async def names_of(appliance: Appliance, word: str, by_external_id: bool, by_id: bool) -> list[str]:
    """The username itself, whoever has it or had it, or that of the subscriber with this id or number; then the names
    that were given up for it. Raises: SubscriberUnknown, and as ``whom``."""
    who = whom(word, by_external_id, by_id)
    async with appliance.database.read() as db:
        return await appliance.subscriber_desk(db).names(who)


async def held_names_of(appliance: Appliance, word: str, by_external_id: bool, by_id: bool) -> list[HeldName]:
    """The same for its sessions and what was used, told from those of others who have, or had, such a name.

    Raises: as ``names_of``.
    """
    who = whom(word, by_external_id, by_id)
    async with appliance.database.read() as db:
        return await appliance.subscriber_desk(db).held_names(who)


async def username_of(appliance: Appliance, word: str, by_external_id: bool, by_id: bool) -> str:
    """The first of these."""
    is_name = not (by_external_id or by_id)
    return word if is_name else (await names_of(appliance, word, by_external_id, by_id))[0]
