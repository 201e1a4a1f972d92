"""The recorded exchanges, in the order in which they were made.

Long requests were shortened in the recording; they are made whole again here, by the rule that made them and by the
length that was written down.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

RECORDING = Path(__file__).with_name("nbi-contract.jsonl")
_SHORTENED = re.compile(r"\.\.\.\((\d+) chars\)$")
_FIRST_ID = "ACDE48-ONT%2D181-SN000000"


@dataclass(frozen=True)
class Exchange:
    """One request, and either an answer or `dropped` (the server closed the connection without one)."""

    number: int
    name: str
    method: str
    target: str
    request_headers: dict[str, str]
    request_body: bytes
    dropped: bool
    status: int
    reason: str
    headers: dict[str, str]
    body: str
    body_bytes: int
    seconds: float

    @property
    def whole(self) -> bool:
        """False when the recording holds only the beginning of the body."""
        return len(self.body.encode()) == self.body_bytes


def load() -> list[Exchange]:
    with RECORDING.open(encoding="utf-8") as lines:
        return [_exchange(number, json.loads(line)) for number, line in enumerate(lines)]


def _exchange(number: int, row: dict[str, Any]) -> Exchange:
    request, response = row["request"], row["response"]
    return Exchange(
        number=number,
        name=row["name"],
        method=request["method"],
        target=_whole_target(request["path"]),
        request_headers=request["headers"],
        request_body=_whole_body(request["body"], response),
        dropped="error" in response,
        status=response.get("status", 0),
        reason=response.get("reason", ""),
        headers=response.get("headers", {}),
        body=response.get("body", ""),
        body_bytes=response.get("body_bytes", 0),
        seconds=row["elapsed_ms"] / 1000,
    )


def _whole_target(target: str) -> str:
    shortened = _SHORTENED.search(target)
    if shortened is None:
        return target
    length = int(shortened[1])
    counts = range(1, 2000)
    whole = _query_for(counts[bisect_left(counts, length, key=lambda count: len(_query_for(count)))])
    assert len(whole) == length, f"no query of ids is {length} characters long"
    assert whole.startswith(target[: shortened.start()])
    return whole


def _query_for(count: int) -> str:
    ids = [f"ACDE48-ONT%2D181-SN{number:06d}" for number in range(count)]
    return f"/devices?query={quote(json.dumps({'_id': {'$in': ids}}), safe='')}&projection=_id"


def _whole_body(body: str | None, response: dict[str, Any]) -> bytes:
    if body is None:
        return b""
    if not body.endswith("..."):
        return body.encode()
    opening = '{"name": "provisions", "provisions": [["x", "'
    assert body.startswith(opening)
    # The answer repeats the task, so its length says how many letters the task had.
    rest = f'{{"name":"provisions","provisions":[["x",""]],"device":"{_FIRST_ID}","timestamp":"","_id":""}}'
    letters = response["body_bytes"] - len(rest) - len("2026-11-22T13:13:16.106Z") - 24
    return f'{opening}{"y" * letters}"]]}}'.encode()
