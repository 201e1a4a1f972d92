"""C-VLANs that follow from where a line ends, so that a number seen on the wire leads back to its port without a list.

A formula is a sum of products of whole numbers and ``frame``, ``slot``, ``port`` and ``onu``, such as
``256*port + onu + 2``. Frame, slot and port are the last three numbers in the port's name (``0/1/3``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PARTS = ("frame", "slot", "port", "onu")
_FACTOR = re.compile(r"\d{1,4}|[a-z]+", flags=re.ASCII)


@dataclass(frozen=True)
class CvlanFormula:
    """``terms``: of each product its number, and the parts that it is multiplied by."""

    terms: tuple[tuple[int, tuple[str, ...]], ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """What must be known of a premise."""
        used = {part for _, parts in self.terms for part in parts}
        return tuple(part for part in PARTS if part in used)

    @property
    def is_constant(self) -> bool:
        """Whether every line comes to the same C-VLAN."""
        return all(number == 0 for number, parts in self.terms if parts)

    def missing(self, *, port: str | None, onu: int | None) -> list[str]:
        """What isn't known of the premise."""
        known = _known(port, onu)
        return [part for part in self.parts if part not in known]

    def inputs(self, *, port: str | None, onu: int | None) -> str:
        """What it takes of the premise, for people."""
        of_port = [f"port {port}"] if set(self.parts) - {"onu"} else []
        return ", ".join([*of_port, *([f"ONU {onu}"] if "onu" in self.parts else [])])

    def vid(self, *, port: str | None, onu: int | None) -> int:
        """The C-VLAN of a premise of which nothing is ``missing``."""
        known = _known(port, onu)
        total = 0
        for number, parts in self.terms:
            product = number
            for part in parts:
                product *= known[part]
            total += product
        return total


def parse_formula(text: str) -> CvlanFormula:
    """
    Raises:
        ValueError: says what is wrong with it.
    """
    terms: list[tuple[int, tuple[str, ...]]] = []
    for term in text.split("+"):
        number, parts = 1, list[str]()
        for factor in (each.strip() for each in term.split("*")):
            if not _FACTOR.fullmatch(factor) or (factor.isalpha() and factor not in PARTS):
                raise ValueError(
                    f"{text!r} is no formula: {factor or 'nothing'} is neither a whole number nor {', '.join(PARTS)};"
                    " write for example 256*port + onu + 2"
                )
            if factor.isalpha():
                parts.append(factor)
            else:
                number *= int(factor)
        terms.append((number, tuple(parts)))
    formula = CvlanFormula(tuple(terms))
    if not formula.parts:
        raise ValueError(f"{text!r} gives every line the same C-VLAN; it takes {', '.join(PARTS)}")
    return formula


def _known(port: str | None, onu: int | None) -> dict[str, int]:
    numbers = [int(number) for number in re.findall(r"\d+", port or "", flags=re.ASCII)]
    known = dict(zip(("port", "slot", "frame"), reversed(numbers), strict=False))
    return known if onu is None else {**known, "onu": onu}
