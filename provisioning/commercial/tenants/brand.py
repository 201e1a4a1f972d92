"""Under whose name customers' pages and mails stand: the ISP's, or a partner's own; every fault of a brand at once.

A page's config: ``{"name", "colours": {"primary", "on_primary"}, "logo_url", "domain"}``; only the name must be there.
A mail's: ``{"name", "colour", "ink"}``, the ink being what is written on the colour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from provisioning.intake import Faults
from workflows.payloads import WhiteLabelColours, WhiteLabelConfig

FIELDS = tuple(WhiteLabelConfig.__annotations__)
COLOURS = tuple(WhiteLabelColours.__annotations__)
LONGEST_NAME = 80
LONGEST_URL = 500
LONGEST_HOST_NAME = 253  # RFC 1035 s3.1, without the last dot
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3 (AA)
WHITE, BLACK = "#ffffff", "#000000"
DEFAULT_PRIMARY = "#14507a"

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"({_LABEL}\.)+{_LABEL}")
_PLAIN_URL = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z_a-z~]+")  # RFC 3986, without what quotes or brackets an attribute


@dataclass(frozen=True)
class WhiteLabel:
    """A brand as a page shows it; colours as ``#rrggbb``."""

    name: str
    primary: str = DEFAULT_PRIMARY
    on_primary: str = WHITE
    logo_url: str | None = None
    domain: str | None = None

    def kept(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)


@dataclass(frozen=True)
class Brand:
    """A brand as a mail shows it."""

    name: str
    colour: str = DEFAULT_PRIMARY
    ink: str = WHITE

    def given(self) -> dict[str, str]:
        """What every template may use of it."""
        return {"brand_name": self.name, "brand_colour": self.colour, "brand_ink": self.ink}


def read_brand(value: object, isp_name: str, faults: Faults) -> Brand | None:
    """The brand of a mail's variables, or the ISP's own where there is none; None with faults."""
    if value is None:
        return Brand(isp_name)
    before, field = faults.count, "variables.brand"
    given = _fields(faults, field, value, ("name", "colour", "ink"))
    colour, ink = _readable(faults, f"{field}.colour", given.get("colour"), f"{field}.ink", given.get("ink"))
    brand = Brand(faults.line(f"{field}.name", given.get("name"), longest=LONGEST_NAME), colour, ink)
    return brand if faults.count == before else None


def read_white_label(faults: Faults, config: object, *, own_host: str, field: str = "white_label_config") -> WhiteLabel:
    """The brand, or faults. ``own_host`` is the appliance's own name, which no brand may take."""
    given = _fields(faults, field, config, FIELDS)
    primary, on_primary = _colours(faults, f"{field}.colours", given.get("colours"))
    return WhiteLabel(
        name=faults.line(f"{field}.name", given.get("name"), longest=LONGEST_NAME),
        primary=primary,
        on_primary=on_primary,
        logo_url=_logo_url(faults, f"{field}.logo_url", given.get("logo_url")),
        domain=read_domain(faults, f"{field}.domain", given.get("domain"), own_host),
    )


def read_domain(faults: Faults, field: str, value: object, own_host: str) -> str | None:
    """A host name in small letters that isn't the appliance's own; None where nothing was given, or with a fault."""
    text = faults.optional_line(field, value, longest=LONGEST_HOST_NAME)
    if text is None:
        return None
    if text != text.lower():
        faults.add(field, f"must be written in small letters: {text}")
    elif not _HOST_NAME.fullmatch(text) or text.rpartition(".")[2].isdigit():
        faults.add(field, f"is no host name such as portal.example.net: {text}")
    elif text == own_host:
        faults.add(field, f"is the appliance's own name: {text}")
    else:
        return text
    return None


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 (none) to 21 (black on white): WCAG 2.2, "contrast ratio"."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def readable_on(background: str) -> str:
    """Black or white, whichever reads better there; it is 4.58 at least."""
    return max((WHITE, BLACK), key=lambda text: contrast(background, text))


def _luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _fields(faults: Faults, field: str, value: object, known: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        faults.add(field, "is no set of fields")
        return {}
    for unknown in sorted(str(name) for name in value if name not in known):
        faults.add(f"{field}.{unknown}", "is not known here")
    return cast(Mapping[str, object], value)


def _colours(faults: Faults, field: str, value: object) -> tuple[str, str]:
    given = {} if value is None else _fields(faults, field, value, COLOURS)
    return _readable(faults, f"{field}.primary", given.get("primary"), f"{field}.on_primary", given.get("on_primary"))


def _readable(faults: Faults, field: str, ground: object, text_field: str, text: object) -> tuple[str, str]:
    """A colour, and one that can be read on it: as they were given, or ours where they were not."""
    before = faults.count
    primary, on_primary = _colour(faults, field, ground), _colour(faults, text_field, text)
    if on_primary is None:
        background = primary or DEFAULT_PRIMARY
        return background, readable_on(background)
    if primary is None:
        if faults.count == before:
            faults.add(field, "is missing: it is what the text stands on")
        return DEFAULT_PRIMARY, on_primary
    if (ratio := contrast(primary, on_primary)) < LEAST_CONTRAST:
        shown = f"{int(ratio * 100) / 100:.2f}"  # cut, never rounded up to what would do
        faults.add(text_field, f"can't be read on {primary}: contrast {shown}, {LEAST_CONTRAST} is needed")
    return primary, on_primary


def _colour(faults: Faults, field: str, value: object) -> str | None:
    text = faults.optional_line(field, value, longest=40)
    if text is None:
        return None
    if not _COLOUR.fullmatch(text.lower()):
        faults.add(field, f"is no colour such as {DEFAULT_PRIMARY}: {text}")
        return None
    return text.lower()


def _logo_url(faults: Faults, field: str, value: object) -> str | None:
    text = faults.optional_line(field, value, longest=LONGEST_URL)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        sound = parts.scheme == "https" and bool(parts.hostname) and not parts.username and not parts.password
        sound = sound and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or not _PLAIN_URL.fullmatch(text):
        faults.add(field, f"is no https address of a picture: {text}")
        return None
    return text
