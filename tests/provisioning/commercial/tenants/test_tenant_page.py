"""The page itself: brand, order, service; no script, no style of its own, nothing that could be slipped in."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

from provisioning.commercial import TenantPage, common_stylesheet, render_brand_stylesheet, render_tenant_page
from provisioning.commercial.tenants.tenant_page import HEADINGS, ORDER_WORDS, SERVICE_WORDS, OrderState, ServiceState
from provisioning.languages import Choice

PAGE = TenantPage(
    slug="nordnetz-k3v9q2mw",
    brand="Nord <b>netz</b> & 'Söhne'",
    primary="#0b5d3b",
    on_primary="#ffffff",
    logo_url="https://cdn.nordnetz.example/logo.svg?a=1&b=2",
    order_state="scheduled",
    service_state="testing",
)


class Reader(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_page_tells_the_brand_and_how_order_and_service_stand() -> None:
    read = Reader(render_tenant_page(PAGE))
    brand = "Nord <b>netz</b> & 'Söhne'"
    assert read.text == [brand, brand, "Your service", "Being tested", "Your order", "Technician's visit booked"]
    assert {"name": "firstlight-tenant", "content": "nordnetz-k3v9q2mw"} in read.named("meta")
    assert [each["href"] for each in read.named("link")] == ["/static/tenant.css", "/t/nordnetz-k3v9q2mw/brand.css"]
    (logo,) = read.named("img")
    assert logo["src"] == PAGE.logo_url
    assert read.named("b") == []


def test_a_page_speaks_the_language_that_was_chosen_or_english() -> None:
    german = render_tenant_page(replace(PAGE, spoken=Choice("de", "de-AT")))
    assert '<html lang="de">' in german
    assert Reader(german).text[2:] == ["Ihr Anschluss", "Wird getestet", "Ihr Auftrag", "Technikertermin vereinbart"]
    assert '<html lang="en">' in render_tenant_page(PAGE)


def test_a_page_has_no_script_and_no_style_of_its_own() -> None:
    read = Reader(render_tenant_page(replace(PAGE, logo_url=None)))
    assert {tag for tag, _ in read.tags} & {"script", "style", "img", "iframe", "form"} == set()
    assert not any(name == "style" or name.startswith("on") for _, attributes in read.tags for name in attributes)


def test_the_colours_come_as_a_stylesheet_that_the_common_one_uses() -> None:
    assert render_brand_stylesheet(PAGE) == ":root { --primary: #0b5d3b; --on-primary: #ffffff; }\n"
    assert "background: var(--primary); color: var(--on-primary)" in common_stylesheet()


def test_every_state_has_its_words() -> None:
    assert ORDER_WORDS.keys() == SERVICE_WORDS.keys() == HEADINGS.keys()
    assert {frozenset(words) for words in ORDER_WORDS.values()} == {frozenset(get_args(OrderState))}
    assert {frozenset(words) for words in SERVICE_WORDS.values()} == {frozenset(get_args(ServiceState))}
