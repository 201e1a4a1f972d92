"""How a command is told which subscriber it is about."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.subscriber_desk import ExternalId, Who

Username = Annotated[str, typer.Argument(help="The RADIUS username, realm included.")]
ByExternalId = Annotated[bool, typer.Option("--external-id", help="In the username's place stands your own id of it.")]


def whom(word: str, by_external_id: bool) -> Who:
    """The subscriber that was typed."""
    return ExternalId(word) if by_external_id else word


async def username_of(appliance: Appliance, word: str, by_external_id: bool) -> str:
    """The username itself, whoever has it or had it; or that of the subscriber with this id, or SubscriberUnknown."""
    if not by_external_id:
        return word
    async with appliance.database.read() as db:
        return (await appliance.subscriber_desk(db).named(ExternalId(word)))["username"]
