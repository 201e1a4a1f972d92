"""Why a plan cannot be used: a branch of the tree in ``radius.errors``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from radius.errors import RadiusError
from radius.known import known_are

MOST_COMPARED = 100


class NoPlans:
    """What is said of names that no plan has, for lists of any length: each name is compared with the plans once, and
    of more than ``MOST_COMPARED`` names the others are not compared: a list whose columns are mixed up has as many
    wrong names as it has lines, and comparing is slow."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(sorted(known))
        self._said: dict[str, str] = {}

    def phrase(self, plan: str) -> str:
        """That there is no such plan, and which there are; of many, the nearest."""
        if (said := self._said.get(plan)) is None:
            compared = len(self._said) < MOST_COMPARED
            said = self._said[plan] = f"there {_is_no_plan(plan, self._known, compared=compared)}"
        return said


def _is_no_plan(plan: str, known: Sequence[str], *, compared: bool = True) -> str:
    return f"is no RADIUS plan {plan[:80]!r}; {known_are(plan, known, compared=compared)}"


class PlanError(RadiusError):
    """The plan cannot be used."""

    code = "radius.plan_error"


class PlanUnknown(PlanError):
    """There is no such plan."""

    code = "radius.plan_unknown"

    def __init__(self, plan: str, known: Iterable[str]) -> None:
        """``known``: the names of those there are; of many, the nearest are named."""
        self.plan = plan
        self.known = tuple(sorted(known))
        super().__init__(f"There {_is_no_plan(plan, self.known)}.")


class PlanRefused(PlanError):
    """A number of the plan cannot be meant."""

    code = "radius.plan_refused"

    def __init__(self, plan: str, faults: Iterable[str]) -> None:
        self.plan = plan[:80]
        self.faults = tuple(faults)
        super().__init__(f"Plan {self.plan!r} cannot be meant: {'; '.join(self.faults)}.")


class RateNotExpressible(PlanError):
    """A NAS dialect in use has no word for such a rate."""

    code = "radius.rate_not_expressible"

    def __init__(self, plan: str, *, rate_kbps: int, dialect: str, max_kbps: int) -> None:
        self.plan = plan
        self.rate_kbps = rate_kbps
        self.dialect = dialect
        self.max_kbps = max_kbps
        super().__init__(
            f"Plan {plan} has {rate_kbps} kbit/s, but a NAS of dialect {dialect} can be told {max_kbps} kbit/s at most,"
            " and its subscribers would not be let in, or without any limit. Use another plan or another dialect there,"
            " or let the plan say where_untold = refuse_login, if that is meant."
        )


class TermsNotExpressible(PlanError):
    """A NAS dialect in use has no words for what the plan says."""

    code = "radius.terms_not_expressible"

    def __init__(self, plan: str, *, dialect: str, faults: Iterable[str]) -> None:
        self.plan = plan
        self.dialect = dialect
        self.faults = tuple(f"a NAS of dialect {dialect} cannot be told {fault}" for fault in faults)
        super().__init__(
            f"Plan {plan}: {'; '.join(self.faults)}. Its subscribers would not be let in there: change that in the"
            " plan, use another dialect, or let the plan say where_untold = refuse_login, if that is meant."
        )


class SeveralNotExpressible(PlanError):
    """Several plans, or one in several dialects, cannot be told to NASes in use."""

    code = "radius.several_not_expressible"

    def __init__(self, refused: Iterable[RateNotExpressible | TermsNotExpressible]) -> None:
        self.refused = tuple(refused)
        self.faults = tuple(str(one) for one in self.refused)
        super().__init__(" ".join(self.faults))
