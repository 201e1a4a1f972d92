"""A page that is wrong is found to be: what looks at all the others is looked at itself."""

from __future__ import annotations

import pytest

from tests.support.browser import Machine

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRONG = """<!doctype html><html lang="en"><title>Wrong</title>
<style>p { color: #555 }
@media (prefers-color-scheme: dark) { body { background: #222; color: #eee } p { color: #333 } }</style>
<main><h1>Wrong</h1><img src="data:,"><p>Hard to read in the dark</p></main>"""


async def test_what_is_wrong_with_a_page_is_told_in_each_guise_in_which_it_is(machine: Machine) -> None:
    async with machine.looker() as anybody:
        await anybody.page.set_content(WRONG)
        found = await machine.look(anybody, "wrong")
    rules = {guise: [each.partition(":")[0] for each in said] for guise, (said, _) in found.items()}
    assert rules == {
        "desk-light": ["image-alt"],
        "desk-dark": ["color-contrast"],
        "phone-light": ["image-alt"],
        "phone-dark": ["color-contrast"],
    }
