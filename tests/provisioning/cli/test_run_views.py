"""How a run reads, where a lived one would take long to come to it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from provisioning.cli.run_views import print_run
from workflows import RunSummary, RunView, StepView

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_times_stand_apart_from_the_longest_name_and_sentences_end_once(capsys: pytest.CaptureFixture[str]) -> None:
    summary = RunSummary(
        id=7,
        journey="partner_customer_provisioning",
        business_key="partner/21/order/P-1",
        customer_id=1001,
        state="pending",
        current_step="provision_partner_tenant",
        waiting_for="retry",
        waiting_on=None,
        waiting_since=NOON,
        wake_at=NOON,
        reason="Nobody has answered.",
        reason_code=None,
        created_at=NOON,
        updated_at=NOON,
        finished_at=None,
    )
    steps = [
        StepView(name, "transactional", "completed", 1, 0, NOON, NOON, None, None, None)
        for name in ("check_license_quota", "provision_partner_tenant")
    ]
    print_run(RunView(summary, {}, steps, []))
    lines = capsys.readouterr().out.splitlines()
    assert "  Nobody has answered; next try at 2026-03-02 12:00:00 UTC" in lines
    assert [line for line in lines if "completed" in line] == [
        "  ✓ completed   check_license_quota       0.00 s",
        "  ✓ completed   provision_partner_tenant  0.00 s",
    ]
