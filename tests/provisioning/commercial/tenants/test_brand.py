"""Brands: readable colours, sound addresses, every fault at once."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.commercial.tenants.brand import WhiteLabel, contrast, read_white_label, readable_on
from provisioning.errors import InvalidRequest
from provisioning.intake import Faults

OWN_HOST = "isp.example.net"


def read(config: Any) -> WhiteLabel:
    faults = Faults("The page")
    brand = read_white_label(faults, config, own_host=OWN_HOST)
    faults.refuse_if_any()
    return brand


def refused(config: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as error:
        read(config)
    return {fault.field.removeprefix("white_label_config"): fault.reason for fault in error.value.faults}


def test_a_whole_brand() -> None:
    assert read(
        {
            "name": " Nordnetz & Söhne ",
            "colours": {"primary": "#0B5D3B", "on_primary": "#ffffff"},
            "logo_url": "https://cdn.nordnetz.example/logo.svg?v=2",
            "domain": "portal.nordnetz.example",
        }
    ) == WhiteLabel(
        name="Nordnetz & Söhne",
        primary="#0b5d3b",
        on_primary="#ffffff",
        logo_url="https://cdn.nordnetz.example/logo.svg?v=2",
        domain="portal.nordnetz.example",
    )
    assert read({"name": "Nordnetz"}) == WhiteLabel(name="Nordnetz")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.005)


def test_whatever_the_colour_black_or_white_can_be_read_on_it() -> None:
    greys = [f"#{level:02x}{level:02x}{level:02x}" for level in range(256)]
    assert min(contrast(grey, readable_on(grey)) for grey in greys) > 4.5
    assert read({"name": "x", "colours": {"primary": "#ffe45c"}}).on_primary == "#000000"


def test_text_that_cannot_be_read_is_refused_with_its_contrast() -> None:
    grey = {"name": "x", "colours": {"primary": "#ffffff", "on_primary": "#777777"}}
    assert refused(grey) == {".colours.on_primary": "can't be read on #ffffff: contrast 4.47, 4.5 is needed"}
    grey["colours"]["on_primary"] = "#767676"  # type: ignore[index]
    assert read(grey).on_primary == "#767676"


def test_every_fault_is_named_at_once_and_nothing_unknown_passes() -> None:
    assert refused(
        {
            "name": "a\nb",
            "colours": {"primary": "red", "on_primary": "#12345", "accent": "#123456"},
            "logo_url": "http://cdn.example/logo.svg",
            "domain": "Portal.example",
            "script": "alert(1)",
        }
    ) == {
        ".script": "is not known here",
        ".name": "holds a line break or another control character",
        ".colours.accent": "is not known here",
        ".colours.primary": "is no colour such as #14507a: red",
        ".colours.on_primary": "is no colour such as #14507a: #12345",
        ".logo_url": "is no https address of a picture: http://cdn.example/logo.svg",
        ".domain": "must be written in small letters: Portal.example",
    }
    assert refused("Nordnetz") == {"": "is no set of fields", ".name": "is missing"}
    assert refused({"name": "x", "colours": {"on_primary": "#000000"}}) == {
        ".colours.primary": "is missing: it is what the text stands on"
    }


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https://user:pw@cdn.example/x.png",
        'https://cdn.example/x.png" onload="alert(1)',
        "https://cdn.example:0/x.png",
        "https://cdn.example:port/x.png",
        "javascript:alert(1)",
        "https://cdn.example/" + "x" * 500,
    ],
)
def test_a_logo_is_a_plain_https_address(url: str) -> None:
    assert list(refused({"name": "x", "logo_url": url})) == [".logo_url"]


@pytest.mark.parametrize(
    "domain",
    ["nordnetz", "192.0.2.1", "-a.example", "a..example", "a.example.", "a.example:80", "a_b.example", OWN_HOST],
)
def test_a_domain_is_a_host_name_and_not_our_own(domain: str) -> None:
    assert list(refused({"name": "x", "domain": domain})) == [".domain"]
