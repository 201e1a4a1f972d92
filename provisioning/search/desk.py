"""The one search box: every meaning of what was typed is asked; what was found is told once, the likeliest first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from provisioning.errors import Fault, InvalidRequest
from provisioning.search.elements import Elements
from provisioning.search.hits import ASIDE, WHOLE, Found, Hit, known_as, merged, ranked
from provisioning.search.lines import Lines
from provisioning.search.papers import Papers
from provisioning.search.planned import Planned
from provisioning.search.recognise import Clue, ClueKind, cleaned, recognise
from provisioning.sight import Sight

MOST_HITS = 50
USUAL_HITS = 20


class SearchDesk:
    """The door for whoever looks for something, bound to one transaction of each database; nothing is written."""

    def __init__(
        self,
        *,
        lines: Lines,
        planned: Planned,
        elements: Elements,
        papers: Papers,
        sight: Sight,
        limit: int = USUAL_HITS,
    ) -> None:
        self._lines = lines
        self._planned = planned
        self._elements = elements
        self._papers = papers
        self._sight = sight
        self._limit = limit

    async def find(self, text: str) -> Found:
        """What the text may mean and who may be seen; ``limit`` at most. A radius database that can't be read leaves
        out what stands there alone, and the answer says so.

        Raises:
            InvalidRequest: it is empty, too short to mean anything, or asks who had a port at a time that is none, or
                is yet to come.
        """
        clues = recognise(text)
        if not clues:
            raise InvalidRequest("The search", [Fault("q", "is too short: two characters, or a number")])
        hits: list[Hit] = []
        more = False
        for clue in clues:
            found = await self._asked(clue)
            more = more or len(found) >= self._limit
            hits += found
        seen = await self._seen(merged(hits))
        best = ranked(seen)[: self._limit]
        read_as: list[ClueKind] = list(dict.fromkeys(clue.kind for clue in clues))
        told = ranked(await self._told(best))
        return Found(cleaned(text), read_as, told, more or len(seen) > len(best), self._lines.not_asked)

    async def _asked(self, clue: Clue) -> list[Hit]:
        askers: dict[ClueKind, Callable[[Clue], Awaitable[list[Hit]]]] = {
            "mac": self._lines.with_mac,
            "port": self._planned.behind_port,
            "address": self._at_address,
            "serial": self._lines.with_serial,
            "email": self._papers.at,
            "phone": self._papers.called,
            "number": self._numbered,
            "username": self._lines.named,
            "external_id": self._lines.known_as,
            "run_key": self._papers.of_key,
            "reference": self._papers.referred_to,
            "pool_or_nas": self._elements.named,
            "name": self._papers.named,
        }
        return await askers[clue.kind](clue)

    async def _at_address(self, clue: Clue) -> list[Hit]:
        askers = (self._lines.with_address, self._planned.with_address, self._elements.at_address)
        return [hit for ask in askers for hit in await ask(clue)]

    async def _numbered(self, clue: Clue) -> list[Hit]:
        hits = await self._papers.numbered(clue)
        if clue.of in (None, "service"):
            hits += await self._lines.of_service(int(clue.value), ASIDE if clue.of is None else WHOLE)
        return hits

    async def _seen(self, hits: list[Hit]) -> list[Hit]:
        """What of it concerns those whom a partner may know; runs were looked for among their own."""
        if self._sight.customers is None:
            return hits
        known = await self._papers.names_of([hit.customer_id for hit in hits if hit.customer_id is not None])
        return [hit for hit in hits if hit.noun == "run" or hit.customer_id in known]

    async def _told(self, hits: list[Hit]) -> list[Hit]:
        customers = [hit.customer_id for hit in hits if hit.noun == "customer" and hit.customer_id is not None]
        lines = await self._lines.usernames_of(customers) if customers else {}
        led = [
            replace(hit, username=lines.get(hit.customer_id or 0)) if hit.noun == "customer" else hit for hit in hits
        ]
        numbers = {hit.customer_id for hit in led if hit.customer_id is not None}
        names = await self._papers.names_of(sorted(numbers)) if numbers else {}
        usernames = {hit.username for hit in led if hit.username} if self._sight.may("subscribers.read") else set()
        online = await self._lines.sessions_of(usernames) if usernames else {}
        return [known_as(hit, names, online, usernames) for hit in led]
