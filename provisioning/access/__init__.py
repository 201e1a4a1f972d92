"""Who may use the doors, and what they did: roles and their permissions, bearer tokens, request keys, the audit.

People sign in at the console: `Users`, `Invitations` (one-time links), `SignIns` and `ConsoleSessions`. A session
makes the same `Caller` as a token, so that one table of permissions rules both doors.

A token has a role, and may be narrowed to some of the role's permissions (its scopes). The token of a partner or a
technician also has their number, and sees nothing of anybody else's.

To add a permission: name it in ``roles.Permission`` and give it to the roles that need it; ``admin`` has them all.
"""

from provisioning.access.audit import AuditEntry, AuditView, Deed, filled, keep_deed, list_audit
from provisioning.access.console_sessions import (
    ConsoleSession,
    ConsoleSessions,
    SignedIn,
    forget_old_sessions,
)
from provisioning.access.errors import (
    AccessError,
    Forbidden,
    InvitationOver,
    LoginNameTaken,
    RequestForged,
    SessionOver,
    SignInRefused,
    SignInsBusy,
    SignInsTooMany,
    TokenMissing,
    TokenRefused,
    TokenUnknown,
    UserUnknown,
)
from provisioning.access.invitations import ConsoleInvitation, Invitations, Invited, MadeInvitation
from provisioning.access.keeping import (
    Changes,
    note_changes,
    note_wanted_changes,
    noted_changes,
    subject_of,
    want_changes,
)
from provisioning.access.passwords import Passwords, check_password
from provisioning.access.request_keys import EarlierRequest, forget_old_keys, is_key_used, keep_under_key, take_key
from provisioning.access.roles import PERMISSIONS, ROLES, Permission, Role
from provisioning.access.sign_ins import CountedTry, Recognised, SignIns
from provisioning.access.tokens import ANYBODY, ApiToken, Caller, CreatedToken, KnownCallers, Tokens, TokenView
from provisioning.access.users import ConsoleUser, Users, UserView, read_login_name

__all__ = [
    "ANYBODY",
    "PERMISSIONS",
    "ROLES",
    "AccessError",
    "ApiToken",
    "AuditEntry",
    "AuditView",
    "Caller",
    "Changes",
    "ConsoleInvitation",
    "ConsoleSession",
    "ConsoleSessions",
    "ConsoleUser",
    "CountedTry",
    "CreatedToken",
    "Deed",
    "EarlierRequest",
    "Forbidden",
    "InvitationOver",
    "Invitations",
    "Invited",
    "KnownCallers",
    "LoginNameTaken",
    "MadeInvitation",
    "Passwords",
    "Permission",
    "Recognised",
    "RequestForged",
    "Role",
    "SessionOver",
    "SignInRefused",
    "SignIns",
    "SignInsBusy",
    "SignInsTooMany",
    "SignedIn",
    "TokenMissing",
    "TokenRefused",
    "TokenUnknown",
    "TokenView",
    "Tokens",
    "UserUnknown",
    "UserView",
    "Users",
    "check_password",
    "filled",
    "forget_old_keys",
    "forget_old_sessions",
    "is_key_used",
    "keep_deed",
    "keep_under_key",
    "list_audit",
    "note_changes",
    "note_wanted_changes",
    "noted_changes",
    "read_login_name",
    "subject_of",
    "take_key",
    "want_changes",
]
