"""The one search box: names, telephone numbers, mail addresses, usernames, MAC addresses, IP addresses, ports of a
CGNAT, serial numbers, pools, NASes, and numbers of orders, quotes, payments, tickets, runs, visits and customers,
however they are written.

``recognise`` says what a text may mean (pure), ``SearchDesk`` asks for each meaning, of what the caller may see
(``provisioning.sight``), and ``hits`` puts together what was found, with the reasons.

To add a kind: a name in ``recognise.ClueKind``, its words in ``CLUES`` and its recogniser, one question by index in the
package that owns the rows, a method in ``lines``, ``planned``, ``elements`` or ``papers`` that makes hits of the
answers, and one line in ``SearchDesk._asked``.
"""

from provisioning.search.desk import MOST_HITS, USUAL_HITS, SearchDesk
from provisioning.search.elements import Elements
from provisioning.search.hits import Found, Hit, NotAsked, Noun
from provisioning.search.lines import Lines
from provisioning.search.papers import Papers
from provisioning.search.planned import Planned
from provisioning.search.recognise import CLUES, LONGEST, Clue, ClueKind, recognise

__all__ = [
    "CLUES",
    "LONGEST",
    "MOST_HITS",
    "USUAL_HITS",
    "Clue",
    "ClueKind",
    "Elements",
    "Found",
    "Hit",
    "Lines",
    "NotAsked",
    "Noun",
    "Papers",
    "Planned",
    "SearchDesk",
    "recognise",
]
