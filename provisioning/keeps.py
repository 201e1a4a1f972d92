"""What a run holds while it waits or is held, and what a person can do about it: read from its journal, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from acs import SettingsRefused, command_about
from provisioning.days import minute, span
from workflows import RunSummary, RunView

HELD = "held"
ORDER, RENEWAL = "quote_accepted_to_order", "customer_renewal_process"
INSTALLATION, BOOKING = "isp_ticket_to_deployment", "schedule_installation"
MONEY_STEPS = frozenset(
    {
        "create_order_from_quote",
        "process_payment",
        "capture_payment",
        "payment_settled",
        "payment_method",
        "create_renewal_quote",
        "process_renewal_payment",
        "record_commission",
    }
)
"""What they make, and why they are held, may tell an amount."""


@dataclass(frozen=True)
class Kept:
    """One thing that stays taken as long as the run is open, and the step that has taken it."""

    what: str
    particulars: str
    step: str


@dataclass(frozen=True)
class Act:
    """A command that makes sense now, and what it does."""

    command: str
    meaning: str


def kept(view: RunView, *, with_money: bool = True) -> list[Kept]:
    """What a run has given and taken, from addresses to bills, as far as it has come and not undone it. Without money:
    for who sees no amounts. What an undo is held at, it has still."""
    has = ("completed", HELD) if view.goes_back else ("completed",)
    results = {step.name: step.result for step in view.steps if step.state in has and step.result}
    found = []
    for step, describe in DESCRIPTIONS.items():
        if step in results:
            what, parts = describe(results[step])
            is_told = with_money or step not in MONEY_STEPS
            particulars = ", ".join(str(part) for part in parts if part not in (None, ""))
            found.append(Kept(what, particulars if is_told else "", step))
    return found


def snippet(view: RunView) -> str | None:
    """What a person is to paste into the OLT, while the run waits for the answer."""
    asked = {"line_answer": "hand_over_line", "line_removed": "take_line_off"}.get(view.summary.waiting_for or "")
    handed = next((step.result for step in view.steps if step.name == asked), None)
    return str(handed["snippet"]) if isinstance(handed, dict) and handed.get("snippet") else None


def acts(view: RunView) -> list[Act]:
    """What an operator, dispatcher or technician may type about a run in this state."""
    summary, can_be_undone = view.summary, not view.past_return and not view.undoes_all
    run = f"firstlight runs {{}} {summary.id}"
    cancel = Act(f"{run.format('cancel')} --reason '...'", "give it up: everything is undone, newest first")
    results = {step.name: step.result for step in view.steps if step.result}
    roll_back = Act(f"{run.format('roll-back')} --reason '...'", "undo everything; the run ends as failed")
    if summary.state == HELD and view.goes_back:
        return _acts_of_an_undo(run, [roll_back, cancel] if can_be_undone else [])
    if summary.state == HELD:
        back = Act(f"{run.format('retry')} --from-step STEP", "undo back to and with that step, then go on from there")
        return [
            *ways_on(summary.id, summary.journey, summary.current_step, results),
            Act(run.format("retry"), "the cause is gone: try the step again"),
            *([back] if can_be_undone else []),
            Act(f"{run.format('skip')} --reason '...'", "go on without it; the run will end as partial"),
            *([roll_back, cancel] if can_be_undone else []),
        ]
    if summary.state != "pending":
        return []
    return [*_answers(summary, run, results), *([cancel] if can_be_undone else [])]


def _acts_of_an_undo(run: str, decisions: list[Act]) -> list[Act]:
    """Of a run that is held while it goes back: from where it goes forward again, it was told already."""
    return [
        Act(run.format("retry"), "the cause is gone: try the undo of the step again"),
        Act(f"{run.format('skip')} --reason '...'", "leave what it has made as it is; the run will end as partial"),
        *decisions,
    ]


def ways(view: RunView) -> list[Act]:
    """What else makes the run go on, besides a decision: what it waits for is told, or what holds it is mended."""
    summary = view.summary
    results = {step.name: step.result for step in view.steps if step.result}
    if summary.state == HELD and view.goes_back:
        return []
    if summary.state == HELD:
        on = ways_on(summary.id, summary.journey, summary.current_step, results)
        return [*_otherwise(summary, results), *on]
    if summary.state != "pending" or summary.waiting_for == "retry":
        return []
    return _answers(summary, f"firstlight runs {{}} {summary.id}", results)


def _otherwise(summary: RunSummary, results: Mapping[str, Any]) -> list[Act]:
    """What a CPE has refused it may be spared, or given otherwise."""
    bound = results.get("provision_device")
    if summary.reason_code != SettingsRefused.code or not bound:
        return []
    command = command_about("devices override", bound["device_serial"], "PATH=null", options="--reason WHY")
    return [Act(command, "leave alone what the CPE refused (or give it another VALUE there), then retry")]


def ways_on(run_id: int, journey: str, step: str | None, results: Mapping[str, Any]) -> list[Act]:
    """What else a person may do about an order or a renewal that is held at this step."""
    asked = results.get("process_payment") or results.get("process_renewal_payment") or {}
    found = []
    if step == "payment_settled" and asked:
        found.append(_settle(asked["payment_id"]))
    if journey == ORDER and step in ("payment_method", "process_payment", "capture_payment", "payment_settled"):
        found += _pay_by(results, "another way to pay; or invoice, cash, card")
    if journey == RENEWAL and step in ("capture_payment", "payment_settled"):
        command = f"firstlight runs retry {run_id} --from-step process_renewal_payment"
        found.append(Act(command, "charge anew, once another card is kept (`firstlight payments keep-card`)"))
    if journey == ORDER and step in ("deployment_date", "schedule_deployment"):
        found.append(_told(run_id, "deployment_date", '{"scheduled_date": "2026-03-09"}', "the day of the visit"))
    if (journey, step) in ((ORDER, "deployment_date"), (ORDER, "schedule_deployment"), (INSTALLATION, BOOKING)):
        visit = "--customer WHOM --technician WHO --at WHEN --address WHERE --job WHAT"
        found.append(
            Act(
                f"firstlight visits book --run {run_id} {visit}",
                "a visit that dispatch agrees on; `visits slots` finds the time",
            )
        )
    if journey == ORDER and step == "visit" and "schedule_deployment" in results:
        command = f"firstlight visits report {results['schedule_deployment']['visit_id']} no_access"
        found.append(Act(command, "what the technician says: or scanned, not_feasible, cancelled"))
    return found


def _settle(payment_id: object) -> Act:
    return Act(f"firstlight payments settle {payment_id} --reference WHERE", "the money has come")


def _pay_by(results: Mapping[str, Any], meaning: str) -> list[Act]:
    order = results.get("create_order_from_quote")
    return [Act(f"firstlight orders pay-by {order['order_id']} bank", meaning)] if order else []


def _told(run_id: int, signal: str, payload: str, meaning: str) -> Act:
    return Act(f"firstlight runs signal {run_id} {signal} --payload '{payload}'", meaning)


def _answers(summary: RunSummary, run: str, results: Mapping[str, Any]) -> list[Act]:
    subject = summary.waiting_on
    match summary.waiting_for:
        case "visit":
            command = f"firstlight visits report {subject} scanned --serial SERIAL"
            return [Act(command, "what the technician reports; or no_access, not_feasible, cancelled")]
        case "line_answer":
            return [Act(f"firstlight line answer {subject} --port PORT", "the line is on the OLT")]
        case "line_removed":
            return [Act(f"firstlight line removed {subject}", "the line is off the OLT")]
        case "appointment":
            payload = '{"technician_id": 7, "scheduled_date": "2026-03-10T09:00:00+01:00"}'
            return [Act(f"{run.format('signal')} appointment --payload '{payload}'", "the appointment is made")]
        case "retry":
            return [Act(run.format("retry"), "try again at once")]
        case _:
            return _answers_of_customers(summary, results)


def _answers_of_customers(summary: RunSummary, results: Mapping[str, Any]) -> list[Act]:
    match summary.waiting_for:
        case "payment_settled":
            return [_settle(summary.waiting_on)]
        case "payment_method":
            return _pay_by(results, "how the customer pays; or invoice, cash, card")
        case "deployment_date":
            return [_told(summary.id, "deployment_date", '{"scheduled_date": "2026-03-09"}', "the day of the visit")]
        case "quote_accepted":
            command = f"firstlight quotes accept {summary.waiting_on} --accepted-by WHO"
            return [Act(command, "the customer says yes")]
        case _:
            return []


def _resources(result: dict[str, Any]) -> tuple[str, list[Any]]:
    vlan = str(result["svlan"]) if result["cvlan"] is None else f"{result['svlan']}.{result['cvlan']}"
    pool = f"pool {result['framed_pool']}" if result["framed_pool"] else None
    place = " ".join(str(part) for part in (result["access_node"], result["port"]) if part)
    addresses = [result["ip_address"], pool, result["ipv6_wan_prefix"], result["delegated_prefix"]]
    return f"service {result['service_id']}", [*addresses, f"VLAN {vlan} at {place}"]


def _account(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"subscriber {result['subscriber_id']}", [result["username"]]


def _times(visit: dict[str, Any]) -> str:
    return span(datetime.fromisoformat(visit["starts_at"]), datetime.fromisoformat(visit["ends_at"]))


def _visit(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"visit {result['visit_id']}", [result["technician_name"], _times(result)]


def _line(result: dict[str, Any]) -> tuple[str, list[Any]]:
    place = " ".join(str(part) for part in (result["access_node"], result["port"]) if part)
    return f"line order {result['line_order_id']}", [f"{result['device_serial']} at {place}"]


def _cpe(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return "CPE", [result["device_serial"], result["template"]]


def _bill(result: dict[str, Any]) -> tuple[str, list[Any]]:
    began = minute(datetime.fromisoformat(result["billing_started_at"]))
    return f"subscription {result['subscription_id']}", [f"runs since {began}"]


def _customer(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"customer {result['customer_id']}", [result["name"], result["email"]]


def _subscription(result: dict[str, Any]) -> tuple[str, list[Any]]:
    waits = result["state"] == "pending_installation"
    state = "waits for its installation" if waits else f"{result['state']} since {result['starts_on']}"
    return f"subscription {result['subscription_id']}", [result["plan"], state]


def _licence(result: dict[str, Any]) -> tuple[str, list[Any]]:
    until = f"until {result['valid_until']}" if result["valid_until"] else "without end"
    return f"licence {result['license_id']}", [f"{result['seats']} seats", until]


def _allocation(result: dict[str, Any]) -> tuple[str, list[Any]]:
    licences = ", ".join(str(number) for number in result["license_ids"])
    return f"allocation {result['allocation_id']}", [f"licences {licences} of partner {result['partner_id']}"]


def _page(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return "customer page", [result["tenant_url"]]


def _commission(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"commission {result['commission_id']}", [f"{result['amount']} {result['currency']}"]


def _ticket(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"ticket {result['ticket_id']}", [result["assigned_team"], result["title"]]


def _acceptance(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"quote {result['quote_id']}", [f"accepted by {result['accepted_by']}"]


def _order(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"order {result['order_id']}", [f"{result['total_amount']} {result['currency']}", result["payment_terms"]]


def _subscriptions(result: list[dict[str, Any]]) -> tuple[str, list[Any]]:
    many = "" if len(result) == 1 else "s"
    return f"{len(result)} subscription{many}", [f"{one['subscription_id']} {one['plan']}" for one in result]


def _request(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"payment {result['payment_id']}", [f"{result['amount']} {result['currency']}", result["payment_method"]]


def _money(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"money of payment {result['payment_id']}", [result["state"], result["reference"]]


def _deployment(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"visit {result['visit_id']}", [f"technician {result['technician_id']}", _times(result)]


def _notice(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"notice {result['notice_id']}", [f"to {result['team']} by {result['channel']}"]


def _renewal(result: dict[str, Any]) -> tuple[str, list[Any]]:
    until = f"open until {minute(datetime.fromisoformat(result['valid_until']))}"
    return f"renewal quote {result['quote_id']}", [f"{result['total_amount']} {result['currency']}", until]


def _extension(result: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"extension {result['extension_id']}", [
        f"subscription {result['subscription_id']} until {result['ends_on']}"
    ]


DESCRIPTIONS: dict[str, Callable[[Any], tuple[str, list[Any]]]] = {
    "allocate_resources": _resources,
    "create_subscriber": _account,
    "schedule_installation": _visit,
    "authorise_line": _line,
    "provision_device": _cpe,
    "activate_service": _bill,
    "create_from_lead": _customer,
    "create_partner_customer": _customer,
    "create_subscription": _subscription,
    "issue_license": _licence,
    "allocate_from_partner": _allocation,
    "provision_tenant": _page,
    "provision_partner_tenant": _page,
    "record_commission": _commission,
    "create_ticket": _ticket,
    "accept_quote": _acceptance,
    "create_order_from_quote": _order,
    "process_payment": _request,
    "capture_payment": _money,
    "create_subscriptions": _subscriptions,
    "schedule_deployment": _deployment,
    "notify_team": _notice,
    "create_renewal_quote": _renewal,
    "process_renewal_payment": _request,
    "extend_subscription": _extension,
}
"""Of which steps something is kept, and how it reads."""
