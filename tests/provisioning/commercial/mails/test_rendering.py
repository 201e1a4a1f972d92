"""Templates: everything they need is given, nothing is left blank, nothing secret gets in."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.commercial import MailTemplates
from provisioning.commercial.mails.mail_variables import MailVariable
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import Faults
from tests.provisioning.commercial.conftest import ACTIVATION, ISP_NAME, NOW

TEMPLATES = MailTemplates(isp_name=ISP_NAME)


def faults_of(faults: Faults) -> list[Fault]:
    try:
        faults.refuse_if_any()
    except InvalidRequest as refused:
        return list(refused.faults)
    return []


def write_template(
    folder: Path, name: str, *, subject: str = "s", text: str = "t", html: str = "<p>h</p>", language: str = "en"
) -> None:
    (folder / language).mkdir(exist_ok=True)
    for part, source in (("subject", subject), ("text", text), ("html", html)):
        (folder / language / f"{name}.{part}.j2").write_text(source, encoding="utf-8")


def of(folder: Path, language: str = "en") -> MailTemplates:
    return MailTemplates(isp_name=ISP_NAME, folder=folder, language=language)


def test_a_template_tells_what_it_needs_of_which_kind_and_what_may_be_left_out(tmp_path: Path) -> None:
    text = (
        "{{ name }} {% for line in lines %}{{ line.total | money(currency) }}{{ line.name }}{% endfor %}"
        "{% if offer is defined %}{{ offer | link }} {{ offer | ends }}{% endif %}{{ until | clock }}"
    )
    write_template(tmp_path, "order", subject="{{ brand_name }} {{ placed | day }}", text=text)
    assert of(tmp_path).variables("order", "en") == {
        "currency": MailVariable("currency", "text"),
        "lines": MailVariable("lines", "list", parts=(MailVariable("name", "text"), MailVariable("total", "money"))),
        "name": MailVariable("name", "text"),
        "offer": MailVariable("offer", "link", optional=True),
        "placed": MailVariable("placed", "day"),
        "until": MailVariable("until", "moment"),
    }


def test_a_name_that_is_markup_stays_text_in_html() -> None:
    mail = TEMPLATES.render(
        "service_activated", ACTIVATION | {"customer_name": "<script>alert(1)</script> & Co"}, Faults("The mail")
    )
    assert mail is not None
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co" in mail.html
    assert "<script>" not in mail.html
    assert "Hello <script>alert(1)</script> & Co," in mail.text


@pytest.mark.scenario("D12")
def test_missing_unknown_and_unfit_variables_are_all_named_at_once() -> None:
    faults = Faults("The mail")
    variables = {
        "username": "u7@isp.example",
        "activated_at": None,
        "customer_name": "Ada\r\nBcc: eve@example.com",
        "plan": None,
        "password": "secret:subscriber/42",
        "colour": "red",
        "brand": {"name": "Nordlicht", "colour": "red; background: url(//evil)", "logo": "x"},
    }
    assert TEMPLATES.render("service_activated", variables, faults) is None
    assert faults_of(faults) == [
        Fault("variables.activated_at", "is empty"),
        Fault("variables.customer_name", "holds a line break or another control character"),
        Fault("variables.plan", "is empty"),
        Fault("variables.password", "refers to a secret, and secrets are not mailed"),
        Fault("variables.service_id", "is missing"),
        Fault("variables.colour", "isn't used by the template service_activated"),
        Fault("variables.password", "isn't used by the template service_activated"),
        Fault("variables.brand.logo", "is not known here"),
        Fault("variables.brand.colour", "is no colour such as #14507a: red; background: url(//evil)"),
    ]


def test_a_secret_deep_in_a_variable_is_found_too(tmp_path: Path) -> None:
    write_template(tmp_path, "order", text="{% for line in lines %}{{ line.name }}{% endfor %}")
    faults = Faults("The mail")
    lines = [{"name": "router"}, {"name": "secret:device/HWTC12345678/wifi"}]
    assert of(tmp_path).render("order", {"lines": lines}, faults) is None
    assert faults_of(faults) == [Fault("variables.lines[1].name", "refers to a secret, and secrets are not mailed")]


@pytest.mark.scenario("D13")
def test_an_unknown_template_is_refused_with_the_list_of_those_there_are(tmp_path: Path) -> None:
    write_template(tmp_path, "welcome")
    (tmp_path / "en" / "half.subject.j2").write_text("only a subject")
    faults = Faults("The mail")
    assert of(tmp_path).render("../welcome", {}, faults) is None
    assert faults_of(faults) == [Fault("template", "../welcome doesn't exist in en; there are: welcome (en)")]


def test_what_a_template_misses_inside_a_variable_is_a_fault_not_a_blank(tmp_path: Path) -> None:
    write_template(tmp_path, "order", text="{{ order.total }}")
    faults = Faults("The mail")
    assert of(tmp_path).render("order", {"order": {"id": 1}}, faults) is None
    assert [fault.field for fault in faults_of(faults)] == ["variables"]
    assert "order.text: 'dict object' has no attribute 'total'" in faults_of(faults)[0].reason


def test_a_template_cannot_reach_out_of_its_sandbox(tmp_path: Path) -> None:
    write_template(tmp_path, "evil", text="{{ name.__class__.__mro__ }}")
    faults = Faults("The mail")
    assert of(tmp_path).render("evil", {"name": "Ada"}, faults) is None
    assert "unsafe" in faults_of(faults)[0].reason


@pytest.mark.parametrize("subject", ["", "  \n"])
def test_a_subject_that_comes_out_blank_is_a_fault(tmp_path: Path, subject: str) -> None:
    write_template(tmp_path, "blank", subject=subject)
    faults = Faults("The mail")
    of(tmp_path).render("blank", {}, faults)
    assert faults_of(faults) == [Fault("subject", "is missing")]


def test_the_value_of_a_variable_must_fit_its_template() -> None:
    faults = Faults("The mail")
    assert TEMPLATES.render("service_activated", ACTIVATION | {"activated_at": "today"}, faults) is None
    assert "service_activated.text: day takes a date, not a str" in faults_of(faults)[0].reason


@pytest.mark.parametrize(
    ("asked", "default", "language", "day"),
    [
        ("de-AT", "en", "de", "1. Jänner 2026"),
        ("DE-ch", "en", "de", "1. Januar 2026"),
        ("pt-BR", "en", "pt-BR", "1 de janeiro de 2026"),
        ("pt", "de-AT", "de", "1. Jänner 2026"),
        ("fr", "en", "en", "January 1, 2026"),
        (None, "en-GB", "en", "1 January 2026"),
    ],
)
def test_a_mail_comes_in_the_nearest_language_and_is_written_as_there(
    tmp_path: Path, asked: str | None, default: str, language: str, day: str
) -> None:
    for folder in ("de", "en", "pt-BR"):
        write_template(tmp_path, "date", text="{{ day | day }}", language=folder)
    write_template(tmp_path, "english_only")
    faults = Faults("The mail")
    mail = of(tmp_path, default).render("date", {"day": NOW.date().replace(month=1, day=1)}, faults, language=asked)
    assert mail is not None
    assert (mail.language, mail.text) == (language, day)


def test_a_mail_that_is_in_no_wanted_language_is_refused_never_replaced_by_another(tmp_path: Path) -> None:
    write_template(tmp_path, "welcome", language="en")
    write_template(tmp_path, "farewell", language="de")
    faults = Faults("The mail")
    assert of(tmp_path, "en").render("farewell", {}, faults, language="fr") is None
    assert of(tmp_path, "en").render("welcome", {"pin": 1}, faults, language="de_DE") is None
    assert faults_of(faults) == [
        Fault("template", "farewell doesn't exist in fr or en; there are: farewell (de), welcome (en)"),
        Fault("language", "is not a language such as de or de-AT"),
        Fault("variables.pin", "isn't used by the template welcome"),
    ]
    assert [of(tmp_path, tag).has_default() for tag in ("de-AT", "fr")] == [True, False]


@pytest.mark.parametrize(
    ("colours", "ink"),
    [
        ({"colour": "#f2b705"}, "#000000"),
        ({"colour": "#14507a"}, "#ffffff"),
        ({"colour": "#000000"}, "#ffffff"),
        ({"colour": "#f2b705", "ink": "#102030"}, "#102030"),
    ],
)
def test_a_brand_has_its_name_its_colour_and_an_ink_that_can_be_read_on_it(colours: dict[str, str], ink: str) -> None:
    brand, colour = {"name": "Nordlicht & Söhne", **colours}, colours["colour"]
    mail = TEMPLATES.render("service_activated", ACTIVATION | {"brand": brand}, Faults("The mail"))
    assert mail is not None
    assert mail.subject == "Nordlicht & Söhne: your service is live"
    assert f"background-color: {colour}; color: {ink};" in mail.html
    assert "Nordlicht &amp; Söhne</td>" in mail.html
    assert ISP_NAME not in mail.subject + mail.text + mail.html
