"""Text as FreeRADIUS writes it into a query: what is not among its safe characters stands there as =XX, octet by octet,
and so does = itself (rlm_sql, ``safe_characters``).
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"(?:=[0-9A-F]{2})+")


def as_sent(text: str) -> str:
    """What came over the wire. Octets that are no UTF-8 are lone surrogates, and ``octets_of`` has them again."""
    return _ESCAPED.sub(lambda found: _octets(found).decode("utf-8", errors="surrogateescape"), text)


def octets_of(text: str) -> bytes:
    """As it goes over the wire again."""
    return text.encode("utf-8", errors="surrogateescape")


def shown(text: str) -> str:
    """What came over the wire, for a reader: what cannot be seen stays escaped, as \\xXX, so that a name can neither
    move a cursor nor end a line."""
    plain = _ESCAPED.sub(lambda found: _octets(found).decode("utf-8", errors="backslashreplace"), text)
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in plain)


def _octets(found: re.Match[str]) -> bytes:
    return bytes.fromhex(found[0].replace("=", ""))
