"""Languages as BCP 47 writes them."""

from __future__ import annotations

import pytest

from provisioning.languages import ENGLISH, Choice, canonical, choose, choose_words


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


@pytest.mark.parametrize(
    ("wished", "own", "found"),
    [
        ("de-AT", "en", Choice("de", "de-AT")),
        ("PT-br", "en", Choice("pt-BR", "PT-br")),
        ("fr", "de-CH", Choice("de", "de-CH")),
        ("no tag", "de", Choice("de", "de")),
        (None, "en-GB", Choice("en", "en-GB")),
        ("pt", "fr", None),
    ],
)
def test_a_wish_is_met_by_the_nearest_language_else_the_isps_own(wished: str | None, own: str, found: Choice) -> None:
    assert choose(("de", "en", "pt-BR"), wished, own) == found
    assert choose_words(("de", "en", "pt-BR"), wished, own) == (found or ENGLISH)
