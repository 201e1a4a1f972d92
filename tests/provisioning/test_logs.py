"""Logs: one line a happening, the run and the customer in it, and no value under a name that carries secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import pytest
import structlog

from provisioning.logs import MASK, configure_logs, mask_secrets

Configure = Callable[[str, Literal["console", "json"]], io.StringIO]


@pytest.fixture
def configure() -> Configure:
    """Configures logs into a stream."""

    def configured(level: str, form: Literal["console", "json"]) -> io.StringIO:
        stream = io.StringIO()
        configure_logs(level=level, form=form, stream=stream)
        return stream

    return configured


def test_a_line_is_one_object_with_its_time_level_run_and_customer(configure: Configure) -> None:
    stream = configure("info", "json")
    with structlog.contextvars.bound_contextvars(run_id=7, customer_id=1001):
        structlog.get_logger("x").info("step ended", step="allocate_resources")
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "step ended",
        "level": "info",
        "run_id": 7,
        "customer_id": 1001,
        "step": "allocate_resources",
    }


def test_what_is_less_urgent_than_wanted_is_not_written(configure: Configure) -> None:
    stream = configure("warning", "json")
    structlog.get_logger("x").info("nothing of interest")
    logging.getLogger("some.library").info("nothing of interest")
    assert stream.getvalue() == ""
    structlog.get_logger("x").warning("of interest")
    logging.getLogger("some.library").warning("of interest too")
    assert "of interest" in stream.getvalue()
    assert "some.library: of interest too" in stream.getvalue()


def test_even_at_debug_libraries_do_not_tell_what_they_send(configure: Configure) -> None:
    stream = configure("debug", "json")
    for library in ("httpx", "httpcore", "aiosqlite", "sqlalchemy.engine", "psycopg", "mail.log", "dbos"):
        logging.getLogger(library).debug("password hunter2")
        logging.getLogger(library).info("password hunter2")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"password": "hunter2"}, {"password": MASK}),
        ({"wifi_passphrase": "hunter2"}, {"wifi_passphrase": MASK}),
        ({"sealing_key": "hunter2"}, {"sealing_key": MASK}),
        ({"Authorization": "Basic aHVudGVyMg=="}, {"Authorization": MASK}),
        (
            {"settings": {"smtp": {"passwd": "hunter2", "port": 25}}},
            {"settings": {"smtp": {"passwd": MASK, "port": 25}}},
        ),
        ({"secret": ["a", "b"]}, {"secret": [MASK, MASK]}),
        ({"users": [{"password": "hunter2"}]}, {"users": [{"password": MASK}]}),
        ({"password": "secret:subscriber/42"}, {"password": "secret:subscriber/42"}),
        ({"password": None}, {"password": None}),
        ({"username": "c1001-s1@isp.example", "run_id": 7}, {"username": "c1001-s1@isp.example", "run_id": 7}),
    ],
)
def test_values_under_telling_names_are_masked_and_references_are_not(
    fields: dict[str, Any], written: dict[str, Any]
) -> None:
    assert mask_secrets(None, "info", fields) == written


def test_an_exception_is_told_with_where_it_came_from_but_not_with_what_was_in_hand(configure: Configure) -> None:
    stream = configure("error", "json")
    password = "hunter2"
    try:
        raise ValueError(f"a password of {len(password)} characters")
    except ValueError:
        structlog.get_logger("x").exception("a step failed")
    line = json.loads(stream.getvalue())
    assert "ValueError: a password of 7 characters" in line["exception"]
    assert "hunter2" not in stream.getvalue().replace('password = "hunter2"', "")


def test_for_eyes_the_same_is_plain_text(configure: Configure) -> None:
    stream = configure("info", "console")
    structlog.get_logger("x").info("step ended", password="hunter2", run_id=7)
    assert "step ended" in stream.getvalue()
    assert "run_id=7" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()


def test_a_line_is_written_in_one_piece_so_that_processes_can_share_a_log() -> None:
    class Pieces(io.StringIO):
        written: ClassVar[list[str]] = []

        def write(self, text: str) -> int:
            self.written.append(text)
            return super().write(text)

    configure_logs(level="info", form="json", stream=(stream := Pieces()))
    structlog.get_logger("x").info("serving")
    assert stream.written == [stream.getvalue()]
    assert stream.getvalue().endswith("}\n")
