"""The mails that are shipped: the same in every language, told word for word, with samples, and without secrets."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from provisioning.commercial import MailPreview
from provisioning.commercial.mails.mail_samples import as_asked, read_sample
from provisioning.commercial.mails.rendering import SHIPPED_TEMPLATES, leaves
from provisioning.errors import InvalidRequest
from provisioning.intake import Faults
from provisioning.logs import SECRET_NAMES
from tests.contracts.headings import read_headings
from tests.support.golden_mails import FOLDER, LANGUAGES, NAMES, TEMPLATES, as_kept, golden, sample

EACH = [(name, language) for name in NAMES for language in LANGUAGES]


@pytest.mark.scenario("D13")
def test_every_mail_of_the_contract_is_shipped_in_english_and_german_and_more() -> None:
    promised = read_headings().mails
    assert len(promised) == 5
    assert set(NAMES) == promised | {"installation_scheduled", "service_terminated", "visit_choice"}
    assert LANGUAGES == ["de", "en"]
    assert {name: TEMPLATES.languages(name) for name in NAMES} == dict.fromkeys(NAMES, LANGUAGES)


@pytest.mark.parametrize("name", NAMES)
def test_a_mail_asks_for_the_same_in_every_language_and_its_sample_has_all_of_it(name: str) -> None:
    asked = TEMPLATES.variables(name, "en")
    assert TEMPLATES.variables(name, "de") == asked
    assert read_sample(name).variables.keys() - {"brand"} == asked.keys()


@pytest.mark.scenario("D13")
@pytest.mark.parametrize(("name", "language"), EACH)
def test_a_mail_reads_word_for_word_as_it_was_last_looked_at(name: str, language: str) -> None:
    kept = golden(name, language).read_text(encoding="utf-8")
    assert as_kept(sample(name, language)) == kept, "if this is meant: `make mails`, and look at the difference"


def test_nothing_else_is_kept_and_no_sample_is_without_its_mail() -> None:
    assert sorted(FOLDER.iterdir()) == sorted(golden(*each) for each in EACH)
    assert sorted(file.stem for file in (SHIPPED_TEMPLATES / "samples").iterdir()) == NAMES


@pytest.mark.parametrize(("name", "language"), EACH)
def test_the_html_says_what_the_text_says(name: str, language: str) -> None:
    """Word by word, in any order: the two have other headings and other punctuation."""
    mail = sample(name, language)
    shown = " ".join(re.findall(r'href="(.*?)"', mail.html)) + " " + re.sub(r"<[^>]*>", " ", mail.html)
    words = set(re.findall(r"[^\s,:x]+", unescape(shown)))
    missing = [
        word
        for word in re.findall(r"[^\s,:x]+", mail.text)
        if word.rstrip(".") not in words | {w.rstrip(".") for w in words}
    ]
    assert missing == []
    assert f'<html lang="{language}">' in mail.html


@pytest.mark.parametrize("name", NAMES)
def test_a_mail_without_what_may_be_left_out_is_whole(name: str) -> None:
    asked = TEMPLATES.variables(name, "en")
    least = {
        key: value for key, value in read_sample(name).variables.items() if key in asked and not asked[key].optional
    }
    for language in LANGUAGES:
        mail = MailPreview(TEMPLATES).preview(name, least, language=language)
        assert "\n\n\n" not in mail.text and mail.text.endswith("\n\nNorthern Fibre\n")


@pytest.mark.scenario("D14")
@pytest.mark.parametrize("name", NAMES)
def test_no_secret_gets_into_a_mail_by_any_of_its_variables(name: str) -> None:
    asked = TEMPLATES.variables(name, "en")
    assert [each for each in asked if SECRET_NAMES.search(each)] == [], "no mail asks for a password"
    canary = "secret:subscriber/42"
    for path, _ in leaves("variables", read_sample(name).variables):
        if path.startswith("variables.brand.colour") or "_link" in path:
            continue  # neither takes words
        faults = Faults("The mail")
        given = _with(as_asked(read_sample(name).variables, asked, faults), path, canary)
        assert TEMPLATES.render(name, given, faults) is None
        with pytest.raises(InvalidRequest, match=re.escape(f"{path} refers to a secret, and secrets are not mailed")):
            faults.refuse_if_any()


def test_a_preview_tells_every_fault_of_its_variables() -> None:
    preview = MailPreview(TEMPLATES)
    with pytest.raises(InvalidRequest) as refused:
        preview.preview("service_activated", {"activated_at": "soon", "wifi_link": "x", "plan": "fiber-300", "pin": 1})
    assert {(fault.field, fault.reason) for fault in refused.value.faults} >= {
        ("variables.activated_at", "is not a day, as JSON writes it in the sample of this mail"),
        ("variables.wifi_link", "is not a link, as JSON writes it in the sample of this mail"),
        ("variables.customer_name", "is missing"),
        ("variables.pin", "isn't used by the template service_activated"),
    }
    sample = preview.template("service_terminated")["sample"]
    with pytest.raises(InvalidRequest) as refused:
        preview.preview("service_terminated", {**sample, "ended_on": "2026-13-45"})
    assert [fault.field for fault in refused.value.faults] == ["variables.ended_on"]  # once, not by each part again
    with pytest.raises(InvalidRequest, match="template farewell doesn't exist"):
        preview.preview("farewell")


def _with(variables: dict[str, Any], path: str, value: str) -> dict[str, Any]:
    """The variables, but for one leaf."""
    first, *rest = re.findall(r"[a-z_]+|\d+", path.removeprefix("variables."))
    changed = dict(variables)
    changed[first] = _changed(variables[first], rest, value)
    return changed


def _changed(inner: Any, path: list[str], value: str) -> Any:
    if not path:
        return value
    if isinstance(inner, list):
        return [_changed(item, path[1:], value) if at == int(path[0]) else item for at, item in enumerate(inner)]
    return {**inner, path[0]: _changed(inner[path[0]], path[1:], value)}
