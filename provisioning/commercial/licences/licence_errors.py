"""What licences refuse. The tree is drawn in ``provisioning.errors``. No message repeats a licence key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from provisioning.errors import ProvisioningError


class LicenseError(ProvisioningError):
    """Something is wrong with a licence."""

    code = "license.error"


class LicenseTemplateUnknown(LicenseError):
    """No such licence template."""

    code = "license.template_unknown"

    def __init__(self, template_id: int) -> None:
        self.template_id = template_id
        super().__init__(f"There is no licence template {template_id}; import one with the estate.")


class LicenseTemplateConflict(LicenseError):
    """The licence template is known with other terms."""

    code = "license.template_conflict"

    def __init__(self, template_id: int, differing: Iterable[str]) -> None:
        self.template_id = template_id
        self.differing = tuple(differing)
        super().__init__(
            f"Licence template {template_id} is known with another {', '.join(self.differing)}, and licences may have "
            "been issued by it; use a new number for other terms."
        )


class LicenseUnknown(LicenseError):
    """No such licence."""

    code = "license.unknown"

    def __init__(self, license_id: int) -> None:
        self.license_id = license_id
        super().__init__(f"There is no licence {license_id}.")


class LicenseRevoked(LicenseError):
    """The licence was revoked."""

    code = "license.revoked"

    def __init__(self, license_id: int, revoked_at: datetime | None, reason: str | None) -> None:
        self.license_id = license_id
        self.revoked_at = revoked_at
        when = f" at {revoked_at:%Y-%m-%d %H:%M} UTC" if revoked_at else ""
        super().__init__(
            f"Licence {license_id} was revoked{when} ({reason or 'no reason given'}); "
            "issue another one under a new request id if one is wanted."
        )


class LicenseExpired(LicenseError):
    """The licence has come to its end."""

    code = "license.expired"

    def __init__(self, license_id: int, valid_until: date) -> None:
        self.license_id = license_id
        self.valid_until = valid_until
        super().__init__(f"Licence {license_id} was valid until {valid_until:%Y-%m-%d}; issue a new one.")


class LicenseOfAnother(LicenseError):
    """The licence belongs to another customer."""

    code = "license.of_another"

    def __init__(self, license_id: int, customer_id: int) -> None:
        self.license_id = license_id
        self.customer_id = customer_id
        super().__init__(f"Licence {license_id} is not customer {customer_id}'s; give the key that was issued to them.")


class LicenseInUse(LicenseError):
    """The licence serves another page already."""

    code = "license.in_use"

    def __init__(self, license_id: int, slug: str) -> None:
        self.license_id = license_id
        self.slug = slug
        super().__init__(f"Licence {license_id} already serves {slug}; withdraw that page, or issue another licence.")


class LicenseMissing(LicenseError):
    """The customer has no licence that could be used."""

    code = "license.missing"

    def __init__(self, customer_id: int, partner_id: int) -> None:
        self.customer_id = customer_id
        self.partner_id = partner_id
        super().__init__(
            f"Customer {customer_id} holds no unused licence of partner {partner_id}; "
            "allocate one from the partner's pool first."
        )


class LicenseKeyInvalid(LicenseError):
    """This is no licence key, or one that was changed."""

    code = "license.key_invalid"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"This is no licence key of ours: {reason}.")


class LicenseSignerUnknown(LicenseError):
    """The licence key was signed by a key that isn't known here."""

    code = "license.signer_unknown"

    def __init__(self, kid: str) -> None:
        self.kid = kid
        super().__init__(f"The licence key says that {kid} signed it, and no such public key is at hand.")


class PublicKeyUnusable(LicenseError):
    """This is no public key that could prove a licence."""

    code = "license.public_key_unusable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; take what `firstlight licences public-key` prints.")
