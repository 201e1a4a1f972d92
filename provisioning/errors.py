"""What can go wrong on the provisioning floor, as one tree.

ProvisioningError
"""

from __future__ import annotations

from typing import ClassVar


class ProvisioningError(Exception):
    """Provisioning could not do what was asked."""

    code: ClassVar[str] = "provisioning.error"
    transient: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)

    @property
    def message(self) -> str:
        return str(self)
