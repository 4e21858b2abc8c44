"""The store's responses: errors, and the results of HeadObject and GetObject.

Rules of this module
- It parses and decides; it sends nothing and reads no clock.
- Every unexpected response is a ``StorageUnavailableError``, never a guess.
- A reason has the operation, the status, the store's error code and its trace id. It repeats no other part of the
  response, because error bodies repeat the request with its URL and signature.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from broker.core.model import ObjectHead, StoredObject
from broker.errors import ObjectThrottledError, StorageUnavailableError

from .clock_skew import is_reported, skew_text
from .dates import http_date
from .outcomes import OBJECT_THROTTLED, Outcome, outcome_of

METADATA_PREFIX: Final = "x-amz-meta-"
"""The start of the header names of an object's metadata."""

RETRY_AFTER: Final = 2
"""Seconds after which a client should retry if the store sent no Retry-After."""

RETRY_AFTER_MAX: Final = 60
"""The largest Retry-After that is passed on, in seconds."""

DIGITS: Final = re.compile(r"[0-9]{1,19}")
"""A size, a number or a delay of at most 64 bits."""

ERROR_CODE: Final = re.compile(r"[A-Za-z]{1,64}")
"""An error code of S3. Any other text may repeat a part of the request, and is not logged."""

# RFC 9110, section 8.8.3, without W/: the condition of a copy needs a strong ETag.
_ETAG: Final = re.compile(r'"([!#-~]+)"')
_FIRST_RANGE: Final = re.compile(r"bytes 0-([0-9]{1,19})/([0-9]{1,19})")
_ANY_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_TRACE: Final = re.compile(r"[0-9A-Za-z+/=_-]{1,64}")
_TRACE_HEADERS: Final = ("cf-ray", "x-amz-request-id")
_NOT_ENCODED: Final = ("", "identity", "aws-chunked")  # the last one is a framing of the transfer that some stores keep


@dataclass(frozen=True, slots=True)
class S3Response:
    """One response: names of ``headers`` are lowercase, ``body`` may be cut, ``received_at`` is by our clock."""

    operation: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float

    @property
    def outcome(self) -> Outcome:
        """The meaning of the status for the circuit breaker and for a retry."""
        return outcome_of(self.status)

    def unexpected(self, fault: str = "") -> StorageUnavailableError:
        """Return the error of this response; its reason has the ``fault``, the error code and the trace id."""
        facts = (f"{self.operation} returned {self.status}", error_code(self), fault, self._trace(), self._skew())
        kind = ObjectThrottledError if self.outcome is OBJECT_THROTTLED else StorageUnavailableError
        reason = ", ".join(fact for fact in facts if fact)
        return kind(reason, retry_after=RETRY_AFTER if self.retry_after is None else self.retry_after)

    @property
    def retry_after(self) -> int | None:
        """The store's Retry-After in seconds, at most ``RETRY_AFTER_MAX`` (RFC 9110, section 10.2.3)."""
        text = self.headers.get("retry-after", "")
        if DIGITS.fullmatch(text):
            return min(int(text), RETRY_AFTER_MAX)
        moment = http_date(text)
        return None if moment is None else min(max(0, round(moment - self.received_at)), RETRY_AFTER_MAX)

    def _trace(self) -> str:
        found = ((name, self.headers.get(name, "")) for name in _TRACE_HEADERS)
        return ", ".join(f"{name} {value}" for name, value in found if _TRACE.fullmatch(value))

    def _skew(self) -> str:
        date = http_date(self.headers.get("date", ""))
        skew = 0 if date is None else self.received_at - date
        return skew_text(skew) if is_reported(skew) else ""


def root_of(response: S3Response) -> ET.Element | None:
    """Return the root element of the body; ``None`` if it is not XML.

    Some stores send white space while they work, to keep the connection open: the document starts after it
    (docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
    """
    try:
        # Safe: the body is cut, expat limits the expansion of entities, and ElementTree loads no external entity.
        return ET.fromstring(response.body.lstrip(b" \t\r\n"))  # noqa: S314  # see above
    except (ET.ParseError, LookupError, ValueError):  # the last two: an encoding that expat does not support
        return None


def local_name(element: ET.Element) -> str:
    """Return the element's name without its namespace, which R2 leaves out."""
    return element.tag.rpartition("}")[2]


def error_code(response: S3Response) -> str:
    """Return the ``Code`` of an S3 error; an empty string if there is none."""
    root = root_of(response)
    code = "" if root is None or local_name(root) != "Error" else root.findtext("{*}Code", "")
    return code if ERROR_CODE.fullmatch(code) else ""


def is_no_such_key(response: S3Response) -> bool:
    """Return whether the object does not exist; the 404 of a missing bucket or of a proxy does not count."""
    return response.status == 404 and error_code(response) == "NoSuchKey"


def is_no_such_upload(response: S3Response) -> bool:
    """Return whether the multipart upload does not exist: aborted, completed, or never created."""
    return response.status == 404 and error_code(response) == "NoSuchUpload"


def stored_object(response: S3Response) -> StoredObject:
    """Return the object that a HeadObject describes."""
    if response.status != 200:
        raise response.unexpected()
    return _described(response, _size(response))


def sent_etag(response: S3Response) -> str:
    """Return the ETag of an object or part that was sent."""
    if response.status != 200:
        raise response.unexpected()
    return _etag(response)


def object_head(response: S3Response, count: int) -> ObjectHead:
    """Return the object that a GetObject of the first ``count`` bytes describes, with these bytes.

    A store may ignore the range and send the whole object with a 200. A body whose length does not fit its header
    fields is unexpected.
    """
    if response.status not in (200, 206):
        raise response.unexpected()
    if encoding := _content_encoding(response):
        return ObjectHead(_encoded(response, encoding), b"")
    size = _size(response) if response.status == 200 else _size_by_range(response)
    if len(response.body) != min(count, size):
        raise response.unexpected(f"a body of {len(response.body)} bytes for an object of {size}")
    return ObjectHead(_described(response, size), response.body)


def bytes_at(response: S3Response, offset: int, count: int, etag: str) -> bytes | None:
    """Return the bytes of a GetObject with a range and with a condition on its ETag; ``None`` if it does not hold.

    Every other response than this range of this version is unexpected, because a store may ignore either.
    """
    if response.status == 412 or is_no_such_key(response):
        return None
    if response.status != 206 or _content_encoding(response) or _etag(response) != etag:
        raise response.unexpected("not the range of the version that was requested")
    match = _ANY_RANGE.fullmatch(response.headers.get("content-range", ""))
    first, last, size = map(int, match.groups()) if match else (0, 0, 0)
    if (first, last + 1) != (offset, min(offset + count, size)) or len(response.body) != last + 1 - first:
        raise response.unexpected("no Content-Range that fits the body")
    return response.body


def _described(response: S3Response, size: int) -> StoredObject:
    moment = http_date(response.headers.get("last-modified", ""))
    if moment is None:
        raise response.unexpected("no Last-Modified")
    return StoredObject(
        size=size,
        content_type=_text(response.headers.get("content-type", "")),
        etag=_etag(response),
        last_modified=moment,
        metadata=_metadata(response.headers),
        sha256=_sha256(response),
        content_encoding=_content_encoding(response),
    )


def _encoded(response: S3Response, encoding: str) -> StoredObject:
    """Return an object with a Content-Encoding, without size and ETag, which change if the store's edge decodes it."""
    moment = http_date(response.headers.get("last-modified", ""))
    content_type = _text(response.headers.get("content-type", ""))
    return StoredObject(0, content_type, "", moment or 0, _metadata(response.headers), content_encoding=encoding)


def _content_encoding(response: S3Response) -> str:
    given = response.headers.get("content-encoding")
    value = _text(given).strip().lower() if given else ""
    return "" if value in _NOT_ENCODED else value


def _sha256(response: S3Response) -> bytes | None:
    """Return the checksum of the whole object; that of a multipart object is a checksum of its parts' checksums."""
    given = response.headers.get("x-amz-checksum-sha256")
    if not given:
        return None
    try:
        digest = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == 32 else None


def _etag(response: S3Response) -> str:
    match = _ETAG.fullmatch(response.headers.get("etag", ""))
    if match is None:
        raise response.unexpected("no strong ETag")
    return match[1]


def _size(response: S3Response) -> int:
    """Return Content-Length, which Cloudflare leaves out if it could compress the body: unknown, not zero."""
    length = response.headers.get("content-length", "")
    if not DIGITS.fullmatch(length):
        raise response.unexpected("no Content-Length")
    return int(length)


def _size_by_range(response: S3Response) -> int:
    """Return the size of the whole object in the Content-Range of its first bytes (RFC 9110, section 14.4)."""
    match = _FIRST_RANGE.fullmatch(response.headers.get("content-range", ""))
    if match is None or int(match[1]) + 1 != len(response.body):
        raise response.unexpected("no Content-Range that fits the body")
    return int(match[2])


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(METADATA_PREFIX): _text(value)
        for name, value in headers.items()
        if name.startswith(METADATA_PREFIX)
    }


def _text(value: str) -> str:
    """Return a header value that can be encoded: bytes that are not UTF-8 arrive as lone surrogates."""
    return value.encode(errors="surrogateescape").decode(errors="replace")
