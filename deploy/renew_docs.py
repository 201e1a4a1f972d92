"""Writes the parts of docs/*.md that are made from the code anew; `make docs` calls it."""

from __future__ import annotations

from pathlib import Path

from provisioning.reference import parts

DOCS = Path(__file__).parents[1] / "docs"

for name, part in parts().items():
    document = DOCS / f"{name}.md"
    begin, end = f"<!-- {name}: this part is written by `make docs` -->\n", f"<!-- end of {name} -->"
    before, rest = document.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    document.write_text(before + begin + part + end + after, encoding="utf-8")
