"""Lines of a quote: what is wished, and what that costs. Arithmetic in minor units; nothing is asked of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from typing_extensions import TypedDict

from provisioning.commercial.money import LARGEST_AMOUNT_MINOR, in_words, read_minor
from provisioning.commercial.selling.offers import OfferRecord
from provisioning.commercial.selling.selling_tables import Charge, SoldLine
from provisioning.intake import Faults

MOST_LINES = 100
MOST_OF_ONE = 100_000
LONGEST_DESCRIPTION = 300


@dataclass(frozen=True)
class LineWish:
    """So many of an offer, at its price unless another is given here; or, without an offer, something in words at a
    price. ``charge`` is for the latter: due ``once`` (if not said otherwise) or ``recurring`` with every period."""

    offer_id: int | None = None
    quantity: int = 1
    description: str | None = None
    unit_price_minor: int | None = None
    charge: Charge | None = None


@dataclass(frozen=True)
class PricedLine:
    """A line as it is written. ``amount_minor`` is what one billing period of it costs, or what is due once."""

    offer_id: int | None
    description: str
    quantity: int
    unit_price_minor: int
    charge: Charge

    @property
    def amount_minor(self) -> int:
        return self.quantity * self.unit_price_minor

    def columns(self) -> dict[str, object]:
        return {**vars(self), "amount_minor": self.amount_minor}


class LineRecord(TypedDict):
    offer_id: int | None
    description: str
    quantity: int
    unit_price_minor: int
    charge: Charge
    amount_minor: int


def total_of(lines: Sequence[PricedLine], currency: str, faults: Faults) -> int:
    """The sum of the lines: what is due at the start, one billing period and everything that is due once."""
    total = sum(line.amount_minor for line in lines)
    if total > LARGEST_AMOUNT_MINOR:
        faults.add("lines", f"come to more than any bill: {in_words(total, currency)}")
    return total


def price_lines(
    wishes: Sequence[LineWish | None], offers: Mapping[int, OfferRecord], faults: Faults
) -> list[PricedLine]:
    """The lines with their prices: of an offer, also its setup fee. What is wrong goes to ``faults``.

    ``offers`` are those sold today; that an offer isn't among them is for whoever looked to say,
    and so is what is wrong with a line that is None.
    """
    if not 1 <= len(wishes) <= MOST_LINES:
        faults.add("lines", f"are {len(wishes)}; a quote has 1 to {MOST_LINES}")
        return []
    lines: list[PricedLine] = []
    for number, wish in enumerate(wishes):
        if wish is None:
            continue
        where = f"lines.{number}"
        quantity = faults.number(f"{where}.quantity", wish.quantity)
        if quantity > MOST_OF_ONE:
            faults.add(f"{where}.quantity", f"is more than {MOST_OF_ONE}")
        if wish.offer_id is None:
            lines.append(_in_own_words(wish, quantity, where, faults))
        elif isinstance(wish.offer_id, int) and wish.offer_id in offers:
            lines += _of_offer(wish, quantity, offers[wish.offer_id], where, faults)
    return lines


def _in_own_words(wish: LineWish, quantity: int, where: str, faults: Faults) -> PricedLine:
    charge = wish.charge or "once"
    if charge not in get_args(Charge):
        faults.add(f"{where}.charge", f"is neither recurring nor once: {charge}")
    return PricedLine(
        offer_id=None,
        description=faults.line(f"{where}.description", wish.description, longest=LONGEST_DESCRIPTION),
        quantity=quantity,
        unit_price_minor=read_minor(faults, f"{where}.unit_price_minor", wish.unit_price_minor),
        charge=charge,
    )


def _of_offer(wish: LineWish, quantity: int, offer: OfferRecord, where: str, faults: Faults) -> list[PricedLine]:
    if wish.charge not in (None, "recurring"):
        faults.add(f"{where}.charge", "is not for offers to say: an offer is recurring, its setup fee is due once")
    price = wish.unit_price_minor
    described = faults.optional_line(f"{where}.description", wish.description, longest=LONGEST_DESCRIPTION)
    lines = [
        PricedLine(
            offer_id=offer["offer_id"],
            description=described or offer["title"],
            quantity=quantity,
            unit_price_minor=offer["price_minor"]
            if price is None
            else read_minor(faults, f"{where}.unit_price_minor", price),
            charge="recurring",
        )
    ]
    if offer["setup_fee_minor"]:
        setup = f"Setup: {offer['title']}"
        lines.append(PricedLine(offer["offer_id"], setup, quantity, offer["setup_fee_minor"], "once"))
    return lines


def as_line(row: SoldLine) -> LineRecord:
    return LineRecord(
        offer_id=row.offer_id,
        description=row.description,
        quantity=row.quantity,
        unit_price_minor=row.unit_price_minor,
        charge=row.charge,
        amount_minor=row.amount_minor,
    )
