"""Languages as BCP 47 writes them."""

from __future__ import annotations

import pytest

from provisioning.languages import canonical


@pytest.mark.parametrize(
    ("tag", "spelt"),
    [
        ("DE", "de"),
        ("de-at", "de-AT"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-ch-1996", "de-CH-1996"),
        ("SL-Rozaj", "sl-rozaj"),
    ],
)
def test_a_tag_has_one_spelling(tag: str, spelt: str) -> None:
    assert canonical(tag) == spelt
