"""What the columns of a file are called, whatever its system puts before their names, and in which language."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from ipam.inventory.lines import ImportSource

EQUIPMENT = "location_of_equipment"
"""What phpIPAM's own column *Location* is called here: it says where a device stands, not where a customer lives."""
IN_ENGLISH: Mapping[ImportSource, str] = {
    "netbox": "export it in English (in NetBox the language stands in the user's preferences)",
    "phpipam": "export it in English (in phpIPAM the language stands in the user's account)",
}
"""What to do about a list whose words are of another language."""
_CUSTOM = re.compile("^(cf_|custom_)")
"""Before the names of custom fields: NetBox's, and phpIPAM's (``admin/custom-fields/edit-result.php``)."""
_TRANSLATED: Mapping[str, Collection[str]] = {
    "status": ("stav", "estado", "statut", "état", "stato", "ステータス", "statuss", "статус", "durum", "状态"),
    "description": (
        "popis",
        "beskrivelse",
        "beschreibung",
        "descripción",
        "descrizione",
        "説明",
        "apraksts",
        "omschrijving",
        "beschrijving",
        "opis",
        "descrição",
        "описание",
        "açıklama",  # noqa: RUF001
        "опис",
        "描述",
    ),
}
"""Columns that are read of NetBox's lists, in the languages that it speaks; some call a prefix as English does."""


def plain(name: str) -> str:
    """One spelling of it, without what stands before the names of custom fields."""
    return _CUSTOM.sub("", _folded(name))


def without_own(header: Sequence[str], source: ImportSource) -> list[str]:
    """The plain names; of phpIPAM's own columns those without one that are called like a custom field of the file."""
    names = [plain(name) for name in header]
    if source != "phpipam":
        return names
    custom = {plain(name) for name in header if _is_custom(name)}
    return ["" if name in custom and not _is_custom(said) else name for name, said in zip(names, header, strict=True)]


def told_apart(names: Sequence[str], header: Sequence[str], source: ImportSource) -> list[str]:
    """The names with phpIPAM's own location called ``EQUIPMENT``."""
    if source != "phpipam":
        return [*names]
    both = zip(names, header, strict=True)
    return [EQUIPMENT if name == "location" and not _is_custom(said) else name for name, said in both]


def untranslated(names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Columns that NetBox calls so in another language, and what they are in English, where the file has none that is
    called so: a custom field may have any name."""
    for english, others in _TRANSLATED.items():
        if english not in names:
            yield from ((name, english) for name in names if name in others)


def _is_custom(name: str) -> bool:
    return _CUSTOM.match(_folded(name)) is not None


def _folded(name: str) -> str:
    return name.strip().lower().replace(" ", "_")
