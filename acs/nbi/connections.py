"""Connections to one ACS in several small pools.

httpcore looks through all connections of a pool, and asks each idle one's socket, at every request and at every end of
one: at 64 connections that was a quarter of what converging a fleet costs us (measured).
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, cast

import httpx

OF_A_POOL = 8


class _Pool:
    """So many connections, and how many of them are taken."""

    def __init__(self, transport: httpx.AsyncHTTPTransport, size: int) -> None:
        self.transport = transport
        self.size = size
        self.taken = 0


class _Answer(httpx.AsyncByteStream):
    """A body whose end gives its connection back."""

    def __init__(self, stream: httpx.AsyncByteStream, pool: _Pool) -> None:
        self._stream = stream
        self._pool: _Pool | None = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            if self._pool is not None:
                self._pool.taken -= 1
                self._pool = None


class Connections(httpx.AsyncBaseTransport):
    """At most ``max_connections``; a request takes the first pool that has room, so that few requests use few."""

    def __init__(self, *, verify: ssl.SSLContext | bool, max_connections: int, keepalive_seconds: float) -> None:
        self._pools: list[_Pool] = []
        for begun in range(0, max_connections, OF_A_POOL):
            size = min(OF_A_POOL, max_connections - begun)
            limits = httpx.Limits(
                max_connections=size, max_keepalive_connections=size, keepalive_expiry=keepalive_seconds
            )
            transport = httpx.AsyncHTTPTransport(verify=verify, limits=limits, trust_env=False)
            self._pools.append(_Pool(transport, size))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pool = next((each for each in self._pools if each.taken < each.size), None)
        if pool is None:  # all are taken: it waits where the fewest do
            pool = min(self._pools, key=lambda each: each.taken / each.size)
        pool.taken += 1
        response: httpx.Response | None = None
        try:
            response = await pool.transport.handle_async_request(request)
        finally:
            if response is None:  # also one that was cancelled has no connection any more
                pool.taken -= 1
        response.stream = _Answer(cast(httpx.AsyncByteStream, response.stream), pool)
        return response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.transport.aclose()
