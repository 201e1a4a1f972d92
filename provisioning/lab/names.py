"""Names of people who do not exist, as many as one needs."""

from __future__ import annotations

FIRST_NAMES = (
    "Anna",
    "Björn",
    "Chloé",
    "Dmitri",
    "Elif",
    "François",
    "Grażyna",
    "Håkon",
    "Inés",
    "Jörg",
    "Katharina",
    "Łukasz",
    "María",
    "Noël",
    "Özge",
    "Paul",
)
FAMILY_BEGINS = (
    "Acker",
    "Berg",
    "Cron",
    "Dorn",
    "Eich",
    "Fels",
    "Grün",
    "Hoch",
    "Klein",
    "Lind",
    "Müll",
    "Nord",
    "Ost",
    "Rosen",
    "Schön",
    "Stein",
    "Wald",
    "Zinn",
)
FAMILY_ENDS = (
    "bauer",
    "berger",
    "brandt",
    "er",
    "feld",
    "hoff",
    "hofer",
    "huber",
    "inger",
    "mann",
    "meier",
    "rath",
    "stein",
    "thal",
    "wald",
    "weiß",
)


def name_of(customer: int) -> str:
    """A first name that many have, and a family name that a hundred have or so."""
    first = FIRST_NAMES[customer % len(FIRST_NAMES)]
    return (
        f"{first} {FAMILY_BEGINS[customer // 7 % len(FAMILY_BEGINS)]}{FAMILY_ENDS[customer // 11 % len(FAMILY_ENDS)]}"
    )
