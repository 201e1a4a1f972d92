"""Secrets at rest: a PPPoE password or WiFi key is one sealed row, and travels everywhere else as its reference.

``SecretVault`` is what the RADIUS and ACS packages know as their ``Secrets``: seal, reveal, discard, always in the
caller's transaction. Values are sealed by AES-256-GCM under a key of the *keyring* file, bound to tenant and reference:
a row copied to another subscriber doesn't open. Losing the keyring loses every secret, see ``docs/sealing-key.md``.

Recipe, a new kind of secret: choose a reference (``secret:<kind>/<whose>[/<what>]``), seal it in the transaction that
creates its owner, discard it in the one that removes it, and reveal it only where the other side needs the value.
"""

from provisioning.vault.errors import (
    KeyringDamaged,
    KeyringExists,
    KeyringExposed,
    KeyringMissing,
    OnlyHashKept,
    SealingKeyUnknown,
    SecretMissing,
    SecretReferenceMalformed,
    SecretTampered,
    VaultError,
)
from provisioning.vault.keyring import Keyring, add_key, create_keyring, load_keyring
from provisioning.vault.rotation import Rotation, reseal, retire_keys, rotate
from provisioning.vault.secrets import SecretVault
from provisioning.vault.tables import SealedSecret

__all__ = [
    "Keyring",
    "KeyringDamaged",
    "KeyringExists",
    "KeyringExposed",
    "KeyringMissing",
    "OnlyHashKept",
    "Rotation",
    "SealedSecret",
    "SealingKeyUnknown",
    "SecretMissing",
    "SecretReferenceMalformed",
    "SecretTampered",
    "SecretVault",
    "VaultError",
    "add_key",
    "create_keyring",
    "load_keyring",
    "reseal",
    "retire_keys",
    "rotate",
]
