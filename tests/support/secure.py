"""The appliance as phones have it: by TLS of the laboratory's own CA, with a camera; and who trusts that CA."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from playwright.async_api import Route

from provisioning.bootstrap import open_appliance, utc_now
from provisioning.lab.authority import certify, names_here
from provisioning.serving import tls_files
from tests.support.browser import Machine, open_browser
from tests.support.lab import JourneyLab
from tests.support.labels import film_of
from tests.support.trust import trust

SEEN = "HWTC4A2B9C01"
"""What the browsers' camera is held before."""
FAKE_CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@dataclass
class LostAnswer:
    """A route that lets what is sent arrive, and loses the first answer on its way back."""

    trusting: ssl.SSLContext
    bodies: list[str] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    """The statuses of what never came back."""

    async def __call__(self, route: Route) -> None:
        request = route.request
        self.bodies.append(request.post_data or "")
        if self.lost:
            await route.continue_()
            return
        headers = {name: value for name, value in (await request.all_headers()).items() if not name.startswith(":")}
        headers.pop("content-length", None)
        async with httpx.AsyncClient(verify=self.trusting, trust_env=False, headers=headers) as client:
            answer = await client.request(request.method, request.url, content=request.post_data_buffer)
        self.lost.append(answer.status_code)
        await route.abort("connectionreset")


@dataclass(frozen=True)
class Secure:
    """The machine, and the CA that vouches for it."""

    machine: Machine
    authority: Path

    def trusting(self) -> ssl.SSLContext:
        """What a client goes by that trusts this CA and no other, to the letter of RFC 5280."""
        context = ssl.create_default_context(cafile=self.authority)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context


@asynccontextmanager
async def open_secure(lab: JourneyLab, home: Path) -> AsyncIterator[Secure]:
    """The laboratory's appliance once more, at an https address; ``home`` is that of the browser's user."""
    certificate = certify(home / "tls", names_here(), now=utc_now())
    tls = tls_files(certificate.certificate, certificate.key, now=utc_now())
    trust(home, certificate.authority)
    film = home / "label.y4m"
    film.write_bytes(film_of(SEEN))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = lab.appliance.settings.model_copy(update={"public_url": f"https://127.0.0.1:{port}"})
    flags = (*FAKE_CAMERA, f"--use-file-for-fake-video-capture={film}")
    async with (
        open_appliance(settings, clock=lab.clock.now) as appliance,
        open_browser(appliance, port=port, tls=tls, home=home, flags=flags) as machine,
    ):
        yield Secure(machine, certificate.authority)
