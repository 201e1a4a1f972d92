"""What keeps somebody from using a door.

AccessError
|-- TokenMissing     nobody said who they are
|-- TokenRefused     unknown, expired or revoked: which, an answer never tells
|-- TokenUnknown     no token of that number
`-- Forbidden        known, and not allowed to
"""

from __future__ import annotations

from provisioning.errors import ProvisioningError


class AccessError(ProvisioningError):
    """This door doesn't open for the caller."""

    code = "access.error"


class TokenMissing(AccessError):
    """Say who you are: send a token as `Authorization: Bearer TOKEN`."""

    code = "access.token_missing"


class TokenRefused(AccessError):
    """The token isn't known here, has expired or was revoked."""

    code = "access.token_refused"


class TokenUnknown(AccessError):
    """No such token."""

    code = "access.token_unknown"

    def __init__(self, token_id: int) -> None:
        self.token_id = token_id
        super().__init__(f"There is no token {token_id}.")


class Forbidden(AccessError):
    """The caller may not do this."""

    code = "access.forbidden"

    def __init__(self, name: str, permission: str) -> None:
        self.permission = permission
        super().__init__(f"{name} may not do this: it takes the permission {permission}.")
