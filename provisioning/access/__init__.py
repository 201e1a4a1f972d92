"""Who may use the doors, and what they did: roles and their permissions, bearer tokens, request keys, the audit.

A token has a role, and may be narrowed to some of the role's permissions (its scopes). The token of a partner or a
technician also has their number, and sees nothing of anybody else's.

To add a permission: name it in ``roles.Permission`` and give it to the roles that need it; ``admin`` has them all.
"""

from provisioning.access.audit import AuditEntry, AuditView, Deed, filled, keep_deed, list_audit
from provisioning.access.errors import AccessError, Forbidden, TokenMissing, TokenRefused, TokenUnknown
from provisioning.access.keeping import (
    Changes,
    note_changes,
    note_wanted_changes,
    noted_changes,
    subject_of,
    want_changes,
)
from provisioning.access.request_keys import EarlierRequest, forget_old_keys, keep_under_key, take_key
from provisioning.access.roles import PERMISSIONS, ROLES, Permission, Role
from provisioning.access.tokens import ANYBODY, ApiToken, Caller, CreatedToken, KnownCallers, Tokens, TokenView

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
    "CreatedToken",
    "Deed",
    "EarlierRequest",
    "Forbidden",
    "KnownCallers",
    "Permission",
    "Role",
    "TokenMissing",
    "TokenRefused",
    "TokenUnknown",
    "TokenView",
    "Tokens",
    "filled",
    "forget_old_keys",
    "keep_deed",
    "keep_under_key",
    "list_audit",
    "note_changes",
    "note_wanted_changes",
    "noted_changes",
    "subject_of",
    "take_key",
    "want_changes",
]
