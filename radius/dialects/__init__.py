"""How each vendor's NAS is told a subscriber's plan.

A plan says kbit/s and never names a vendor; a NAS says which dialect it speaks (``nas.type``), and FreeRADIUS answers
it with that dialect's attributes only.

To add a vendor, in this order:

1. its attributes, with vendor number, type and source, to ``radius/attributes.toml``, unless they are there; those
   that prove that a rate was told, both ways, get ``tells_rate`` there and a place in ``no_login_without_a_rate`` of
   ``deploy/freeradius/raddb/policies.conf``; one that names a pool gets ``pool_of`` and a place in ``address_or_pool``;
2. one file here that renders a ``Rate`` (look at ``wispr.py``): mind who is "input" and whether it is bit/s or kbit/s;
   and, if it has words for more of a plan, its options; ``live`` says what it changes of a session that is up;
3. one line in ``_BUILT_IN``;
4. one entry in ``EXPECTED`` of ``tests/radius/test_dialects.py``: what a NAS must receive for 100 Mbit/s down and
   20 Mbit/s up. The suite sends your rows through the real FreeRADIUS and compares. One that is ``live`` gets an
   entry in ``EXPECTED`` of ``tests/radius/coa/test_coa.py`` and in ``FULLEST`` of ``test_real_receiver.py`` beside it;
5. one column in ``docs/radius-dialects.md``, which shows a whole example.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from radius.dialects.chillispot import CHILLISPOT
from radius.dialects.cisco import CISCO
from radius.dialects.dialect import Attributes, Dialect, Live, SessionKey
from radius.dialects.huawei import HUAWEI
from radius.dialects.juniper import JUNIPER
from radius.dialects.mikrotik import MIKROTIK
from radius.dialects.nokia import NOKIA
from radius.dialects.wispr import WISPR
from radius.nas_errors import DialectUnknown
from radius.plans.terms import Rate

_BUILT_IN = {
    dialect.name: dialect
    for dialect in (
        CHILLISPOT,
        CISCO,
        HUAWEI,
        JUNIPER,
        MIKROTIK,
        NOKIA,
        WISPR,
    )
}

DIALECTS: Mapping[str, Dialect] = MappingProxyType(_BUILT_IN)
"""Every dialect there is, by its name."""


def dialect_named(name: str) -> Dialect:
    """The dialect, or ``DialectUnknown``."""
    if name not in DIALECTS:
        raise DialectUnknown(name, DIALECTS)
    return DIALECTS[name]


__all__ = ["DIALECTS", "Attributes", "Dialect", "Live", "Rate", "SessionKey", "dialect_named"]
