"""The language that a customer is written to in, and that their page speaks: theirs, or None for the ISP's own.

It is a language that there are mails in, or a special case of one (``de-AT``): nobody is promised another one.
"""

from __future__ import annotations

from functools import cache

from provisioning.commercial.mails.rendering import MailTemplates
from provisioning.intake import Faults
from provisioning.languages import LONGEST_TAG, canonical, is_language_tag, matched


@cache
def spoken() -> tuple[str, ...]:
    """The languages that the shipped mails come in."""
    return tuple(MailTemplates(isp_name="").languages())


def read_language(faults: Faults, field: str, value: object) -> str | None:
    """The language in its one spelling (RFC 5646 s2.1.1); None where none was given, or with a fault."""
    tag = faults.optional_line(field, value, longest=LONGEST_TAG)
    if tag is None:
        return None
    if not is_language_tag(tag):
        faults.add(field, "is not a language such as de or de-AT")
        return None
    if matched(tag, spoken()) is None:
        faults.add(field, f"is {tag}, and there are no mails in it; there are: {', '.join(spoken())}")
        return None
    return canonical(tag)
