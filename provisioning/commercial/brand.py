"""Under whose name a mail goes out: the ISP's, or that of a partner who sells under one of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from provisioning.intake import Faults

OWN_COLOUR = "#14507a"
DARK, LIGHT = "#1b1b1b", "#ffffff"
LONGEST_NAME = 80

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")  # nothing else: it stands inside of a style


@dataclass(frozen=True)
class Brand:
    """A name and a colour as ``#rrggbb``."""

    name: str
    colour: str = OWN_COLOUR

    @property
    def ink(self) -> str:
        """Dark or light, whichever is easier to read on the colour (WCAG 2.2, contrast ratio)."""
        ground = _luminance(self.colour)
        contrast = {ink: _contrast(ground, _luminance(ink)) for ink in (LIGHT, DARK)}
        return max(contrast, key=contrast.__getitem__)

    def given(self) -> dict[str, str]:
        """What every template may use of it."""
        return {"brand_name": self.name, "brand_colour": self.colour, "brand_ink": self.ink}


def read_brand(value: object, isp_name: str, faults: Faults) -> Brand | None:
    """The brand of a mail's variables, or the ISP's own where there is none."""
    if value is None:
        return Brand(isp_name)
    if not isinstance(value, Mapping):
        faults.add("variables.brand", "is not a name and a colour")
        return None
    before = faults.count
    for unknown in sorted(value.keys() - {"name", "colour"}):
        faults.add(f"variables.brand.{unknown}", "is not known here")
    name, colour = value.get("name"), value.get("colour", OWN_COLOUR)
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        faults.add("variables.brand.name", f"is not a name of at most {LONGEST_NAME} characters")
    if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
        faults.add("variables.brand.colour", "is not a colour such as #14507a")
    return Brand(str(name), str(colour)) if faults.count == before else None


def _luminance(colour: str) -> float:
    """Relative luminance, from 0 (black) to 1 (white)."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
