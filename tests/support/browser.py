"""Debian's Chromium at the real server: one browser for all its tests, a context of their own for each person."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, ConsoleMessage, Page, Response, async_playwright, expect

from provisioning.bootstrap import Appliance
from provisioning.serving import Seat, TlsFiles, serve_in
from tests.support.console import PASSWORD

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP cellar.lan 127.0.0.1",
)
LAN_NAME = "cellar.lan"
"""Of the server's machine in the network of its house: no secure context by plain HTTP, where 127.0.0.1 is one."""
AXE = Path(__file__).parents[2] / ".npm" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 20_000
ABORTED = "net::ERR_ABORTED"
SWITCHED_OFF = "net::ERR_INTERNET_DISCONNECTED"
"""Of what was on its way when a test has taken the network away."""
DESK, PHONE = (1280, 900), (360, 740)
Scheme = Literal["light", "dark"]
GUISES: dict[str, tuple[tuple[int, int], Scheme]] = {
    "desk-light": (DESK, "light"),
    "desk-dark": (DESK, "dark"),
    "phone-light": (PHONE, "light"),
    "phone-dark": (PHONE, "dark"),
}
"""What a page is looked at in, each by its name."""
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
OF_COLOURS = ("color-contrast",)
"""All that another scheme of colours can break."""
FIND = """async runOnly => {
    const found = await axe.run({runOnly, resultTypes: ["violations"], preload: false});
    return found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.html.slice(0, 200)}`));
}"""


@cache
def axe_script() -> str:
    return AXE.read_text(encoding="utf-8")


@dataclass
class Looker:
    """Somebody at a page, and what their browser had to complain of."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    async def go(self, path: str) -> Response | None:
        return await self.page.goto(self.base + path)

    async def sign_in(self, login_name: str) -> None:
        await self.go("/sign-in")
        await self.page.get_by_label("Name").fill(login_name)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.get_by_role("button", name="Sign out").wait_for()

    async def wear(self, guise: str) -> None:
        """The page as it stands in a window of another size, in another scheme of colours."""
        size, scheme = GUISES[guise]
        await self.page.set_viewport_size({"width": size[0], "height": size[1]})
        await self.page.emulate_media(color_scheme=scheme)

    async def axe(self, rules: Sequence[str] = WCAG) -> list[str]:
        """What these rules or sets of rules find wrong with the page as it stands: rule and where.

        The script is put in by the debugger, beside the page's policy, which would not let it in.
        """
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(axe_script() + "; undefined")
        found: list[str] = await self.page.evaluate(FIND, list(rules))
        return found

    async def sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        measured: int = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return measured


@dataclass
class Machine:
    """A browser and the server that it looks at."""

    browser: Browser
    base: str
    pictures: Path | None

    @asynccontextmanager
    async def looker(self, host: str | None = None) -> AsyncIterator[Looker]:
        """Somebody new, who has never been here. At the end their browser must have complained of nothing.

        ``host``: by which name they know the server's machine; None: by its address.
        """
        context = await self.browser.new_context(
            viewport={"width": DESK[0], "height": DESK[1]}, color_scheme="light", reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE_MS)
        base = self.base if host is None else self.base.replace("127.0.0.1", host)
        looker = Looker(await context.new_page(), base)
        looker.page.on("console", lambda message: _hear(looker, message))
        looker.page.on("pageerror", lambda error: looker.complaints.append(str(error)))
        looker.page.on("requestfailed", lambda request: _hear_failure(looker, request))
        try:
            yield looker
        finally:
            await context.close()
        assert not looker.complaints, looker.complaints

    async def look(self, looker: Looker, name: str) -> dict[str, tuple[list[str], int]]:
        """What is wrong with the page, in each guise in which something is: what axe finds, and by how many pixels it
        is too wide. The page is loaded once, since only its colours and its layout differ."""
        wrong = {}
        for guise, (_, scheme) in GUISES.items():
            await looker.wear(guise)
            found = await looker.axe(WCAG if scheme == "light" else OF_COLOURS), await looker.sideways()
            await self.picture(looker, f"{guise}-{name}")
            if found != ([], 0):
                wrong[guise] = found
        return wrong

    async def picture(self, looker: Looker, name: str) -> None:
        """Keeps a screenshot where ``FIRSTLIGHT_TEST_PICTURES`` says, for a person to look at."""
        if self.pictures is not None:
            await looker.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)


@asynccontextmanager
async def open_browser(
    appliance: Appliance,
    *,
    port: int = 0,
    tls: TlsFiles | None = None,
    home: Path | None = None,
    flags: Sequence[str] = (),
) -> AsyncIterator[Machine]:
    """The appliance served at this port (0: a free one), and a browser with what its user keeps in ``home``."""
    pictures = os.environ.get("FIRSTLIGHT_TEST_PICTURES")
    with socket.create_server(("127.0.0.1", port)) as listening:
        ends, alive = os.pipe()
        ready = asyncio.Event()
        seat = Seat(listening, ends, ready.set)
        serving = asyncio.create_task(serve_in(seat, appliance, with_worker=False, tls=tls))
        try:
            await asyncio.wait_for(ready.wait(), 20)
            expect.set_options(timeout=PATIENCE_MS)  # five seconds are short for a whole journey beside other tests
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=CHROMIUM,
                    args=[*FLAGS, *flags],
                    env={**os.environ, **({} if home is None else {"HOME": str(home)})},
                )
                base = f"{'http' if tls is None else 'https'}://127.0.0.1:{listening.getsockname()[1]}"
                yield Machine(browser, base, Path(pictures) if pictures else None)
                await browser.close()
        finally:
            os.close(alive)
            await asyncio.wait_for(serving, 30)
            os.close(ends)


def _hear(looker: Looker, message: ConsoleMessage) -> None:
    if message.type in ("error", "warning") and SWITCHED_OFF not in message.text:
        looker.complaints.append(f"{message.type}: {message.text} ({message.location['url']})")


def _hear_failure(looker: Looker, request: Any) -> None:
    # a page that is left lets go of its stream, and of parts that were on their way
    if request.failure not in (ABORTED, SWITCHED_OFF):
        looker.complaints.append(f"{request.url}: {request.failure}")
