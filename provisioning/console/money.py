"""What a role that is not to see money is shown instead of it: results of steps without their amounts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NOT_SHOWN = "(not shown)"

_AMOUNT = re.compile(r"(^|_)(amount|price|total|subtotal|tax|discount|fee|minor|currency|commission)(_|$)")


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
