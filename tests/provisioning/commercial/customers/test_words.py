"""The spelling in which names and telephone numbers are compared."""

from __future__ import annotations

import pytest

from provisioning.commercial.customers.words import keys_of, significant, spellings, words_of


@pytest.mark.parametrize(
    ("word", "spelt"),
    [
        ("Müller", ("muller", "mueller")),
        ("mueller", ("mueller",)),
        ("Weiß", ("weiss",)),
        ("Łukasz", ("lukasz",)),
        ("SØREN", ("soren", "soeren")),
        ("Ångström", ("angstrom", "aangstroem")),
        ("Cafe\u0301", ("cafe",)),
        ("Дмитрий", ("дмитрии",)),
        ("李", ("李",)),
    ],
)
def test_a_word_is_found_without_its_accents_and_with_them_written_out(word: str, spelt: tuple[str, ...]) -> None:
    assert spellings(word) == spelt


def test_words_are_letters_and_digits_of_any_script() -> None:
    assert words_of("Dr. Anna-Lena O'Brien & Söhne 24") == ["Dr", "Anna", "Lena", "O", "Brien", "Söhne", "24"]


@pytest.mark.parametrize(
    ("phone", "digits"),
    [
        ("+4930123456", ("4930123456", True)),
        ("0049 30 12 34 56", ("4930123456", True)),
        ("+49 (0)30 123456", ("4930123456", True)),
        ("030/123-456", ("30123456", False)),
        ("(030) 123456", ("30123456", False)),
    ],
)
def test_what_says_how_to_dial_a_number_is_no_part_of_it(phone: str, digits: tuple[str, bool]) -> None:
    assert significant(phone) == digits


def test_a_customer_is_found_by_every_word_mail_address_and_number() -> None:
    assert keys_of(name="Séan O'Brien", email="Sean@Example.net", phone="+353 1 234") == [
        ("email", "sean@example.net"),
        ("name", "brien"),
        ("name", "o"),
        ("name", "obrien"),
        ("name", "sean"),
        ("phone", "3531234"),
        ("phone_end", "4321353"),
    ]
    assert keys_of(name="Ö", email="o@example.net", phone=None) == [
        ("email", "o@example.net"),
        ("name", "o"),
        ("name", "oe"),
    ]
