"""A person drives the OLT: we render what to paste, and wait until the person says that it is done."""

from __future__ import annotations

from collections.abc import Mapping

from provisioning.line.ports import AdapterAnswer, LineRequest
from provisioning.line.snippets import Act, render_snippet


class ManualAdapter:
    """Answers never by itself: ``LineService.record_answer`` and ``record_removal`` carry the person's word."""

    def __init__(self, *, vendor: str, vendor_by_node: Mapping[str, str]) -> None:
        self._vendor = vendor
        self._vendor_by_node = dict(vendor_by_node)

    async def authorise(self, line: LineRequest, *, key: str) -> AdapterAnswer:
        return self._told("authorise", line)

    async def withdraw(self, line: LineRequest, *, key: str) -> AdapterAnswer:
        return self._told("withdraw", line)

    def _told(self, act: Act, line: LineRequest) -> AdapterAnswer:
        vendor = self._vendor_by_node.get(line.access_node, self._vendor)
        return AdapterAnswer(answered=False, snippet=render_snippet(vendor, act, line))
