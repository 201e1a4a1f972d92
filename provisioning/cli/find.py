"""``firstlight find``: one box for whatever somebody has in hand."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import Entry, print_json, print_list, say
from provisioning.cli.running import AsJson, run
from provisioning.search import CLUES, MOST_HITS, USUAL_HITS, Found, Hit
from provisioning.sight import ALL_SIGHT


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(find)


def find(
    text: Annotated[
        list[str],
        typer.Argument(
            help="A name, phone, e-mail, username, MAC (or half of it), IP or prefix, ADDRESS:PORT of a CGNAT (and a"
            " moment after it), serial, pool, NAS, a payment's reference, or a number of an order, quote, payment,"
            " ticket, run, visit, service or customer."
        ),
    ],
    limit: Annotated[int, typer.Option(min=1, max=MOST_HITS, help="How many at most.")] = USUAL_HITS,
    json_: AsJson = False,
) -> None:
    """Find whoever or whatever it is, the likeliest first, and say why each was found."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.search_desk(db, ALL_SIGHT, limit=limit).find(" ".join(text))
        print_json(found) if json_ else _print(found)

    run(act, as_json=json_)


def _print(found: Found) -> None:
    for each in found.not_asked:
        say(f"not known: {each.what}. {each.why}")
    if not found.hits:
        say(f"nothing found; it was looked for as {', '.join(CLUES[kind] for kind in found.read_as)}")
        return
    print_list(("what", "which", "online"), [_entry(hit) for hit in found.hits])
    if found.more:
        say("there is more: say more of it")


def _entry(hit: Hit) -> Entry:
    online = {True: Text("yes", style="green"), False: Text("no"), None: Text("")}[hit.is_online]
    return Entry(
        (hit.noun, hit.title, online), f"{hit.about}; {', '.join(hit.why)}" if hit.about else ", ".join(hit.why)
    )
