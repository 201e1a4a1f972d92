"""The lines of a file that somebody hands over."""

from __future__ import annotations

import io

from provisioning.errors import Fault, InvalidRequest


def lines_of(content: bytes, *, what: str, field: str) -> list[str]:
    """With their ends, so that a CSV's cells may have several.

    Raises:
        InvalidRequest: of ``what``, in ``field``: it is no UTF-8, such as what Excel saves as plain "CSV".
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        why = f"is not UTF-8 text (line {line}, byte {error.start + 1} of the file); in Excel save it as CSV UTF-8"
        raise InvalidRequest(what, [Fault(field, why)]) from error
    return io.StringIO(text, newline="").readlines()
