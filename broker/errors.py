"""The tree of refusals. The core raises, the edge answers.

Rules of this module
- One class per stable wire code; ``status`` is a hint for an HTTP edge (RFC 9110), nothing here knows a server.
- ``detail`` is written for the caller: it names the field and the rule, never a secret, a URL or another's data.
- A refusal about request fields carries its faults, each with an RFC 6901 JSON Pointer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule that one field of a request broke."""

    pointer: str
    detail: str

    def under(self, prefix: str) -> "Fault":
        """The same fault, seen from the document that holds this one at ``prefix``."""
        return Fault(prefix + self.pointer, self.detail)


class BrokerError(Exception):
    """Base of every refusal the broker gives on purpose.

    ``reason`` is for the log: the cause, which the caller is not told. ``retry_after`` is in seconds, ``None`` where
    waiting does not help. Both stand here, so that the edge treats every refusal alike and no new class loses them.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, detail: str, *, faults: Sequence[Fault] = (), reason: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.reason = reason
        self.retry_after = retry_after


def about(kind: type[BrokerError], *faults: Fault) -> BrokerError:
    """The refusal that names ``faults``; its detail speaks of the first."""
    return kind(f"{faults[0].pointer.lstrip('/') or 'The body'} {faults[0].detail}.", faults=faults)


class MalformedRequestError(BrokerError):
    """The request is not what its media type promises (bad JSON, bad UTF-8, duplicate members)."""

    code, status, title = "invalid_request", 400, "Malformed request"


class InvalidRequestError(BrokerError):
    """The request is well formed and breaks a rule of a field."""

    code, status, title = "invalid_request", 422, "Invalid request"


class UnsupportedTypeError(BrokerError):
    """The declared media type of an upload is not one the broker takes."""

    code, status, title = "unsupported_type", 422, "Unsupported media type"


class UnsupportedBodyError(BrokerError):
    """The body of the request itself is in a media type or coding the endpoint does not read."""

    code, status, title = "unsupported_type", 415, "Unsupported media type"


class UnauthenticatedError(BrokerError):
    """No valid bearer token. Every cause answers alike (RFC 6750 section 3.1); the cause goes to the log."""

    code, status, title = "unauthenticated", 401, "Authentication required"

    def __init__(self, reason: str) -> None:
        super().__init__("A valid bearer token is required.", reason=reason)


class ForbiddenError(BrokerError):
    """The principal is known and may not do this."""

    code, status, title = "forbidden", 403, "Forbidden"


class NotFoundError(BrokerError):
    """Unknown, or another principal's: both answer alike."""

    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowedError(BrokerError):
    """The resource has no such method; ``allowed`` are those it has."""

    code, status, title = "method_not_allowed", 405, "Method not allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"This resource has only {', '.join(allowed)}.")
        self.allowed = tuple(allowed)


class NotUploadedError(BrokerError):
    """The store says that nothing was uploaded yet."""

    code, status, title = "not_uploaded", 409, "Not uploaded"


class SizeMismatchError(BrokerError):
    """The stored object, or a part of it, has another size than was promised."""

    code, status, title = "size_mismatch", 409, "Size mismatch"


class PartsMissingError(BrokerError):
    """Not all parts of the upload are stored; the faults name those that are not."""

    code, status, title = "parts_missing", 409, "Parts missing"


class TypeMismatchError(BrokerError):
    """The stored object has another media type than was promised."""

    code, status, title = "type_mismatch", 409, "Type mismatch"


class EncodingMismatchError(BrokerError):
    """The object was stored with a Content-Encoding, so its bytes are not the file's own."""

    code, status, title = "encoding_mismatch", 409, "Encoding mismatch"


class ChecksumMismatchError(BrokerError):
    """The stored object has another checksum than was promised."""

    code, status, title = "checksum_mismatch", 409, "Checksum mismatch"


class ContentMismatchError(BrokerError):
    """The first bytes of the stored object are not those of its media type."""

    code, status, title = "content_mismatch", 422, "Content mismatch"


class UploadExpiredError(BrokerError):
    """The upload was not confirmed in time."""

    code, status, title = "upload_expired", 410, "Upload expired"


class UploadDeletedError(BrokerError):
    """The upload was aborted, or its object was deleted. Both are final."""

    code, status, title = "upload_deleted", 410, "Upload deleted"

    def __init__(self) -> None:
        super().__init__("The upload was deleted, which is final. Create a new upload to send the file again.")


class UploadConfirmedError(BrokerError):
    """The upload is confirmed, so there is nothing to abort."""

    code, status, title = "upload_confirmed", 409, "Upload confirmed"

    def __init__(self) -> None:
        super().__init__("The upload is already confirmed. To remove its object, delete the object by its key.")


class LengthRequiredError(BrokerError):
    """The request's body has no declared length."""

    code, status, title = "length_required", 411, "Length required"


class TooLargeError(BrokerError):
    """The request's body, or the upload it asks for, is over the limit."""

    code, status, title = "too_large", 413, "Too large"


class TargetTooLongError(BrokerError):
    """The request's target has more than ``limit`` bytes."""

    code, status, title = "target_too_long", 414, "Target too long"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request target must have at most {limit} bytes.")


class HeadTooLargeError(BrokerError):
    """The request's header fields have more than ``limit`` bytes, or are too many."""

    code, status, title = "head_too_large", 431, "Request header fields too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The header fields must be few and have at most {limit} bytes.")


class RequestTimeoutError(BrokerError):
    """The request did not arrive in time."""

    code, status, title = "request_timeout", 408, "Request timeout"


class RateLimitedError(BrokerError):
    """The user asks for too much. ``retry_after`` is in seconds."""

    code, status, title = "rate_limited", 429, "Rate limited"

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"The rate limit is exceeded. Nothing was changed. Retry after {retry_after} seconds.",
            retry_after=retry_after,
        )


class TooManyConnectionsError(BrokerError):
    """The process has as many clients as its file descriptors allow."""

    code, status, title = "too_many_connections", 503, "Too many connections"

    def __init__(self) -> None:
        super().__init__("All connections of this server are in use. Repeat the request.", retry_after=2)


class StorageUnavailableError(BrokerError):
    """The store gave no answer, or one without a clear meaning: neither a yes nor a no.

    ``reason`` has the operation, what happened and the store's own trace id, and no URL.
    """

    code, status, title = "storage_unavailable", 503, "Storage unavailable"

    def __init__(self, reason: str, *, retry_after: int = 2) -> None:
        super().__init__(
            "The object store did not give a usable answer. It is safe to repeat the request.",
            reason=reason,
            retry_after=retry_after,
        )


class ObjectThrottledError(StorageUnavailableError):
    """The store accepts fewer requests for this one object. That is not a failure of the store."""


class IdentityUnavailableError(BrokerError):
    """The identity service's keys are unavailable, so no token can be verified."""

    code, status, title = "identity_unavailable", 503, "Identity service unavailable"

    def __init__(self, reason: str, *, retry_after: int) -> None:
        super().__init__(
            "The token verification keys are unavailable. Nothing was changed; try again.",
            reason=reason,
            retry_after=retry_after,
        )


class StorageNotConfiguredError(BrokerError):
    """The broker runs without credentials for a store."""

    code, status, title = "storage_not_configured", 503, "Cloud storage not configured"

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(f"R2 credentials are missing. Please configure {', '.join(missing)}.", retry_after=60)
