"""Which subscriber a route is about: by username, by our number or by the ISP's own id of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Path, Query

from provisioning.subscriber_looks import ExternalId, LastKnownAs, Who, subscriber_number

By = Literal["username", "id", "external_id"]


def whom(
    username: Annotated[str, Path(max_length=253, description="The username, realm included, or what `by` says")],
    by: Annotated[
        By, Query(description="What stands in the username's place: our number of it, or the ISP's own id")
    ] = "username",
) -> Who:
    """
    Raises: SubscriberUnknown, of what is no number.
    """
    if by == "external_id":
        return ExternalId(username)
    if by == "username":
        return username
    return subscriber_number(username)


def whom_to_end(who: Annotated[Who, Depends(whom)]) -> Who:
    """The same, also who has ended."""
    return LastKnownAs(who.value) if isinstance(who, ExternalId) else who


Whom = Annotated[Who, Depends(whom)]
WhomToEnd = Annotated[Who, Depends(whom_to_end)]
