"""What can go wrong with campaigns: a branch of ``acs.errors``.

::

    CampaignError
    ├── CampaignUnknown     no campaign of that name
    ├── CampaignNameTaken   another one has that name
    ├── CampaignRefused     its terms or group are wrong; all faults at once
    └── CampaignNotThere    its state allows no such verb
"""

from __future__ import annotations

from collections.abc import Sequence

from acs.errors import AcsError


class CampaignError(AcsError):
    """A campaign can't do that."""

    code = "acs.campaign_error"


class CampaignUnknown(CampaignError):
    """There is no campaign of that name."""

    code = "acs.campaign_unknown"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no campaign {name!r}.")


class CampaignNameTaken(CampaignError):
    """There is another campaign of that name."""

    code = "acs.campaign_name_taken"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is a campaign {name!r} already, with other terms or another group.")


class CampaignRefused(CampaignError):
    """The campaign can't be as it was wished; every fault is named."""

    code = "acs.campaign_refused"

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"The campaign was refused: {'; '.join(faults)}.")


class CampaignNotThere(CampaignError):
    """The campaign is in no state for that."""

    code = "acs.campaign_not_there"

    def __init__(self, name: str, *, state: str, wanted: str) -> None:
        self.name, self.state = name, state
        super().__init__(f"Campaign {name!r} is {state}; it can't be {wanted}.")
