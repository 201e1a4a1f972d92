"""One whole answer of GenieACS that is no list of documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acs.nbi.documents import parse_document
from acs.nbi.errors import NbiGarbled
from acs.nbi.outcomes import printable


@dataclass(frozen=True, slots=True)
class Answer:
    """Status line, headers and a bounded body."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_in_session(self) -> bool:
        return self.status == 503 and "Device is in session" in self.said

    @property
    def said(self) -> str:
        """The ACS's own words, for a person: its body when it is text, else the reason phrase."""
        text = self.body.decode(errors="replace") if not self.body.startswith((b"{", b"[", b"<")) else ""
        return printable(text) or printable(self.reason) or "without a word"

    @property
    def task_id(self) -> str | None:
        """The number of the task that the body describes; None if it describes none."""
        try:
            task_id = parse_document(self.body).get("_id")
        except NbiGarbled:
            return None
        return task_id if isinstance(task_id, str) else None
