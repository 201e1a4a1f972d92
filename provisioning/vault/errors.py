"""What can go wrong with secrets and their keyring. (t) marks what a retry may cure by itself.

ProvisioningError
`-- VaultError
    |-- SecretMissing
    |   `-- OnlyHashKept      the subscriber was taken over with a hash of its password
    |-- SecretReferenceMalformed
    |-- SecretTampered
    |-- SealingKeyUnknown     (t) another machine rotated and its keyring hasn't been copied here yet
    |-- KeyringMissing
    |-- KeyringExists
    |-- KeyringExposed
    `-- KeyringDamaged
"""

from __future__ import annotations

from pathlib import Path

from provisioning.errors import ProvisioningError


class VaultError(ProvisioningError):
    """A secret could not be sealed or opened."""

    code = "vault.error"


class SecretMissing(VaultError):
    """No secret is kept under this reference."""

    code = "vault.secret_missing"

    def __init__(self, ref: str) -> None:
        self.ref = ref
        super().__init__(f"Nothing is kept under {ref}: it was never sealed, or has been discarded.")


class OnlyHashKept(SecretMissing):
    """A subscriber's password is known as a hash alone, by which logins are checked."""

    code = "vault.only_hash_kept"

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.args = (
            f"Nobody here knows the password under {ref}: the subscriber was taken over with a hash of it, by which its"
            " logins are checked. Ask the customer for it, or give it a new one"
            " (`firstlight subscribers rotate-password`).",
        )


class SecretReferenceMalformed(VaultError):
    """This can't be the reference of a secret."""

    code = "vault.reference_malformed"

    def __init__(self, length: int) -> None:
        # The text itself isn't repeated: the likeliest mistake is a password given where its reference belongs.
        super().__init__(f"A text of {length} characters is no reference; one looks like secret:subscriber/42.")


class SecretTampered(VaultError):
    """A sealed secret was changed or moved since it was sealed."""

    code = "vault.secret_tampered"

    def __init__(self, ref: str) -> None:
        self.ref = ref
        super().__init__(f"What is kept under {ref} doesn't open: the row was changed or moved; set a new value.")


class SealingKeyUnknown(VaultError):
    """The key that sealed a secret is not in this machine's keyring."""

    code = "vault.key_unknown"
    transient = True

    def __init__(self, key_id: str, path: Path) -> None:
        self.key_id = key_id
        self.path = path
        super().__init__(f"{path} lacks {key_id}, which sealed a secret; copy the newest keyring, or its backup, here.")


class KeyringMissing(VaultError):
    """There is no keyring."""

    code = "vault.keyring_missing"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(
            f"The keyring {path} can't be read ({reason}); restore its backup, or, if there never was one,"
            " make it with `firstlight migrate` (or `firstlight keys create`)."
        )


class KeyringExists(VaultError):
    """A keyring stands there already and is never overwritten."""

    code = "vault.keyring_exists"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} exists and is left as it is; overwriting it would lose every secret it seals.")


class KeyringExposed(VaultError):
    """Others than its owner may read the keyring."""

    code = "vault.keyring_exposed"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(
            f"{path} {reason}; make it the service's own with mode 0600, then rotate, since it may be known."
        )


class KeyringDamaged(VaultError):
    """The keyring's content makes no sense."""

    code = "vault.keyring_damaged"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"The keyring {path} is damaged ({reason}); restore its backup.")
