"""Files of JSON that somebody hands in: read whole, or refused in words; what is in them is for others to check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from provisioning.errors import Fault, InvalidRequest


def read_json(path: Path, what: str) -> Any:
    """What stands in the file, unchecked. ``what`` it is to be, such as ``The ticket``.

    Raises: InvalidRequest naming the file, and the line where the JSON breaks off.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_each_once)
    except OSError as error:
        raise InvalidRequest(what, [Fault(str(path), error.strerror or "can't be read")]) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(what, [Fault(str(path), "is not UTF-8 text")]) from error
    except json.JSONDecodeError as error:
        where = f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        raise InvalidRequest(what, [Fault(str(path), where)]) from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets without an end
        raise InvalidRequest(what, [Fault(str(path), f"is not JSON that anybody means: {error}")]) from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that is given twice, either value may be meant (RFC 8259 s4)."""
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise ValueError(f"{key[:60]!r} is given twice")
        read[key] = value
    return read
