"""The lines of a file that somebody hands over."""

from __future__ import annotations

import pytest

from provisioning.errors import InvalidRequest
from provisioning.text_files import lines_of


def test_lines_have_their_ends_and_the_mark_at_the_beginning_is_none_of_them() -> None:
    assert lines_of(b"\xef\xbb\xbfa,b\r\n1,2\n", what="The import", field="file") == ["a,b\r\n", "1,2\n"]


def test_what_is_not_utf_8_is_refused_by_its_line_and_with_what_to_do() -> None:
    with pytest.raises(InvalidRequest) as refused:
        lines_of("ip,note\n192.0.2.1,Zürich\n".encode("cp1252"), what="The import", field="file")

    [fault] = refused.value.faults
    assert (fault.field, fault.reason) == (
        "file",
        "is not UTF-8 text (line 2, byte 20 of the file); in Excel save it as CSV UTF-8",
    )
