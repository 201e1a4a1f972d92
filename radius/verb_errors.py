"""Why an act on a subscriber is refused: branches of the tree in ``radius.errors``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from radius.errors import SubscriberError
from radius.plan_errors import PlanError


class GardenUnfit(PlanError):
    """A walled garden does not fit the plan of a line."""

    code = "radius.garden_unfit"

    def __init__(self, *, garden: str, plan: str, garden_access: str = "", plan_access: str = "") -> None:
        """Without an access: it is not told to every NAS."""
        self.garden = garden
        self.plan = plan
        if not garden_access:
            super().__init__(
                f"Garden {garden} is not told to every NAS (where_untold), and would shut lines out where plan {plan}"
                " lets them in. Take one that is, or none: then its logins are refused."
            )
            return
        if garden == plan:
            super().__init__(
                f"Plan {plan} can't be a walled garden for who has it: the line would be served as if it were not"
                " suspended. Name a garden, or none: then its logins are refused."
            )
            return
        super().__init__(
            f"Garden {garden} is for {garden_access} lines and plan {plan} for {plan_access}: a NAS would be told of a"
            " session of the wrong kind. Take a garden of the same access."
        )


class NoDataCap(PlanError):
    """The plan has no data cap."""

    code = "radius.no_data_cap"

    def __init__(self, username: str, plan: str) -> None:
        self.username = username
        self.plan = plan
        super().__init__(f"{username} is on plan {plan}, which has no data cap; nothing was changed.")


class ExternalIdTaken(SubscriberError):
    """The ISP's own number belongs to another subscriber."""

    code = "radius.external_id_taken"

    def __init__(self, external_id: str) -> None:
        self.external_id = external_id
        super().__init__(
            f"External id {external_id} belongs to another subscriber, who is not terminated; nothing was changed."
        )


class LineRefused(SubscriberError):
    """No subscriber can be bound to such a line."""

    code = "radius.line_refused"

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"The line cannot be meant: {'; '.join(self.faults)}. Nothing was changed.")


class LineTaken(SubscriberError):
    """The line logs in for another subscriber."""

    code = "radius.line_taken"

    def __init__(self, username: str, line: Mapping[str, str]) -> None:
        self.username = username
        self.line = dict(line)
        named = " or ".join(f"{name} {value}" for name, value in self.line.items())
        super().__init__(
            f"{username} cannot log in by {named}: that line logs in for another subscriber. Unbind that one first."
        )


class AccessUnfit(PlanError):
    """A line logs in on a plan for IPoE alone."""

    code = "radius.access_unfit"

    def __init__(self, plan: str) -> None:
        self.plan = plan
        super().__init__(
            f"Plan {plan} is for PPPoE: a line that logs in by itself, without a password, needs a plan with"
            ' access = "ipoe".'
        )
