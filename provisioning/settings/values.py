"""What a setting's value may be: paths, languages, time zones, addresses; each refusal says what would do."""

from __future__ import annotations

from email.headerregistry import Address
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from provisioning.languages import is_language_tag

PREFIX: Final = "FIRSTLIGHT_"


def _split_words(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(word.strip().lower() for word in value.split(",") if word.strip()))


def _ignore_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def sqlite_url(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def is_postgresql(url: str) -> bool:
    return make_url(url).get_backend_name() == "postgresql"


def sqlite_file(url: str) -> Path | None:
    """The file behind an SQLite address, absolute; None on PostgreSQL."""
    return None if is_postgresql(url) else Path(str(make_url(url).database)).absolute()


def read_line(path: Path) -> str:
    """A secret file's content without its line end.

    Raises:
        ValueError: when it can't be read.
    """
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"names {path}, which can't be read") from exc


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a file of secrets that is being replaced: the one in force first, then those that still count.

    Raises:
        ValueError: when it can't be read.
    """
    return tuple(line.strip() for line in read_line(path).splitlines() if line.strip())


def _expanded(path: Path) -> Path:
    return path.expanduser().absolute()


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as http://127.0.0.1:7557")
    if parts.username or parts.password:
        raise ValueError("must not carry a user or password, since addresses are written to the log")
    if parts.query or parts.fragment:
        raise ValueError("must not carry a query or fragment")
    return value.rstrip("/")


def _base_address(value: str) -> str:
    if urlsplit(value).path:
        raise ValueError("must not carry a path: pages and links stand directly below it")
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError("must be a time zone of the IANA database such as Europe/Berlin") from exc
    return value


def _mail_address(value: str) -> str:
    try:
        address = Address(addr_spec=value)
    except (ValueError, IndexError) as exc:
        raise ValueError("must be one plain mail address such as noreply@isp.example") from exc
    if not address.username or "." not in address.domain:
        raise ValueError("must be one plain mail address such as noreply@isp.example")
    return value


def _language_tag(value: str) -> str:
    if not is_language_tag(value):
        raise ValueError("must be a language such as de or de-AT")
    return value


def _database_url(value: str) -> str:
    try:
        url = make_url(value)
    except ArgumentError as exc:
        raise ValueError("must be sqlite:////folder/file.db or postgresql://user:password@host/name") from exc
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ValueError(f"names {url.get_backend_name()!r}, but only sqlite and postgresql are supported")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("must name a file: a database in memory is lost with the process")
    return value


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as exc:
        raise ValueError(f"must be networks such as 10.0.0.0/8, and {value} is none") from exc


FilePath = Annotated[Path, AfterValidator(_expanded)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
BaseAddress = Annotated[WebAddress, AfterValidator(_base_address)]
LanguageTag = Annotated[str, AfterValidator(_language_tag)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
NetworkText = Annotated[str, AfterValidator(_network)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
WORDS = BeforeValidator(_split_words)
"""A list, written as ``slack,tgram``: each word once, in small letters."""
IN_ANY_CASE = BeforeValidator(_ignore_case)
