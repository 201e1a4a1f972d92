"""Writes the parts of docs/*.md that are made from the code anew; `make docs` calls it."""

from __future__ import annotations

from pathlib import Path

from provisioning.reference import parts
from tests.contracts.tests_of_methods import render_tests

DOCS = Path(__file__).parents[1] / "docs"


def renew(page: str, name: str, part: str) -> None:
    """Put this part of a page between its two marks."""
    document = DOCS / f"{page}.md"
    begin, end = f"<!-- {name}: this part is written by `make docs` -->\n", f"<!-- end of {name} -->"
    before, rest = document.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    document.write_text(before + begin + part + end + after, encoding="utf-8")


for page, part in parts().items():
    renew(page, page, part)
renew("contract", "tests of the contract", render_tests())
