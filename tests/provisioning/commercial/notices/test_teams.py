"""Teams and their channels: exactly those of the file, with addresses that are checked, sealed and never repeated."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import ChannelUnknown, Teams, TeamUnknown
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.notices.teams import require_channel
from provisioning.errors import InvalidRequest
from provisioning.logs import configure_logs
from provisioning.settings.messages import NOTICE_SCHEMAS
from provisioning.vault import SealedSecret, SecretMissing, SecretVault
from tests.provisioning.commercial.conftest import ON_SQLITE, TENANT

TOKEN = "TIiajkdnlazkcOXrIdevi7FQ"
SLACK = f"slack://T1JJ3T3L2/A1BRTD4JD/{TOKEN}/#noc"
NOC: dict[str, Any] = {"name": "noc", "email": "noc@isp.example", "channels": {"ops-chat": SLACK}}


def teams(db: AsyncSession, vault: SecretVault, *allowed: str) -> Teams:
    return Teams(db, tenant_id=TENANT, vault=vault, allowed=allowed or ("slack", "jsons"))


async def test_a_teams_address_goes_into_the_vault_and_is_not_told(begin: Begin, vault: SecretVault) -> None:
    async with begin() as db:
        defined = await teams(db, vault).define(**NOC)
        assert defined == {"team": "noc", "email": "noc@isp.example", "channels": {"ops-chat": "slack"}}
        assert await teams(db, vault).teams() == [defined]
        assert await vault.reveal(db, "secret:notice/noc/ops-chat") == SLACK


async def test_the_same_again_by_address_or_by_reference_changes_nothing(begin: Begin, vault: SecretVault) -> None:
    async with begin() as db:
        first = await teams(db, vault).define(**NOC)
        sealed = await db.scalar(select(SealedSecret.sealed))
        for given in (SLACK, "secret:notice/noc/ops-chat"):
            assert await teams(db, vault).define(**NOC | {"channels": {"ops-chat": given}}) == first
        assert await db.scalar(select(SealedSecret.sealed)) == sealed


async def test_a_team_has_exactly_the_channels_of_the_last_file(begin: Begin, vault: SecretVault) -> None:
    async with begin() as db:
        await teams(db, vault).define(**NOC)
        changed = await teams(db, vault).define(name="noc", channels={"hook": "jsons://hook.example/abc"})
        assert changed == {"team": "noc", "email": None, "channels": {"hook": "jsons"}}
        with pytest.raises(SecretMissing):
            await vault.reveal(db, "secret:notice/noc/ops-chat")
        await teams(db, vault).define(name="noc", channels={"hook": "jsons://hook.example/other"})
        assert await vault.reveal(db, "secret:notice/noc/hook") == "jsons://hook.example/other"


async def test_every_channel_that_cannot_be_is_named_and_no_address_is_repeated(
    begin: Begin, vault: SecretVault
) -> None:
    logged = io.StringIO()
    configure_logs(level="debug", form="json", stream=logged)
    channels = {
        "Ops Chat": SLACK,
        "email": SLACK,
        "half": f"slack://{TOKEN}",
        "bare": TOKEN,
        "local": f"syslog://{TOKEN}",
        "plain": f"json://127.0.0.1/{TOKEN}",
        "retired": f"msteams://{TOKEN}/a/b/c",
        "stranger": "secret:subscriber/1",
        "lost": "secret:notice/noc/lost",
    }
    async with begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await teams(db, vault).define(name="NOC", email="nowhere", channels=channels)
        with pytest.raises(InvalidRequest) as also:
            await teams(db, vault).define(name="noc", channels={"lost": "secret:notice/noc/lost"})
        assert await teams(db, vault).teams() == []
    not_allowed = "and FIRSTLIGHT_NOTICE_SCHEMAS allows only: slack, jsons"
    assert [(fault.field, fault.reason) for fault in refused.value.faults] == [
        ("name", "is not 1 to 64 small letters, digits, - or _"),
        ("email", "is not a mail address: nowhere"),
        ("channels.Ops Chat", "has a name that is not 1 to 64 small letters, digits, - or _"),
        ("channels.email", "is the team's own mail address; write it as email"),
        ("channels.half", "is not an address that Apprise understands as slack"),
        ("channels.bare", "is not an Apprise address such as slack://..."),
        ("channels.local", f"is of the kind syslog, {not_allowed}"),
        ("channels.plain", f"is of the kind json, {not_allowed}"),
        (
            "channels.retired",
            "is a connector that Microsoft has retired; make a workflow in Teams, and write workflows://...",
        ),
        ("channels.stranger", "refers to a secret that isn't its own: that would be secret:notice/NOC/stranger"),
        ("channels.lost", "refers to a secret that isn't its own: that would be secret:notice/NOC/lost"),
    ]
    assert [fault.reason for fault in also.value.faults] == [
        "refers to secret:notice/noc/lost, and nothing is kept there; write the address once"
    ]
    assert TOKEN not in f"{refused.value} {logged.getvalue()}"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("mailto://alerts:pass@isp.example?smtp=mail.isp.example&to=noc@isp.example", "mailto"),
        ("mailtos://alerts:pass@isp.example?smtp=mail.isp.example&to=noc@isp.example", "mailtos"),
        (SLACK, "slack"),
        ("workflows://prod-15.westeurope.logic.azure.com:443/643e69f83c8944/4wSoQ2a_6-lZ", "workflows"),
        (f"tgram://123456789:{'A' * 35}/-1001234567890/", "tgram"),
        ("json://127.0.0.1:8080/hooks/ops", "json"),
        ("jsons://hook.isp.example/hooks/ops", "jsons"),
    ],
    ids=lambda one: one.partition(":")[0],
)
@ON_SQLITE
async def test_a_team_may_be_reached_by_each_way_that_the_documentation_names(
    begin: Begin, vault: SecretVault, address: str, kind: str
) -> None:
    page = (Path(__file__).parents[4] / "docs" / "notices.md").read_text(encoding="utf-8")
    assert f"| `{kind}` |" in page
    async with begin() as db:
        allowed = (*NOTICE_SCHEMAS, "json", "mailto")
        defined = await teams(db, vault, *allowed).define(name="noc", channels={"chat": address})
        assert defined["channels"] == {"chat": kind}
        assert await vault.reveal(db, "secret:notice/noc/chat") == address


async def test_an_unknown_team_or_channel_is_refused_with_those_there_are(begin: Begin, vault: SecretVault) -> None:
    async with begin() as db:
        with pytest.raises(TeamUnknown, match="no team noc; there are none"):
            await require_channel(db, TENANT, "noc", "email")
        await teams(db, vault).define(**NOC)
        await teams(db, vault).define(name="dispatch", channels={})
        with pytest.raises(TeamUnknown, match="no team nco; there are: dispatch, noc"):
            await require_channel(db, TENANT, "nco", "email")
        with pytest.raises(ChannelUnknown, match="noc has no channel chat; there are: email, ops-chat"):
            await require_channel(db, TENANT, "noc", "chat")
        with pytest.raises(ChannelUnknown, match="dispatch has no channel email; there are none"):
            await require_channel(db, TENANT, "dispatch", "email")
