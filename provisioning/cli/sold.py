"""How what is sold reads: the lines of a quote or an order, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.cli.printing import Entry, print_list, say
from provisioning.commercial import LineRecord
from provisioning.commercial.money import in_words


def months_in_words(months: int) -> str:
    """1 month, 12 months."""
    return "1 month" if months == 1 else f"{months} months"


def print_lines(lines: Sequence[LineRecord], *, total_minor: int, currency: str) -> None:
    """One line each, and their sum below."""
    entries = [
        Entry(
            (
                str(line["quantity"]),
                in_words(line["unit_price_minor"], currency),
                in_words(line["amount_minor"], currency),
                line["charge"],
                line["description"],
            )
        )
        for line in lines
    ]
    print_list(("many", "each", "amount", "charge", "what"), entries)
    say(f"total {in_words(total_minor, currency)}")
