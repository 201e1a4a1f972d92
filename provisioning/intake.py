"""Reading what people and other systems send: every fault of a request is found before anything is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime

from pydantic import BaseModel, ValidationError

from provisioning.errors import Fault, InvalidRequest
from workflows import FIRST_YEAR, LAST_YEAR, PRINTABLE, model_faults

Clock = Callable[[], datetime]
"""The time now, aware, handed in by whoever composes the appliance."""

# A sealed secret's name; told to a customer or a team it is a mistake, and a password would be a worse one.
SECRET_REFERENCE = "secret:"  # noqa: S105 - the prefix of a reference, no secret itself

LARGEST_NUMBER = 2**63 - 1
LONGEST_REQUEST_ID = 200
LONGEST_EMAIL = 254  # RFC 5321 s4.5.3.1.3, less the angle brackets
LONGEST_LOCAL_PART = 64  # RFC 5321 s4.5.3.1.1

_ONE_LINE = re.compile(PRINTABLE + "*")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PHONE_PUNCTUATION = re.compile(r"[\s().\-/]")
_PHONE = re.compile(r"\+?[0-9]{4,15}")


class Faults:
    """What is wrong with one request. Read every field through it, then ``refuse_if_any()``."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._found: list[Fault] = []

    def add(self, field: str, reason: str) -> None:
        self._found.append(Fault(field, reason))

    def add_all(self, faults: Iterable[Fault]) -> None:
        """Of a field that has a fault already nothing more is said."""
        known = {fault.field for fault in self._found}
        self._found.extend(fault for fault in faults if fault.field not in known)

    @property
    def all(self) -> tuple[Fault, ...]:
        """Those that were found so far."""
        return tuple(self._found)

    @property
    def count(self) -> int:
        """How many there are so far."""
        return len(self._found)

    def refuse_if_any(self) -> None:
        """Raises: InvalidRequest with all faults found so far."""
        if self._found:
            raise InvalidRequest(self.what, self._found)

    def line(self, field: str, value: object, *, longest: int = 200) -> str:
        """One line of text that must be there, without the blanks around it."""
        found_before = len(self._found)
        text = self.optional_line(field, value, longest=longest)
        if text is None and len(self._found) == found_before:
            self.add(field, "is missing")
        return text or ""

    def optional_line(self, field: str, value: object, *, longest: int = 200) -> str | None:
        """One line of text, or None when there is nothing in it."""
        if value is None:
            return None
        if not isinstance(value, str):
            self.add(field, "is not text")
            return None
        text = value.strip()
        if not _ONE_LINE.fullmatch(text):
            self.add(field, "holds a line break or another control character")
            return None
        if len(text) > longest:
            self.add(field, f"is longer than {longest} characters")
            return None
        return text or None

    def text(self, field: str, value: object, *, longest: int = 4000) -> str:
        """Text of one or several lines that must be there; lines end with a line feed alone."""
        if value is None or (isinstance(value, str) and not value.strip()):
            self.add(field, "is missing")
            return ""
        if not isinstance(value, str):
            self.add(field, "is not text")
            return ""
        text = value.replace("\r\n", "\n").strip()
        if not _ONE_LINE.fullmatch(text.replace("\n", "").replace("\t", "")):
            self.add(field, "holds a control character")
            return ""
        if len(text) > longest:
            self.add(field, f"is longer than {longest} characters")
            return ""
        return text

    def number(self, field: str, value: object) -> int:
        """A number that names something: 1 or more, and storable."""
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_NUMBER:
            self.add(field, "is not a positive whole number")
            return 0
        return value

    def moment(self, field: str, value: object) -> datetime | None:
        """A time that says its zone, in a year that anybody means."""
        if not isinstance(value, datetime):
            self.add(field, "is not a date and time")
            return None
        if value.tzinfo is None:
            self.add(field, "has no time zone")
            return None
        if not FIRST_YEAR <= value.year <= LAST_YEAR:
            self.add(field, f"is in the year {value.year}, not in {FIRST_YEAR} to {LAST_YEAR}")
            return None
        return value

    def request_id(self, value: object) -> str | None:
        return self.optional_line("request_id", value, longest=LONGEST_REQUEST_ID)

    def email(self, field: str, value: object) -> str:
        """A mail address in ASCII (an international domain in its xn-- form), as RFC 5321 s4.1.2 writes it unquoted."""
        text = self.line(field, value, longest=LONGEST_EMAIL)
        if not text:
            return ""
        address = _ascii_address(text)
        if address is None:
            self.add(field, f"is not a mail address: {text}")
        return address or ""

    def phone(self, field: str, value: object) -> str | None:
        """A telephone number without its punctuation, at most 15 digits (E.164)."""
        text = self.optional_line(field, value, longest=40)
        if text is None:
            return None
        digits = _PHONE_PUNCTUATION.sub("", text)
        if not _PHONE.fullmatch(digits):
            self.add(field, f"is not a telephone number: {text}")
            return None
        return digits


def faults_of(error: ValidationError, *, whole: str, model: type[BaseModel] | None = None) -> list[Fault]:
    """What a model found wrong, in words for a person; ``whole`` names what has no field of its own. Of ``model`` it is
    also said which fields are known where one is not."""
    return [Fault(where, what) for where, what in model_faults(error, whole=whole, model=model)]


def _ascii_address(text: str) -> str | None:
    local_part, at, domain = text.rpartition("@")
    if not at or len(local_part) > LONGEST_LOCAL_PART or not _LOCAL_PART.fullmatch(local_part):
        return None
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    address = f"{local_part}@{ascii_domain}"
    return address if len(address) <= LONGEST_EMAIL else None
