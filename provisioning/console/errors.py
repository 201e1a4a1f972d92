"""What is wrong with the console itself.

ConsoleError
`-- AssetsMissing     what pages load was not fetched
"""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.errors import ProvisioningError


class ConsoleError(ProvisioningError):
    """The console can't be shown."""

    code = "console.error"


class AssetsMissing(ConsoleError):
    """What the console's pages load is not there."""

    code = "console.assets_missing"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"The console's pages load {', '.join(names)}, which is not there: run `deploy/assets demo`. An installed"
            " release brings it along."
        )
