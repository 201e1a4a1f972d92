"""The line: whoever drives the OLT is handed port, serial, VLANs and line profile, and its answer comes back.

``LineService`` keeps the line orders, in the caller's transaction: ``authorise_line``, ``record_answer``,
``withdraw_line``. ``LineHandOver`` talks to the other side through an *adapter* and may be repeated at will: the line
order is the key. A line order goes requested -> handed_over -> authorised | refused, and from any of them to withdrawn;
*handed_over* means that the OLT may have it, so withdrawing it first asks the OLT to remove it.

Recipe, another way to reach an OLT: one module in ``adapters/`` with a class that fulfils ``LineAdapter``, one line in
``adapters.line_adapters``, its name in ``settings.line_adapter``, and one entry in the suite that every adapter passes,
``tests/provisioning/line/test_adapters.py``.
Recipe, another OLT vendor for the manual adapter: one TOML file in ``vendors/``, its name in ``snippets.VENDORS`` and
in ``settings.OltVendor``.
"""

from provisioning.line.adapters import ANSWER_PATH, LineWebhookSettings, line_adapters
from provisioning.line.errors import (
    LineAdapterMissing,
    LineAnswerConflict,
    LineBusy,
    LineError,
    LineNotHandedOver,
    LineOrderClosed,
    LineOrderUnknown,
    LineRaced,
    LineRefused,
    LineStillOnOlt,
    OltAnswerMalformed,
    OltError,
    OltOutcomeUnknown,
    OltUnreachable,
)
from provisioning.line.handover import LineHandOver, WithdrawalAnswer
from provisioning.line.orders import line_order_as_it_is, line_orders, live_line_orders
from provisioning.line.ports import AdapterAnswer, LineAdapter, LineRequest
from provisioning.line.service import LineService
from provisioning.line.tables import LineOrderRecord, LineOrderRow

__all__ = [
    "ANSWER_PATH",
    "AdapterAnswer",
    "LineAdapter",
    "LineAdapterMissing",
    "LineAnswerConflict",
    "LineBusy",
    "LineError",
    "LineHandOver",
    "LineNotHandedOver",
    "LineOrderClosed",
    "LineOrderRecord",
    "LineOrderRow",
    "LineOrderUnknown",
    "LineRaced",
    "LineRefused",
    "LineRequest",
    "LineService",
    "LineStillOnOlt",
    "LineWebhookSettings",
    "OltAnswerMalformed",
    "OltError",
    "OltOutcomeUnknown",
    "OltUnreachable",
    "WithdrawalAnswer",
    "line_adapters",
    "line_order_as_it_is",
    "line_orders",
    "live_line_orders",
]
