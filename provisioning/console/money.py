"""What a role that is not to see money is shown instead of it: results of steps without their amounts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from provisioning.access import Caller
from provisioning.keeps import TELL_AMOUNTS, Kept

NOT_SHOWN = "(not shown)"

_AMOUNT = re.compile(r"(^|_)(amount|price|total|subtotal|tax|discount|fee|minor|currency|commission)(_|$)")


def sees_money(caller: Caller) -> bool:
    """Whether amounts are this caller's business: whoever may read payments, and a partner of their own customers."""
    return "payments.read" in caller.permissions or caller.partner_id is not None


def without_amounts(value: Any) -> Any:
    """The same; where an amount stood stands that it isn't shown."""
    if isinstance(value, Mapping):
        return {
            name: NOT_SHOWN if inner is not None and _AMOUNT.search(str(name)) else without_amounts(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_amounts(inner) for inner in value]
    return value


def kept_without_amounts(kept: Sequence[Kept]) -> list[Kept]:
    """What a run keeps, without how much of money it is."""
    return [Kept(each.what, "", each.step) if each.step in TELL_AMOUNTS else each for each in kept]
