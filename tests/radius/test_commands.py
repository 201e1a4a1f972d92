"""Commands that messages propose are what is meant when they are typed, whatever somebody is called."""

from __future__ import annotations

import pytest

from radius import as_argument, command_about
from tests.support.command_line import parsed

NAMES = ("ada@isp.example", "-x", "--help", "--reason", "a b", "it's", "$(reboot)", "a-b")


def test_a_name_that_begins_like_an_option_is_written_as_what_it_is() -> None:
    assert [as_argument(name) for name in ("ada@isp", "-dash", "--all", "a-b", "a b")] == [
        "ada@isp",
        "-- -dash",
        "-- --all",
        "a-b",
        "'a b'",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_ends_with_a_name_is_about_whom_it_names(name: str) -> None:
    for verb in ("diagnose", "project", "show"):
        assert parsed(f"firstlight subscribers {verb} {as_argument(name)}")["username"] == name


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_wants_a_reason_besides_is_about_whom_it_names(name: str) -> None:
    for verb in ("activate", "resume", "lift-cap", "disconnect", "rotate-password", "terminate"):
        understood = parsed(command_about(f"subscribers {verb}", name))
        assert (understood["username"], understood["reason"]) == (name, "...")
