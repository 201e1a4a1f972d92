"""What each step of an installation has made, as its run keeps it: texts of the size that real ones have."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

AT = "2026-03-10T09:00:00Z"


@lru_cache(maxsize=1)  # the steps of a run come one after the other
def results_of(customer: int) -> dict[str, str]:
    """By step's name the JSON of its result, for a customer whose service has the same number."""
    username, serial = f"c{customer}-s{customer}@isp.example", f"HWTC{customer:08X}"
    device_id, revision = f"00259E-HG8245-{serial}", f"{customer:064x}"
    subscriber = {"subscriber_id": customer, "username": username}
    projected: dict[str, Any] = {**subscriber, "digest": revision, "changed": True}
    mail = {"email_id": customer, "message_id": f"<{customer}@isp.example>", "recipient": "ada@customer.example"}
    sent = {**mail, "smtp_reply": "250 2.0.0 Ok: queued as 4Y1", "attempts": 1, "sent_at": AT}
    line = {"answered": True, "onu_id": 17, "actual_port": "0/1/0", "received_power_dbm": -19.4, "snippet": None}
    unit: dict[str, Any] = {
        "service_id": customer,
        "ip_address": "100.64.0.1",
        "framed_pool": None,
        "prefix_length": 32,
        "gateway": None,
        "vlan_id": 101,
        "svlan": 101,
        "cvlan": None,
        "cpe_vlan_id": None,
        "management_vlan": None,
        "ipv6_wan_prefix": None,
        "delegated_prefix": "2001:db8:100::/56",
        "username": username,
        "access": "pppoe",
        "access_node": "OLT-1",
        "port": "0/1/0",
        "bng": "bng-1",
    }
    verified = [f"Device.PPP.Interface.1.Parameter{number}" for number in range(6)]
    visit = {"visit_id": customer, "technician_id": 7, "technician_name": "Tess Kaminski"}
    results: dict[str, Any] = {
        "get_site_survey": {
            "survey_id": customer,
            "customer_id": customer,
            "service_location": "LOC-1",
            "result": "feasible",
            "surveyed_at": AT,
            "notes": "Fibre ends in the cellar, socket beside the meter.",
        },
        "allocate_resources": unit,
        "create_subscriber": {
            **subscriber,
            "radacct_id": customer,
            "password": f"secret:subscriber/{customer}",
            "state": "pending",
        },
        "project_subscriber": {**projected, "state": "pending", "version": 1},
        "appointment": {"technician_id": 7, "scheduled_date": AT},
        "schedule_installation": {**visit, "starts_at": AT, "ends_at": AT, "state": "booked"},
        "mail_appointment": {**mail, "template": "appointment", "state": "queued"},
        "deliver_appointment": sent,
        "visit": {"outcome": "scanned", "device_serial": serial, "port": "0/1/0", "note": None},
        "begin_testing": {"subscriber_id": customer, "testing_until": AT},
        "project_testing": {**projected, "state": "testing", "version": 2},
        "authorise_line": {
            "line_order_id": customer,
            "device_serial": serial,
            "access_node": "OLT-1",
            "port": "0/1/0",
            "state": "requested",
        },
        "see_open_sessions": {"sessions": []},
        "hand_over_line": line,
        "line_answer": line,
        "confirm_port": line,
        "provision_device": {
            "device_serial": serial,
            "template": "tr181-pppoe",
            "revision": revision,
            "state": "awaiting_first_inform",
            "device_row_id": customer,
        },
        "device_informed": {"device_id": device_id, "informed_at": AT},
        "apply_device": {
            "device_serial": serial,
            "device_id": device_id,
            "template": "tr181-pppoe",
            "revision": revision,
            "state": "applied",
            "applied_at": AT,
        },
        "verify_device": {
            "device_serial": serial,
            "device_id": device_id,
            "revision": revision,
            "state": "verified",
            "reason": "Every value was read back.",
            "verified": verified,
            "unverifiable": [],
            "drift": [],
            "verified_at": AT,
        },
        "session_started": {
            "username": username,
            "framed_ip_address": "100.64.0.1",
            "nas_address": "192.0.2.1",
            "session_id": f"81{customer:06x}",
            "started_at": AT,
        },
        "activate_service": {
            "service_id": customer,
            "customer_id": customer,
            "subscription_id": customer,
            "state": "active",
            "billing_started_at": AT,
        },
        "project_active": {**projected, "state": "active", "version": 3},
        "send_template_email": {**mail, "template": "welcome", "state": "queued"},
        "deliver_email": sent,
    }
    return {name: json.dumps(result) for name, result in results.items()}
