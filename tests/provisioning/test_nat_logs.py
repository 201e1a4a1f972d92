"""Logs of a CGNAT as CSV: read whole, or every line named that can't be meant."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ipam import LoggedBlock
from provisioning.errors import InvalidRequest
from provisioning.nat_logs import read_blocks
from workflows import NO_MOMENT

HEADING = "outside,first_port,last_port,inside,began_at,ended_at,vrf\n"


def refused(file: Path, text: str) -> list[str]:
    file.write_text(text)
    try:
        return [str(fault) for fault in read_blocks(file).faults]
    except InvalidRequest as error:
        return [str(fault) for fault in error.faults]


def test_columns_stand_in_any_order_and_what_may_be_missing_is(tmp_path: Path) -> None:
    file = tmp_path / "cgn.csv"
    file.write_text(
        "inside,outside,first_port,last_port,began_at,ended_at\n"
        "100.64.0.7,203.0.113.7,1024,1535,2026-03-02T21:00:00+01:00,\n"
        "100.64.0.8,203.0.113.7,1536,2047,2026-03-02T20:00:00Z,2026-03-02T21:00:00Z\n"
    )
    eight, nine = (datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (20, 21))
    log = read_blocks(file)
    assert log.faults == []
    assert log.blocks == [
        LoggedBlock("203.0.113.7", 1024, 1535, "100.64.0.7", eight),
        LoggedBlock("203.0.113.7", 1536, 2047, "100.64.0.8", eight, nine),
    ]
    assert [block.where for block in log.blocks] == ["line 2", "line 3"]  # as what is refused later is called as well


def test_every_line_that_is_wrong_in_its_form_is_named(tmp_path: Path) -> None:
    file = tmp_path / "cgn.csv"
    lines = [
        "203.0.113.7,1024,x,100.64.0.7,2026-03-02T20:00:00Z,,",
        "203.0.113.7,1024,1535,100.64.0.7,2026-03-02T20:00:00,yesterday,",
        "203.0.113.7,1024",
        "203.0.113.7,500,40,999.1.1.1,2026-03-02T20:00:00Z,2026-03-02T19:00:00Z,",
        "203.0.113.7,1024,1535,,2026-03-02T20:00:00Z,,blue",
        f"203.0.113.7,1024,{'1' * 5000},100.64.0.7,0001-01-01T00:00:00+14:00,,",
    ]
    assert refused(file, HEADING + "\n".join(lines)) == [
        "line 2: last_port x is not a whole number",
        f"line 3: began_at 2026-03-02T20:00:00 {NO_MOMENT}",
        f"line 3: ended_at yesterday {NO_MOMENT}",
        "line 4: columns are more or fewer than the first line names",
        "line 6: inside is missing",
        f"line 7: last_port {'1' * 60} is not a whole number",
        f"line 7: began_at 0001-01-01T00:00:00+14:00 {NO_MOMENT}",
    ]
    assert refused(file, "outside,tea\n") == [
        *(f"{name} is no column of the first line" for name in ("first_port", "last_port", "inside", "began_at")),
        "tea is not known here",
    ]
    for name in ("inside", "ended_at", "vrf"):
        assert refused(file, HEADING.replace("\n", f",{name.title()}\n")) == [f"{name} is the name of two columns"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_the_heading_may_have_capitals_and_other_separators(tmp_path: Path, separator: str) -> None:
    file = tmp_path / "cgn.csv"
    line = "203.0.113.7,1024,1535,100.64.0.7,2026-03-02T20:00:00Z,,\n"
    file.write_text("\ufeff" + (HEADING.title() + line).replace(",", separator))
    log = read_blocks(file)
    began = datetime(2026, 3, 2, 20, tzinfo=UTC)
    assert (log.blocks, log.faults) == ([LoggedBlock("203.0.113.7", 1024, 1535, "100.64.0.7", began)], [])
