"""The tree of errors that the broker returns to clients. The use cases raise them, the HTTP edge returns them.

Rules of this module
- One class for each meaning, with a stable wire code. No class depends on a server.
- An error carries its reason, its ``Retry-After`` and its header fields, so that the edge treats all classes alike.
- ``detail`` is written for the client; it never holds a secret, a URL or the data of another user.
- An error about fields of a request carries one fault for each, with an RFC 6901 JSON Pointer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar

from .error_codes import Code
from .error_texts import THE_BODY, Detail


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule that one field of a request breaks."""

    pointer: str
    detail: str

    def under(self, prefix: str) -> "Fault":
        """Return the same fault with its pointer below ``prefix``."""
        return Fault(prefix + self.pointer, self.detail)


class BrokerError(Exception):
    """Base of every error that the broker returns on purpose.

    ``reason`` is the cause for the log, which the client does not receive. ``retry_after`` is in seconds, ``None``
    where a retry does not help. ``headers`` are header fields of the response.
    """

    code: ClassVar[Code] = Code.INTERNAL
    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    title: ClassVar[str] = "Internal error"
    headers: Mapping[str, str] = {}

    def __init__(
        self, detail: str, *, faults: Sequence[Fault] = (), reason: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.reason = reason
        self.retry_after = retry_after
        if retry_after is not None:
            self.headers = {"Retry-After": str(retry_after)}


def about(kind: type[BrokerError], *faults: Fault) -> BrokerError:
    """Return an error of ``kind`` with ``faults``; its detail is the text of the first."""
    field = faults[0].pointer.lstrip("/") or THE_BODY
    return kind(Detail.FIELD.format(field=field, rule=faults[0].detail), faults=faults)


class MalformedRequestError(BrokerError):
    """The request does not follow the syntax of HTTP or of its media type, such as invalid JSON."""

    code, status, title = Code.INVALID_REQUEST, HTTPStatus.BAD_REQUEST, "Malformed request"


class EmptyFileError(BrokerError):
    """The file has no bytes."""

    code, status, title = Code.INVALID_REQUEST, HTTPStatus.BAD_REQUEST, "Empty file"

    def __init__(self) -> None:
        super().__init__(Detail.EMPTY_FILE)


class InvalidRequestError(BrokerError):
    """The request is well formed, and a field breaks a rule."""

    code, status, title = Code.INVALID_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid request"


class UnsupportedTypeError(BrokerError):
    """The broker does not accept the declared media type of an upload."""

    code, status, title = Code.UNSUPPORTED_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY, "Unsupported media type"


class UnsupportedBodyError(BrokerError):
    """The endpoint does not read the media type or the content coding of the request body."""

    code, status, title = Code.UNSUPPORTED_TYPE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unsupported media type"


class UnauthenticatedError(BrokerError):
    """The request has no valid bearer token. All causes give the same response; the log has the reason."""

    code, status, title = Code.UNAUTHENTICATED, HTTPStatus.UNAUTHORIZED, "Authentication required"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # RFC 6750, section 3

    def __init__(self, reason: str) -> None:
        super().__init__(Detail.UNAUTHENTICATED, reason=reason)


class ForbiddenError(BrokerError):
    """The principal is authenticated and lacks the permission."""

    code, status, title = Code.FORBIDDEN, HTTPStatus.FORBIDDEN, "Forbidden"


class NotFoundError(BrokerError):
    """The resource does not exist, or belongs to another principal: both give the same response."""

    code, status, title = Code.NOT_FOUND, HTTPStatus.NOT_FOUND, "Not found"


class MethodNotAllowedError(BrokerError):
    """The resource does not have the request's method; it has those in ``allowed``."""

    code, status, title = Code.METHOD_NOT_ALLOWED, HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        listed = ", ".join(allowed)
        super().__init__(Detail.METHOD_NOT_ALLOWED.format(allowed=listed))
        self.headers = {"Allow": listed}


class NotUploadedError(BrokerError):
    """The store does not have the object yet."""

    code, status, title = Code.NOT_UPLOADED, HTTPStatus.CONFLICT, "Not uploaded"


class SizeMismatchError(BrokerError):
    """The stored object, or a part of it, does not have the declared size."""

    code, status, title = Code.SIZE_MISMATCH, HTTPStatus.CONFLICT, "Size mismatch"


class PartsMissingError(BrokerError):
    """Not all parts of the upload are stored; the faults name the missing ones."""

    code, status, title = Code.PARTS_MISSING, HTTPStatus.CONFLICT, "Parts missing"


class TypeMismatchError(BrokerError):
    """The stored object does not have the declared media type."""

    code, status, title = Code.TYPE_MISMATCH, HTTPStatus.CONFLICT, "Type mismatch"


class EncodingMismatchError(BrokerError):
    """The object is stored with a Content-Encoding, so its bytes are not those of the file."""

    code, status, title = Code.ENCODING_MISMATCH, HTTPStatus.CONFLICT, "Encoding mismatch"


class ChecksumMismatchError(BrokerError):
    """The stored object does not have the declared checksum."""

    code, status, title = Code.CHECKSUM_MISMATCH, HTTPStatus.CONFLICT, "Checksum mismatch"


class ContentMismatchError(BrokerError):
    """The first bytes of the stored object do not match its media type."""

    code, status, title = Code.CONTENT_MISMATCH, HTTPStatus.UNPROCESSABLE_ENTITY, "Content mismatch"


class UploadExpiredError(BrokerError):
    """The upload was not confirmed in time."""

    code, status, title = Code.UPLOAD_EXPIRED, HTTPStatus.GONE, "Upload expired"


class UploadDeletedError(BrokerError):
    """The upload was aborted, or its object was deleted. Both are final."""

    code, status, title = Code.UPLOAD_DELETED, HTTPStatus.GONE, "Upload deleted"

    def __init__(self) -> None:
        super().__init__(Detail.UPLOAD_DELETED)


class UploadConfirmedError(BrokerError):
    """The upload is confirmed and cannot be aborted."""

    code, status, title = Code.UPLOAD_CONFIRMED, HTTPStatus.CONFLICT, "Upload confirmed"

    def __init__(self) -> None:
        super().__init__(Detail.UPLOAD_CONFIRMED)


class LengthRequiredError(BrokerError):
    """The request body has no declared length."""

    code, status, title = Code.LENGTH_REQUIRED, HTTPStatus.LENGTH_REQUIRED, "Length required"


class TooLargeError(BrokerError):
    """The request body, or the declared file, is over the limit."""

    code, status, title = Code.TOO_LARGE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too large"


class TargetTooLongError(BrokerError):
    """The request target has more than ``limit`` bytes."""

    code, status, title = Code.TARGET_TOO_LONG, HTTPStatus.REQUEST_URI_TOO_LONG, "Target too long"

    def __init__(self, limit: int) -> None:
        super().__init__(Detail.TARGET_TOO_LONG.format(limit=limit))


class HeadTooLargeError(BrokerError):
    """The header fields of the request have more than ``limit`` bytes, or are more than ``fields``."""

    code, status = Code.HEAD_TOO_LARGE, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    title = "Request header fields too large"

    def __init__(self, limit: int, fields: int) -> None:
        super().__init__(Detail.HEAD_TOO_LARGE.format(limit=limit, fields=fields))


class RequestTimeoutError(BrokerError):
    """The request did not arrive in time."""

    code, status, title = Code.REQUEST_TIMEOUT, HTTPStatus.REQUEST_TIMEOUT, "Request timeout"
    headers: Mapping[str, str] = {"Connection": "close"}  # RFC 9110, section 15.5.9


class RateLimitedError(BrokerError):
    """The caller exceeds its rate limit.

    ``retry_after`` is in seconds. ``partition`` is the kind of caller that is counted, and ``fields`` are the header
    fields that state its quota.
    """

    code, status, title = Code.RATE_LIMITED, HTTPStatus.TOO_MANY_REQUESTS, "Rate limited"

    def __init__(
        self, retry_after: int, *, partition: str = "principal", fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(Detail.RATE_LIMITED.format(retry_after=retry_after), retry_after=retry_after)
        self.partition = partition
        self.headers = {**self.headers, **(fields or {})}


class TooManyConnectionsError(BrokerError):
    """The process has as many connections as its file descriptors allow."""

    code, status, title = Code.TOO_MANY_CONNECTIONS, HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections"

    def __init__(self, *, retry_after: int = 2) -> None:
        super().__init__(Detail.TOO_MANY_CONNECTIONS.format(retry_after=retry_after), retry_after=retry_after)


class StorageUnavailableError(BrokerError):
    """The store did not respond, or not with a clear success or failure.

    ``reason`` has the operation, the cause and the store's own trace id, and no URL. ``retry_after`` is in seconds.
    """

    code, status, title = Code.STORAGE_UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE, "Storage unavailable"

    def __init__(self, reason: str, *, retry_after: int = 2) -> None:
        super().__init__(Detail.STORAGE_UNAVAILABLE, reason=reason, retry_after=retry_after)


class ObjectThrottledError(StorageUnavailableError):
    """The store limits the requests for this one object. The store itself has not failed."""


class IdentityUnavailableError(BrokerError):
    """The keys of the identity service are unavailable, so that no token can be verified."""

    code, status = Code.IDENTITY_UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE
    title = "Identity service unavailable"

    def __init__(self, reason: str, *, retry_after: int) -> None:
        detail = Detail.KEYS_UNAVAILABLE.format(retry_after=retry_after)
        super().__init__(detail, reason=reason, retry_after=retry_after)


class StorageNotConfiguredError(BrokerError):
    """The settings named in ``missing`` are missing, so that the broker runs without a store."""

    code, status = Code.STORAGE_NOT_CONFIGURED, HTTPStatus.SERVICE_UNAVAILABLE
    title = "Cloud storage not configured"

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(Detail.STORAGE_NOT_CONFIGURED.format(missing=", ".join(missing)), retry_after=60)
