"""A no of the business, which no retry turns into a yes for this run: no licence is left, a lead isn't qualified.

A service that says so raises an error of its own that is a `BusinessRefusal` too. A step may let it lead to `Reject`:
what was prepared is undone, and the run ends as rejected with the sentence. Where no step does, the run is held.
"""

from __future__ import annotations

from typing import ClassVar


class BusinessRefusal(Exception):
    """The business itself says no."""

    code: ClassVar[str] = "business.refusal"
    transient: ClassVar[bool] = False
