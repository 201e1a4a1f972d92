"""What keeps somebody from using a door.

AccessError
|-- TokenMissing     nobody said who they are
|-- TokenRefused     unknown, expired or revoked: which, an answer never tells
|-- TokenUnknown     no token of that number
|-- SessionOver      not signed in at the console, or not any more
|-- SignInRefused    unknown, disabled or a wrong password: which, an answer never tells
|-- SignInsTooMany   tried too often
|-- SignInsBusy      too many at this moment
|-- RequestForged    not sent from a page of the console
|-- InvitationOver   used, too old, taken back or made up
|-- UserUnknown      nobody of that name
|-- LoginNameTaken   by somebody else
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


class SessionOver(AccessError):
    """You are not signed in, or not any more: sign in."""

    code = "access.session_over"


class SignInRefused(AccessError):
    """The name or the password isn't right."""

    code = "access.sign_in_refused"


class SignInsTooMany(AccessError):
    """There were too many tries to sign in; wait a quarter of an hour."""

    code = "access.sign_ins_too_many"


class SignInsBusy(AccessError):
    """Too many sign in at this moment, nothing was done: come again in some seconds."""

    code = "access.sign_ins_busy"
    transient = True


class RequestForged(AccessError):
    """This was not sent from a page of this console, nothing was done: open the page again and send it from there."""

    code = "access.request_forged"


class InvitationOver(AccessError):
    """This link opens nothing: it was used, is too old, or a newer one has taken its place. Ask for a new one."""

    code = "access.invitation_over"


class UserUnknown(AccessError):
    """Nobody signs in with this name."""

    code = "access.user_unknown"

    def __init__(self, login_name: str) -> None:
        super().__init__(f"Nobody signs in as {login_name}.")


class LoginNameTaken(AccessError):
    """Somebody signs in with this name already."""

    code = "access.login_name_taken"

    def __init__(self, login_name: str) -> None:
        super().__init__(f"Somebody signs in as {login_name} already.")


class Forbidden(AccessError):
    """The caller may not do this."""

    code = "access.forbidden"

    def __init__(self, name: str, permission: str) -> None:
        self.permission = permission
        super().__init__(f"{name} may not do this: it takes the permission {permission}.")
