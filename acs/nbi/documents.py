"""Reads the answer of a GenieACS collection as it arrives: one document a line between ``[`` and ``]``.

The headers are sent before the first document, so an error in the middle shows only as a body that ends early, after a
200. A body without its closing bracket is therefore no answer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any

from acs.nbi.errors import NbiGarbled

LONGEST_DOCUMENT = 4_000_000
"""Bytes; a large router after a full refresh has 125,000."""


async def read_documents(chunks: AsyncIterable[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Each document once its line is complete.

    Lines end at LF only: U+2028 and its like are legal inside JSON text, and customers do name their WiFi so.

    Raises: NbiGarbled.
    """
    bracket = _Brackets()
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LONGEST_DOCUMENT:
            raise NbiGarbled(f"The ACS sent a document of more than {LONGEST_DOCUMENT} bytes.")
        for line in lines:
            document = bracket.take(line)
            if document is not None:
                yield document
    document = bracket.take(rest)
    if document is not None:
        yield document
    bracket.close()


class _Brackets:
    """Knows whether the list has begun and ended."""

    def __init__(self) -> None:
        self.opened = False
        self.closed = False

    def take(self, line: bytes) -> dict[str, Any] | None:
        line = line.strip()
        if not line:
            return None
        if line == b"[" and not self.opened:
            self.opened = True
            return None
        if line == b"]" and self.opened and not self.closed:
            self.closed = True
            return None
        if line == b"[]" and not self.opened:
            self.opened = self.closed = True
            return None
        if not self.opened or self.closed:
            raise NbiGarbled("The ACS sent no list of documents; is that address the NBI of GenieACS?")
        return parse_document(line.removesuffix(b","))

    def close(self) -> None:
        if not self.closed:
            raise NbiGarbled("The ACS broke off in the middle of its answer.")


def parse_document(text: bytes) -> dict[str, Any]:
    """One JSON object. Raises: NbiGarbled; its message does not repeat the text, which may hold secrets."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NbiGarbled("The ACS sent a document that cannot be read.") from _without_text(error)
    if not isinstance(document, dict):
        raise NbiGarbled("The ACS sent something else than a document.")
    return document


def total_of(headers: Mapping[str, str]) -> int:
    """How many documents a query means in all. Raises: NbiGarbled."""
    total = headers.get("total", "")
    if not total.isascii() or not total.isdigit():
        raise NbiGarbled("The ACS did not say how many documents there are; is that address the NBI of GenieACS?")
    return int(total)


def _without_text(error: Exception) -> Exception:
    """The parser's complaint without the text that it carries along."""
    return ValueError(f"{type(error).__name__}: {getattr(error, 'msg', 'too deep')}")
