"""What the contract's methods are given where that is more than a single value: the fields, by name."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class CustomerData(TypedDict):
    """Whom a partner brings, and in which language they are written to (BCP 47), if not in the ISP's own."""

    name: str
    email: str
    phone: NotRequired[str | None]
    language: NotRequired[str | None]


class WhiteLabelColours(TypedDict, total=False):
    """As ``#rrggbb``; without ``on_primary``, whatever reads best."""

    primary: str
    on_primary: str | None


class WhiteLabelConfig(TypedDict):
    """Under which brand a customer's page stands."""

    name: str
    colours: NotRequired[WhiteLabelColours | None]
    logo_url: NotRequired[str | None]
    domain: NotRequired[str | None]
