"""What is wrong with a request as HTTP, before anybody looks at what it wants.

ApiError
|-- RequestMalformed          no JSON, nested too deeply, control characters in the address
|-- BodyTooLarge
|-- MediaTypeUnsupported
|-- IdempotencyKeyMissing
|-- IdempotencyKeyReused      with another request
|-- PreconditionMissing       If-Match
|-- PreconditionFailed        somebody else was quicker
|-- AddressUnusable           `firstlight serve` can't listen there
`-- CertificateRefused        `firstlight serve` can't answer TLS with these files: every fault named at once
"""

from __future__ import annotations

from collections.abc import Iterable

from provisioning.errors import Fault, ProvisioningError


class ApiError(ProvisioningError):
    """The request can't be taken as it was sent."""

    code = "api.error"


class RequestMalformed(ApiError):
    """The request can't be read."""

    code = "api.request_malformed"


class BodyTooLarge(ApiError):
    """The request's body is larger than this door takes."""

    code = "api.body_too_large"

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"The body is larger than {most_bytes} bytes, the most that is taken here.")


class MediaTypeUnsupported(ApiError):
    """The body isn't JSON: send it as `Content-Type: application/json`."""

    code = "api.media_type_unsupported"


class IdempotencyKeyMissing(ApiError):
    """Name your request: send `Idempotency-Key` with 1 to 200 printable characters, the same when you send it again."""

    code = "api.idempotency_key_missing"


class IdempotencyKeyReused(ApiError):
    """This Idempotency-Key came with another request before; nothing was done. Use a new key for a new wish."""

    code = "api.idempotency_key_reused"


class PreconditionMissing(ApiError):
    """Say which version you have seen: send its ETag as `If-Match`, or `*` for whatever stands there now."""

    code = "api.precondition_missing"


class PreconditionFailed(ApiError):
    """It isn't as you have seen it any more, nothing was done: read it again, and decide then."""

    code = "api.precondition_failed"


class AddressUnusable(ApiError):
    """Nobody can be served at this address."""

    code = "api.address_unusable"

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"Nobody can be served at {host}, port {port}: {reason}.")


class CertificateRefused(ApiError):
    """TLS can't be answered with this certificate and key."""

    code = "api.certificate_refused"

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"TLS can't be answered, so nobody is served: {'; '.join(str(each) for each in self.faults)}.")
