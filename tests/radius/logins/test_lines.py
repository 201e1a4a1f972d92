"""A line of a file of logins says what FreeRADIUS would have said in SQL, and rubbish is no login."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from radius.logins.lines import LoginLine, read_lines

WHOLE = b"|".join(
    (
        b"1795953813",
        b"Access-Reject",
        b"wrong_password",
        b"pap",
        b"10.0.0.9",
        b"10.0.0.8",
        b"",
        b"u@x",
        b"bng=0A1",
        b"02-00",
        b"ge-0/0/1",
        b"olt 7=232",
        b".",
    )
)


def test_a_line_is_a_row_of_the_log() -> None:
    assert read_lines([WHOLE + b"\n"]).logins == [
        LoginLine(
            username="u@x",
            accepted=False,
            reason="wrong_password",
            about=None,
            method="pap",
            nas_address="10.0.0.9",
            nas_said_address="10.0.0.8",
            nas_identifier="bng=0A1",
            calling_station="02-00",
            nas_port="ge-0/0/1",
            circuit="olt 7=232",
            happened_at=datetime(2026, 11, 29, 12, 3, 33, tzinfo=UTC),
        )
    ]


def test_what_was_not_said_is_nothing_and_what_is_too_long_is_cut() -> None:
    said = ["1795953813", "Access-Accept", "", "chap", "2001:db8::9", "", "=C3=BC" * 70]
    said += ["u" * 260, "", "", "p" * 260, "", "."]
    [login] = read_lines(["|".join(said).encode()]).logins
    assert (login.accepted, login.reason, login.nas_said_address, login.circuit) == (True, None, None, None)
    assert (login.about, login.username, login.nas_port) == ("ü" * 64, "u" * 253, "p" * 253)


def test_characters_above_ascii_are_kept_as_in_sql_and_octets_that_are_none_stay_escaped() -> None:
    line = WHOLE.replace(b"u@x", b"j=C3=BCrgen=FF=C3=3D=C3=A9")
    assert read_lines([line]).logins[0].username == "jürgen=FF=C3=3Dé"


@pytest.mark.parametrize("octets", [0, 1, 2, 9, 25, 34])
def test_a_line_that_was_not_written_to_its_end_still_says_who_and_what(octets: int) -> None:
    whole = read_lines([WHOLE]).logins[0]
    [login] = read_lines([WHOLE[: len(WHOLE) - octets]]).logins
    assert (login[:7], login.happened_at) == (whole[:7], whole.happened_at)
    for there, said in zip(login[7:-1], whole[7:-1], strict=True):
        assert there is None or str(said).startswith(str(there))


@pytest.mark.parametrize("octets", [4, 30, 60, 75])
def test_a_whole_line_behind_one_that_was_cut_off_is_not_lost(octets: int) -> None:
    whole, cut = read_lines([WHOLE]).logins, read_lines([WHOLE[:octets]])
    assert read_lines([WHOLE[:octets] + WHOLE]) == (cut.logins + whole, cut.unreadable)
    assert len(cut.logins) == (octets > 70)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"rubbish",
        b"\x00" * 40,
        WHOLE[: WHOLE.index(b"@x")],
        WHOLE.replace(b"1795953813", b"yesterday"),
        WHOLE.replace(b"1795953813", b"-1"),
        WHOLE.replace(b"u@x", b""),
        WHOLE.replace(b"u@x", b"u\x00x"),
        WHOLE.replace(b"u@x", b"u\xffx"),
        WHOLE.replace(b"pap", b"p" * 17),
        WHOLE.replace(b"10.0.0.9", b"1" * 46),
        WHOLE.replace(b"10.0.0.9", b""),
        WHOLE.replace(b"wrong_password", b"w" * 33),
    ],
)
def test_what_no_server_of_ours_wrote_is_put_aside(line: bytes) -> None:
    assert read_lines([line, WHOLE]) == (read_lines([WHOLE]).logins, [line])
