"""The proof asks for what the ticket, the template and the NAS's dialect say, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

from acs import TemplateInput, TemplateLibrary
from provisioning.lab.proof import said_rate, told_rate, wanted_ssid
from radius import Rate
from radius.testing import LoginReply


def told(dialect: str) -> dict[str, tuple[str, ...]]:
    return told_rate(dialect, Rate(download_kbps=300_000, upload_kbps=150_000))


def test_a_rate_is_told_only_by_all_attributes_of_the_dialect() -> None:
    wispr, mikrotik = told("wispr"), told("mikrotik")
    reply = LoginReply("Access-Accept", wispr)
    assert said_rate(reply, wispr) == "WISPr-Bandwidth-Max-Up 150000000, WISPr-Bandwidth-Max-Down 300000000"
    assert said_rate(reply, mikrotik) is None
    half = LoginReply("Access-Accept", {"WISPr-Bandwidth-Max-Up": ("150000000",)})
    assert said_rate(half, wispr) is None
    assert said_rate(LoginReply("Access-Accept", {"Mikrotik-Rate-Limit": ("1k/2k",)}), mikrotik) == "1k/2k"
    pairs = LoginReply("Access-Accept", told("cisco"))
    assert said_rate(pairs, told("cisco")) == (
        "Cisco-AVPair ip:sub-qos-policy-in=up-150000k, Cisco-AVPair ip:sub-qos-policy-out=down-300000k"
    )


def test_a_wifi_is_named_by_the_ticket_else_by_the_template() -> None:
    shipped = TemplateLibrary.load().get("tr181-pppoe")
    named = TemplateInput(name="wifi_ssid", type="string", default="Nordnetz")
    isps_own = replace(shipped, inputs={**shipped.inputs, "wifi_ssid": named})
    without_wifi = replace(shipped, inputs={name: one for name, one in shipped.inputs.items() if name != "wifi_ssid"})
    assert [wanted_ssid(one, None) for one in (shipped, isps_own, without_wifi)] == [None, "Nordnetz", None]
    assert wanted_ssid(isps_own, "Brandt-Home") == "Brandt-Home"
