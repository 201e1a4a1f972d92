"""One message to one address: signed, over a connection of its own to an address that was looked at, and no further."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx

from provisioning.intake import Clock
from provisioning.webhooks.errors import WebhookError
from provisioning.webhooks.retrying import Outcome, outcome_of
from provisioning.webhooks.targets import Target, Targets

TIMEOUT_SECONDS = 10.0
USER_AGENT = "Firstlight"


class WebhookSender:
    """Sends over an ``httpx.AsyncClient`` that its owner opens and closes. It must keep no connection alive: they are
    told apart by address alone, and two names may share one."""

    def __init__(
        self, http: httpx.AsyncClient, targets: Targets, *, now: Clock, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._http = http
        self._targets = targets
        self._now = now
        self._timeout_seconds = timeout_seconds

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """How it ended, always. What the other side says besides its status is not read."""
        try:
            async with asyncio.timeout(self._timeout_seconds):  # httpx' own time-out starts anew at every byte
                target = await self._targets.target(url)
                status, retry_after = await self._post(target, body, headers)
        except WebhookError as error:
            return Outcome(error.message)
        except TimeoutError:
            return Outcome(f"no answer within {self._timeout_seconds:g} s; it may have arrived")
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
            return Outcome(str(error) or type(error).__name__)
        return outcome_of(status, retry_after, now=self._now())

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None]:
        """The status and ``Retry-After``, from the first of its addresses that takes a connection."""
        *others, last = target.addresses
        for address in others:
            try:
                return await self._exchange(target, address, body, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._exchange(target, last, body, headers)

    async def _exchange(
        self, target: Target, address: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str | None]:
        request = self._http.build_request(
            "POST",
            target.at(address),
            content=body,
            headers={**headers, "Host": target.authority, "User-Agent": USER_AGENT},
            timeout=self._timeout_seconds,
            extensions={"sni_hostname": target.host},  # whose certificate it must be
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        await response.aclose()
        return response.status_code, response.headers.get("Retry-After")
