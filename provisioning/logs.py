"""Structured logs: constant messages with fields, the run and the customer always among them, secrets never."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

SECRET_NAMES = re.compile(r"pass(word|phrase|wd)?$|secret$|token$|credential|authorization|_key$", re.IGNORECASE)
MASK = "***"
QUIET = ("httpx", "httpcore", "aiosqlite", "apscheduler", "asyncio", "mail.log", "dbos", "urllib3")


def configure_logs(*, level: str, form: Literal["console", "json"], stream: Any = None) -> None:
    """Sends our own logs, and warnings of libraries, to one stream (standard error unless told otherwise)."""
    out = stream or sys.stderr
    threshold = getattr(logging, level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=bool(getattr(out, "isatty", lambda: False)()))
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            mask_secrets,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(out),  # a line in one write: several processes share a log
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=out, level=max(threshold, logging.WARNING), format="%(name)s: %(message)s", force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def mask_secrets(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces values under names that carry secrets; a reference (``secret:...``) may be seen."""
    for name, value in fields.items():
        fields[name] = _masked(name, value)
    return fields


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(name, inner) for inner in value]
    if not SECRET_NAMES.search(name) or value is None:
        return value
    return value if isinstance(value, str) and value.startswith("secret:") else MASK
