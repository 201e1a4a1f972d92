"""Whatever a segment logs says of which run and of whose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.workflows.toy import Toy, ToyOutage

LogLines = Callable[[], list[dict[str, Any]]]


async def test_every_line_of_a_segment_names_the_run_and_its_customer(toy: Toy, log_lines: LogLines) -> None:
    run_id = await toy.start()
    second = toy.dispatch()

    async def usurp(key: str, name: str) -> str:
        """Another execution claims the run in the middle of this one's outside call, and fails in it."""
        toy.world.order_badge = type(toy.world).order_badge.__get__(toy.world)  # type: ignore[method-assign]
        toy.world.fail_next(ToyOutage("away"))
        await second.drain()
        return "too late"

    toy.world.order_badge = usurp  # type: ignore[method-assign]
    await toy.dispatch().drain()
    assert [(line["event"], line.get("run_id"), line.get("customer_id")) for line in log_lines()] == [
        ("run started", run_id, 7),
        ("step failed", run_id, 7),
        ("segment ended", run_id, 7),
        ("segment fenced out", run_id, 7),
    ]
