"""What our script at the ACS is told: the settings, the rows that it has to choose, and what it must not cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from acs.convergence.desired_states import Desired
from acs.errors import SettingsRefused
from acs.nbi.requests import is_xml_value
from acs.templates.delivery import ChosenRows, is_row_tag
from acs.templates.rendering import Setting

PROVISION = "firstlight_apply"


def chosen_rows(desired: Desired, tags: Sequence[str]) -> dict[str, str]:
    """The rows that a session of the CPE has chosen, as an operator is shown them."""
    selectors = desired.delivery.selectors
    chosen = ChosenRows.by_tags(selectors, tags)
    return {} if chosen is None else chosen.rows(selectors)


def hand_out_tag(handed_out_at: datetime) -> str:
    """The tag by which the script proves that a CPE has taken what was handed out at that moment. It is as stale as an
    earlier revision's once that is known."""
    return f"cfg_at_{handed_out_at.astimezone(UTC):%Y%m%dT%H%M%S%f}"


def script_argument(
    desired: Desired, revealed: Sequence[Setting], tags: Sequence[str], *, handed_out_at: datetime | None = None
) -> str:
    """What the script is told; ``handed_out_at``: in a CPE's first session.

    Raises: SettingsRefused for a value no CPE could be sent; it is not repeated.
    """
    unsendable = [setting.path for setting in revealed if not is_xml_value(setting.value)]
    if unsendable:
        message = f"the values for {', '.join(unsendable)} contain characters that cannot be sent."
        raise SettingsRefused(desired.serial, fault_code="unsendable", refusals=(), message=message)
    return json.dumps(
        {
            "rev": desired.revision,
            "params": [setting.as_row() for setting in revealed],
            "stale_tags": stale_tags(desired, tags) + row_tags(tags),
            **({} if handed_out_at is None else {"proof": hand_out_tag(handed_out_at)}),
            **choices(desired, with_guard=True),
        }
    )


def choices(desired: Desired, *, with_guard: bool) -> dict[str, object]:
    """What the script is told beside the settings: what it has to choose, and what it must not cut."""
    select = [selector.as_row() for selector in desired.delivery.selectors]
    guard = desired.delivery.guard if with_guard else None
    return {key: value for key, value in (("select", select), ("guard", guard)) if value}


def row_tags(tags: Sequence[str]) -> list[str]:
    """Those that earlier sessions have left; the script keeps what it chooses again."""
    return sorted(tag for tag in tags if is_row_tag(tag))


def stale_tags(desired: Desired, tags: Sequence[str]) -> list[str]:
    return sorted(tag for tag in tags if tag.startswith("cfg_") and tag != desired.tag)
