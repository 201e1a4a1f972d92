"""Templates: everything they need is given, nothing is left blank, nothing secret gets in."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.commercial import MailTemplates
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import Faults
from tests.provisioning.commercial.conftest import ACTIVATION

GIVEN = {"isp_name": "Northern Fibre"}


def faults_of(faults: Faults) -> list[Fault]:
    try:
        faults.refuse_if_any()
    except InvalidRequest as refused:
        return list(refused.faults)
    return []


def write_template(folder: Path, name: str, *, subject: str = "s", text: str = "t", html: str = "<p>h</p>") -> None:
    for part, source in (("subject", subject), ("text", text), ("html", html)):
        (folder / f"{name}.{part}.j2").write_text(source, encoding="utf-8")


def test_the_shipped_templates_tell_what_they_need() -> None:
    templates = MailTemplates(GIVEN)
    assert "service_activated" in templates.names()
    assert templates.variables("service_activated") == ACTIVATION.keys()


def test_the_activation_mail_reads_as_it_should() -> None:
    faults = Faults("The mail")
    mail = MailTemplates(GIVEN).render("service_activated", ACTIVATION, faults)
    assert faults_of(faults) == []
    assert mail is not None
    assert mail.subject == "Northern Fibre: your service is live"
    assert mail.text.startswith("Hello Ada Byron,\n\nyour line works:")
    assert "  Plan      fiber-300\n  Service   7\n  Account   u7@isp.example\n" in mail.text
    assert "Billing starts on 2026-03-02." in mail.text
    assert mail.text.endswith("\nNorthern Fibre\n")
    assert "<p>Hello Ada Byron,</p>" in mail.html
    assert "<strong>fiber-300</strong>" in mail.html


def test_a_name_that_is_markup_stays_text_in_html() -> None:
    mail = MailTemplates(GIVEN).render(
        "service_activated", ACTIVATION | {"customer_name": "<script>alert(1)</script> & Co"}, Faults("The mail")
    )
    assert mail is not None
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co" in mail.html
    assert "<script>" not in mail.html
    assert "Hello <script>alert(1)</script> & Co," in mail.text


def test_missing_unknown_and_unfit_variables_are_all_named_at_once() -> None:
    faults = Faults("The mail")
    variables = {
        "username": "u7@isp.example",
        "activated_at": None,
        "customer_name": "Ada\r\nBcc: eve@example.com",
        "plan": None,
        "password": "secret:subscriber/42",
        "colour": "red",
    }
    assert MailTemplates(GIVEN).render("service_activated", variables, faults) is None
    assert faults_of(faults) == [
        Fault("variables.activated_at", "is empty"),
        Fault("variables.customer_name", "holds a line break or another control character"),
        Fault("variables.plan", "is empty"),
        Fault("variables.password", "refers to a secret, and secrets are not mailed"),
        Fault("variables.service_id", "is missing"),
        Fault("variables.colour", "isn't used by the template service_activated"),
        Fault("variables.password", "isn't used by the template service_activated"),
    ]


def test_a_secret_deep_in_a_variable_is_found_too(tmp_path: Path) -> None:
    write_template(tmp_path, "order", text="{% for line in lines %}{{ line.name }}{% endfor %}")
    faults = Faults("The mail")
    lines = [{"name": "router"}, {"name": "secret:device/HWTC12345678/wifi"}]
    assert MailTemplates({}, tmp_path).render("order", {"lines": lines}, faults) is None
    assert faults_of(faults) == [Fault("variables.lines[1].name", "refers to a secret, and secrets are not mailed")]


def test_an_unknown_template_is_refused_with_the_list_of_those_there_are(tmp_path: Path) -> None:
    write_template(tmp_path, "welcome")
    (tmp_path / "half.subject.j2").write_text("only a subject")
    faults = Faults("The mail")
    assert MailTemplates({}, tmp_path).render("../welcome", {}, faults) is None
    assert faults_of(faults) == [Fault("template", "../welcome doesn't exist; there are: welcome")]


def test_what_a_template_misses_inside_a_variable_is_a_fault_not_a_blank(tmp_path: Path) -> None:
    write_template(tmp_path, "order", text="{{ order.total }}")
    faults = Faults("The mail")
    assert MailTemplates({}, tmp_path).render("order", {"order": {"id": 1}}, faults) is None
    assert [fault.field for fault in faults_of(faults)] == ["variables"]
    assert "order.text: 'dict object' has no attribute 'total'" in faults_of(faults)[0].reason


def test_a_template_cannot_reach_out_of_its_sandbox(tmp_path: Path) -> None:
    write_template(tmp_path, "evil", text="{{ name.__class__.__mro__ }}")
    faults = Faults("The mail")
    assert MailTemplates({}, tmp_path).render("evil", {"name": "Ada"}, faults) is None
    assert "unsafe" in faults_of(faults)[0].reason


@pytest.mark.parametrize("subject", ["", "  \n"])
def test_a_subject_that_comes_out_blank_is_a_fault(tmp_path: Path, subject: str) -> None:
    write_template(tmp_path, "blank", subject=subject)
    faults = Faults("The mail")
    MailTemplates({}, tmp_path).render("blank", {}, faults)
    assert faults_of(faults) == [Fault("subject", "is missing")]


def test_the_value_of_a_variable_must_fit_its_template() -> None:
    faults = Faults("The mail")
    assert MailTemplates(GIVEN).render("service_activated", ACTIVATION | {"activated_at": "today"}, faults) is None
    assert "service_activated.text: 'str object' has no attribute 'strftime'" in faults_of(faults)[0].reason


def test_every_shipped_template_has_words_of_its_own_tested_here() -> None:
    assert MailTemplates(GIVEN).names() == ["service_activated"]
