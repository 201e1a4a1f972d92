"""What can go wrong in the laboratory: DemoFailed, a branch of ProvisioningError. Needs nothing of the `lab` extra."""

from __future__ import annotations

from provisioning.errors import ProvisioningError


class DemoFailed(ProvisioningError):
    """The demo did not come to its proof."""

    code = "lab.demo_failed"
