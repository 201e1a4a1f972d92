"""How each vendor's NAS is told a subscriber's rate.

A plan says kbit/s and never names a vendor; a NAS says which dialect it speaks (``nas.type``), and FreeRADIUS answers
it with that dialect's attributes only.

To add a vendor, in this order:

1. its attributes, with vendor number, type and source, to ``radius/attributes.toml``;
2. one file here that renders a ``Rate`` (look at ``wispr.py``): mind who is "input" and whether it is bit/s or kbit/s;
3. one line in ``DIALECTS``;
4. one of its attributes to ``no_login_without_a_rate`` in ``deploy/freeradius/raddb/policies.conf``;
5. one entry in ``EXPECTED`` of ``tests/radius/test_dialects.py``: what a NAS must receive for 100 Mbit/s down and
   20 Mbit/s up. The suite sends your rows through the real FreeRADIUS on both databases and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from radius.dialects.dialect import Dialect, Rate
from radius.dialects.mikrotik import MIKROTIK
from radius.dialects.wispr import WISPR
from radius.errors import DialectUnknown

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in (MIKROTIK, WISPR)})
"""Every dialect there is, by its name."""


def dialect_named(name: str) -> Dialect:
    """The dialect, or ``DialectUnknown``."""
    if name not in DIALECTS:
        raise DialectUnknown(name, DIALECTS)
    return DIALECTS[name]


__all__ = ["DIALECTS", "Dialect", "Rate", "dialect_named"]
