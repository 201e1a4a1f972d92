"""What an operator pastes into an OLT, rendered from one small data file per vendor.

A file ``vendors/<name>.toml`` has the shelf that the vendor assumes when a port is written slot/port, how it wants a
PON serial (ITU-T G.984.3: four letters and eight hex digits), and the two texts as Jinja templates. What we don't know
stands in ``<angle brackets>`` for the operator to fill in; nothing is guessed.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

from jinja2 import Environment, StrictUndefined, select_autoescape

from acs import pon_serial
from provisioning.line.ports import LineRequest

Act = Literal["authorise", "withdraw"]
VENDORS: Final = ("huawei", "nokia", "zte")

_templates = Environment(
    undefined=StrictUndefined,
    # Commands, not markup; every word in them was checked when the line was asked for.
    autoescape=select_autoescape(default=False, default_for_string=False),
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Vendor:
    """One vendor's data file."""

    title: str
    shelf: str
    serial_style: Literal["hex", "plain", "colon"]
    authorise: str
    withdraw: str


@dataclass(frozen=True)
class PonPort:
    """Where the PON is, in the vendor's numbers; in angle brackets what isn't known."""

    shelf: str
    slot: str
    pon: str


def render_snippet(vendor_name: str, act: Act, line: LineRequest) -> str:
    """The commands, below a line that says what they are for."""
    vendor = read_vendor(vendor_name)
    port = _pon_port(line.actual_port or line.port, vendor.shelf)
    commands = _templates.from_string(getattr(vendor, act)).render(
        line=line,
        port=port,
        serial=_pon_serial(line.device_serial, vendor.serial_style),
        onu_id="<ONU id>" if line.onu_id is None else line.onu_id,
    )
    planned = line.port or "unknown: look where the ONU has shown up"
    heading = f"# {vendor.title} {line.access_node}, port {line.actual_port or planned}: {act} {line.device_serial}"
    hint = "# fill in what stands in <angle brackets>\n" if "<" in commands else ""
    return f"{heading} for service {line.service_id}\n{hint}{commands.strip()}\n"


@cache
def read_vendor(name: str) -> Vendor:
    """A vendor's data file.

    Raises:
        ValueError: the vendor isn't in ``VENDORS``.
    """
    if name not in VENDORS:
        raise ValueError(f"no snippets for {name!r}, only for {', '.join(VENDORS)}")
    file = resources.files("provisioning.line") / "vendors" / f"{name}.toml"
    return Vendor(**tomllib.loads(file.read_text(encoding="utf-8")))


def _pon_port(text: str | None, default_shelf: str) -> PonPort:
    """The trailing numbers of ``OLT-1/0/1/3``: shelf, slot, PON; of a shelf that isn't given, the vendor's default."""
    shelf = default_shelf.split("/")
    numbers: list[str] = []
    for part in reversed((text or "").split("/")):
        if not part.isdigit() or len(numbers) == len(shelf) + 2:
            break
        numbers.insert(0, part)
    if len(numbers) < 2:
        return PonPort(default_shelf, "<slot>", "<PON port>")
    *given, slot, pon = numbers
    return PonPort("/".join([*shelf[: len(shelf) - len(given)], *given]), slot, pon)


def _pon_serial(device_serial: str, style: str) -> str:
    pon = pon_serial(device_serial)
    if pon is None:
        return f"<PON serial of {device_serial}>"  # some CPEs inform the ACS under another serial than the PON's
    maker, rest = pon[:4], pon[4:]
    if style == "hex":
        return maker.encode("ascii").hex().upper() + rest
    return f"{maker}:{rest}" if style == "colon" else maker + rest
