"""Whom the laboratory has to do with that sells: nobody's money is taken, and one system is down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from provisioning.lab.demo import lab_settings, set_aside
from provisioning.lab.neighbours import BOOKS, COME_AGAIN_SECONDS, CRM, Neighbours, open_neighbours
from provisioning.lab.world import open_world


@pytest.fixture
async def neighbours(tmp_path: Path) -> AsyncIterator[Neighbours]:
    async with open_neighbours(tmp_path) as opened:
        yield opened


async def test_of_those_who_are_told_one_takes_everything_and_one_asks_to_come_again(neighbours: Neighbours) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        taken = await client.post(neighbours.told.url_of(CRM), content=b"x" * 100_000)
        down = await client.post(neighbours.told.url_of(BOOKS), json={})
        nobody = await client.post(neighbours.told.url_of("/elsewhere"))
    assert (taken.status_code, down.status_code, nobody.status_code) == (204, 503, 404)
    assert down.headers["retry-after"] == str(COME_AGAIN_SECONDS)


async def test_cards_are_taken_by_a_double_whatever_account_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sk_live_1234567890")
    for name in ("API_KEY_FILE", "WEBHOOK_SECRET_FILE"):
        monkeypatch.setenv(f"FIRSTLIGHT_STRIPE_{name}", str(secret))
    home = tmp_path / "lab"
    home.mkdir()
    async with open_world(home, sells=True) as world:
        assert world.neighbours is not None
        settings = lab_settings(home, world)
        assert settings.stripe_api_key_file == home / "stripe-key"
        assert settings.stripe_url == world.neighbours.cards.url
        assert settings.webhook_private_networks == ("127.0.0.0/8",)
        assert set_aside(settings) == ["FIRSTLIGHT_STRIPE_API_KEY_FILE", "FIRSTLIGHT_STRIPE_WEBHOOK_SECRET_FILE"]
        number = world.neighbours.open_account(10_001)
    assert number in world.neighbours.cards.account.customers
