"""The store's answers: their facts, what an error is called, and what a HeadObject or a GetObject says.

Rules of this module
- It parses and decides; it sends nothing and reads no clock.
- An answer that is not clear is ``StorageUnavailableError``, never a guess.
- A reason names the operation, the status, the store's error code and its trace id. Nothing else of the answer is
  repeated: error bodies echo the request, with its URL and signature.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as ET

from broker.core.model import ObjectHead, StoredObject
from broker.errors import ObjectThrottledError, StorageUnavailableError

from .outcomes import OBJECT_THROTTLED, Outcome, outcome_of

METADATA_PREFIX: Final = "x-amz-meta-"
SKEW_HINT: Final = 60
"""Seconds between our clock and the store's from which an operator is told.

Our clock signs the URLs: one that is slow shortens their life, and beyond 900 s S3 refuses all (RequestTimeTooSkewed).
"""

RETRY_AFTER: Final = 2
RETRY_AFTER_MAX: Final = 60
"""Seconds after which a client should repeat its request: those without a Retry-After of the store, and the most."""

# RFC 9110, section 8.8.3, without W/: a copy's condition needs a strong one.
_ETAG: Final = re.compile(r'"([!#-~]+)"')
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_FIRST_RANGE: Final = re.compile(r"bytes 0-([0-9]{1,19})/([0-9]{1,19})")
_CODE: Final = re.compile(r"[A-Za-z]{1,64}")
_TRACE: Final = re.compile(r"[0-9A-Za-z+/=_-]{1,64}")
_TRACE_HEADERS: Final = ("cf-ray", "x-amz-request-id")
_NOT_ENCODED: Final = ("", "identity", "aws-chunked")  # the last is of the transfer, and some stores keep it


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: the names of ``headers`` are in lower case, ``body`` may be cut, ``received_at`` is by our clock."""

    operation: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float

    @property
    def outcome(self) -> Outcome:
        """What the answer says of the object and of the store."""
        return outcome_of(self.status)

    def unclear(self, what: str = "") -> StorageUnavailableError:
        """Why this answer is neither a yes nor a no, for an operator who has to ask the store about it."""
        facts = (f"{self.operation} answered {self.status}", error_code(self), what, self._trace(), self._skew())
        kind = ObjectThrottledError if self.outcome is OBJECT_THROTTLED else StorageUnavailableError
        reason = ", ".join(fact for fact in facts if fact)
        return kind(reason, retry_after=RETRY_AFTER if self.retry_after is None else self.retry_after)

    @property
    def retry_after(self) -> int | None:
        """Seconds for which the store asks not to be called again, at most ``RETRY_AFTER_MAX`` (RFC 9110, 10.2.3)."""
        text = self.headers.get("retry-after", "")
        if _DIGITS.fullmatch(text):
            return min(int(text), RETRY_AFTER_MAX)
        moment = http_date(text)
        return None if moment is None else min(max(0, round(moment - self.received_at)), RETRY_AFTER_MAX)

    def _trace(self) -> str:
        found = ((name, self.headers.get(name, "")) for name in _TRACE_HEADERS)
        return ", ".join(f"{name} {value}" for name, value in found if _TRACE.fullmatch(value))

    def _skew(self) -> str:
        date = http_date(self.headers.get("date", ""))
        skew = 0 if date is None else self.received_at - date
        return skewed(skew) if abs(skew) >= SKEW_HINT else ""


def skewed(seconds: float) -> str:
    """How an operator is told of ``seconds`` by which our clock is ahead of the store's."""
    return f"our clock is {seconds:+.0f} s off the store's"


def root_of(answer: Answer) -> ET.Element | None:
    """The root element of the body; ``None`` when it is not XML.

    Some stores send white space while they work, to keep the connection: the document begins after it
    (docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
    """
    try:
        # Safe: the body is capped, expat bounds what entities may expand to, and ElementTree loads nothing external.
        return ET.fromstring(answer.body.lstrip(b" \t\r\n"))  # noqa: S314  # see above
    except (ET.ParseError, LookupError, ValueError):  # the latter two for an encoding that expat does not know
        return None


def local_name(element: ET.Element) -> str:
    """The element's name whatever its namespace: R2 leaves it out where S3 has one."""
    return element.tag.rpartition("}")[2]


def error_code(answer: Answer) -> str:
    """The ``Code`` of an S3 error; empty when there is none that reads as one."""
    root = root_of(answer)
    code = "" if root is None or local_name(root) != "Error" else root.findtext("{*}Code", "")
    return code if _CODE.fullmatch(code) else ""


def says_no_such_key(answer: Answer) -> bool:
    """Whether the store says that the object does not exist; a missing bucket or a proxy's 404 says nothing."""
    return answer.status == 404 and error_code(answer) == "NoSuchKey"


def says_no_such_upload(answer: Answer) -> bool:
    """Whether the store says that the multipart upload does not exist: aborted, completed, or never created."""
    return answer.status == 404 and error_code(answer) == "NoSuchUpload"


def stored_object(answer: Answer) -> StoredObject:
    """What a HeadObject says of an object that exists."""
    if answer.status != 200:
        raise answer.unclear()
    return _described(answer, _size(answer))


def object_head(answer: Answer, count: int) -> ObjectHead:
    """What a GetObject of the first ``count`` bytes says; a store may also send all of them, with a 200.

    A body of another length than the answer itself says is unclear, and its bytes are never compared with anything.
    """
    if answer.status not in (200, 206):
        raise answer.unclear()
    if encoding := _content_encoding(answer):
        return ObjectHead(_encoded(answer, encoding), b"")
    size = _size(answer) if answer.status == 200 else _size_by_range(answer)
    if len(answer.body) != min(count, size):
        raise answer.unclear(f"{len(answer.body)} first bytes of {size}")
    return ObjectHead(_described(answer, size), answer.body)


def http_date(text: str) -> int | None:
    """An IMF-fixdate (RFC 9110, section 5.6.7), the only form S3 sends."""
    try:
        return int(datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _described(answer: Answer, size: int) -> StoredObject:
    moment = http_date(answer.headers.get("last-modified", ""))
    if moment is None:
        raise answer.unclear("no Last-Modified")
    return StoredObject(
        size=size,
        content_type=_text(answer.headers.get("content-type", "")),
        etag=_etag(answer),
        last_modified=moment,
        metadata=_metadata(answer.headers),
        sha256=_sha256(answer),
        content_encoding=_content_encoding(answer),
    )


def _encoded(answer: Answer, encoding: str) -> StoredObject:
    """An object with a Content-Encoding: on its way the store's edge may decode it, and then sizes and ETags change."""
    moment = http_date(answer.headers.get("last-modified", ""))
    content_type = _text(answer.headers.get("content-type", ""))
    return StoredObject(0, content_type, "", moment or 0, _metadata(answer.headers), content_encoding=encoding)


def _content_encoding(answer: Answer) -> str:
    given = answer.headers.get("content-encoding")
    value = _text(given).strip().lower() if given else ""
    return "" if value in _NOT_ENCODED else value


def _sha256(answer: Answer) -> bytes | None:
    """The checksum of the whole object; one of its parts' checksums has another form and says nothing of the file."""
    given = answer.headers.get("x-amz-checksum-sha256")
    if not given:
        return None
    try:
        digest = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == 32 else None


def _etag(answer: Answer) -> str:
    match = _ETAG.fullmatch(answer.headers.get("etag", ""))
    if match is None:
        raise answer.unclear("no strong ETag")
    return match[1]


def _size(answer: Answer) -> int:
    """Cloudflare drops the length of what it could compress; that is unknown, not zero."""
    length = answer.headers.get("content-length", "")
    if not _DIGITS.fullmatch(length):
        raise answer.unclear("no Content-Length")
    return int(length)


def _size_by_range(answer: Answer) -> int:
    """The size of the whole that the Content-Range of its first bytes says (RFC 9110, section 14.4)."""
    match = _FIRST_RANGE.fullmatch(answer.headers.get("content-range", ""))
    if match is None or int(match[1]) + 1 != len(answer.body):
        raise answer.unclear("no Content-Range of these bytes")
    return int(match[2])


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(METADATA_PREFIX): _text(value)
        for name, value in headers.items()
        if name.startswith(METADATA_PREFIX)
    }


def _text(value: str) -> str:
    """A header's value fit to be encoded again: bytes that are not UTF-8 arrive as lone surrogates."""
    return value.encode(errors="surrogateescape").decode(errors="replace")
