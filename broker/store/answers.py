"""What a store's answers mean. An answer that is not clear is ``StorageUnavailableError``, never a guess.

Rules of this module
- It parses and decides; it sends nothing and reads no clock.
- A reason names the operation, the status, the store's error code and its trace id. Nothing else that the store sent
  is repeated: error bodies echo the request, with its URL and signature.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as ET

from broker.core.model import Beginning, CopiedObject, Part, StoredObject
from broker.errors import StorageUnavailableError

METADATA_PREFIX: Final = "x-amz-meta-"
MAX_SKEW: Final = 900  # seconds between clocks, past which S3 refuses a request as RequestTimeTooSkewed

# RFC 9110, section 8.8.3, without W/: a copy's condition needs a strong one. In XML some stores leave out the quotes.
_ETAG: Final = re.compile(r'"([!#-~]+)"')
_XML_ETAG: Final = re.compile(r'"?([!#-~]+)"?')
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_FIRST_RANGE: Final = re.compile(r"bytes 0-([0-9]{1,19})/([0-9]{1,19})")
_CODE: Final = re.compile(r"[A-Za-z]{1,64}")
_TRACE: Final = re.compile(r"[0-9A-Za-z+/=_-]{1,64}")
_UPLOAD_ID: Final = re.compile(r"[!-~]{1,1024}")
_TRACE_HEADERS: Final = ("cf-ray", "x-amz-request-id")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: the names of ``headers`` are in lower case, ``body`` may be cut, ``received_at`` is by our clock."""

    operation: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float

    def unclear(self, what: str = "") -> StorageUnavailableError:
        """Why this answer is neither a yes nor a no, for an operator who has to ask the store about it."""
        facts = (f"{self.operation} answered {self.status}", error_code(self), what, self._trace(), self._skew())
        return StorageUnavailableError(", ".join(fact for fact in facts if fact))

    def _trace(self) -> str:
        found = ((name, self.headers.get(name, "")) for name in _TRACE_HEADERS)
        return ", ".join(f"{name} {value}" for name, value in found if _TRACE.fullmatch(value))

    def _skew(self) -> str:
        date = _http_date(self.headers.get("date", ""))
        skew = 0 if date is None else round(self.received_at - date)
        return f"our clock is {skew:+} s off the store's" if abs(skew) > MAX_SKEW else ""


def error_code(answer: Answer) -> str:
    """The ``Code`` of an S3 error; empty when there is none that reads as one."""
    root = _parse(answer.body)
    code = "" if root is None or _name(root) != "Error" else root.findtext("{*}Code", "")
    return code if _CODE.fullmatch(code) else ""


def says_no_such_key(answer: Answer) -> bool:
    """Whether the store says that the object is not there; a missing bucket or a proxy's 404 says nothing."""
    return answer.status == 404 and error_code(answer) == "NoSuchKey"


def says_no_such_upload(answer: Answer) -> bool:
    """Whether the store says that the multipart upload is not there: aborted, completed, or never was."""
    return answer.status == 404 and error_code(answer) == "NoSuchUpload"


def stored_object(answer: Answer) -> StoredObject:
    """What a HeadObject of an object that is there says of it."""
    if answer.status != 200:
        raise answer.unclear()
    return _described(answer, _size(answer))


def beginning(answer: Answer, count: int) -> Beginning:
    """What a GetObject of the first ``count`` bytes says; a store may also send all, with a 200.

    Bytes that are more or fewer than the answer itself says there are make no sense, and are judged by nobody.
    """
    if answer.status not in (200, 206):
        raise answer.unclear()
    size = _size(answer) if answer.status == 200 else _size_by_range(answer)
    if len(answer.body) != min(count, size):
        raise answer.unclear(f"{len(answer.body)} first bytes of {size}")
    return Beginning(_described(answer, size), answer.body)


def copied_object(answer: Answer) -> CopiedObject:
    """What a CopyObject made. Its 200 may come before the copying, and an error after it, in the body."""
    result = _document(answer, "CopyObjectResult")
    tag = _xml_etag(answer, result)
    return CopiedObject(tag, _modified(answer, _iso_date(result.findtext("{*}LastModified", ""))))


def undeleted(answer: Answer, keys: Iterable[str]) -> frozenset[str]:
    """Those of ``keys`` that a DeleteObjects does not say are deleted."""
    deleted = {found.text for found in _document(answer, "DeleteResult").iterfind("{*}Deleted/{*}Key")}
    return frozenset(keys) - deleted


def created_multipart(answer: Answer) -> str:
    """The store's id of the multipart upload that a CreateMultipartUpload began."""
    upload_id = _document(answer, "InitiateMultipartUploadResult").findtext("{*}UploadId", "")
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise answer.unclear("no UploadId")
    return upload_id


def open_multiparts(answer: Answer, key: str) -> list[str]:
    """The ids of the multipart uploads to exactly ``key`` in a ListMultipartUploads, oldest first."""
    uploads = _document(answer, "ListMultipartUploadsResult").iterfind("{*}Upload")
    found = [
        (upload.findtext("{*}Initiated", ""), upload.findtext("{*}UploadId", ""))
        for upload in uploads
        if upload.findtext("{*}Key") == key
    ]
    return [upload_id for _, upload_id in sorted(found) if _UPLOAD_ID.fullmatch(upload_id)]


def page_of_parts(answer: Answer, *, after: int) -> tuple[list[Part], int | None]:
    """The parts in one page of ListParts, and the number after which the next page begins, if there is one.

    SeaweedFS lists a part that was replaced beside its replacement; they stand in the order of their times then.
    """
    result = _document(answer, "ListPartsResult")
    listed = sorted(result.iterfind("{*}Part"), key=lambda element: element.findtext("{*}LastModified", ""))
    parts = sorted((_part(answer, element) for element in listed), key=lambda part: part.number)
    if parts and parts[0].number <= after:
        raise answer.unclear("a part of an earlier page")
    if result.findtext("{*}IsTruncated") != "true":
        return parts, None
    if not parts:
        raise answer.unclear("an empty page with another to follow")
    return parts, parts[-1].number


def check_copied_part(answer: Answer) -> None:
    """Return when an UploadPartCopy made its part; as with CopyObject an error may come in the body of a 200."""
    _xml_etag(answer, _document(answer, "CopyPartResult"))


def completed_object(answer: Answer) -> str:
    """The ETag of what a CompleteMultipartUpload made; its 200, too, may come before an error."""
    return _xml_etag(answer, _document(answer, "CompleteMultipartUploadResult"))


def _described(answer: Answer, size: int) -> StoredObject:
    return StoredObject(
        size=size,
        content_type=_text(answer.headers.get("content-type", "")),
        etag=_etag(answer),
        last_modified=_modified(answer, _http_date(answer.headers.get("last-modified", ""))),
        metadata=_metadata(answer.headers),
    )


def _part(answer: Answer, element: ET.Element) -> Part:
    number, size = (element.findtext(name, "") for name in ("{*}PartNumber", "{*}Size"))
    if not (_DIGITS.fullmatch(number) and _DIGITS.fullmatch(size)):
        raise answer.unclear("a part without number or size")
    return Part(int(number), int(size), _xml_etag(answer, element))


def _xml_etag(answer: Answer, element: ET.Element) -> str:
    return _unquoted(answer, _XML_ETAG.fullmatch(element.findtext("{*}ETag", "")))


def _document(answer: Answer, name: str) -> ET.Element:
    if answer.status != 200:
        raise answer.unclear()
    root = _parse(answer.body)
    if root is None or _name(root) != name:
        raise answer.unclear(f"no {name}")
    return root


def _parse(body: bytes) -> ET.Element | None:
    try:
        # Safe: the body is capped, expat bounds what entities may expand to, and ElementTree loads nothing external.
        return ET.fromstring(body)  # noqa: S314  # see above
    except (ET.ParseError, LookupError, ValueError):  # the latter two for an encoding that expat does not know
        return None


def _name(element: ET.Element) -> str:
    """The element's name whatever its namespace: R2 leaves it out where S3 has one."""
    return element.tag.rpartition("}")[2]


def _etag(answer: Answer) -> str:
    return _unquoted(answer, _ETAG.fullmatch(answer.headers.get("etag", "")))


def _unquoted(answer: Answer, match: re.Match[str] | None) -> str:
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


def _modified(answer: Answer, moment: int | None) -> int:
    if moment is None:
        raise answer.unclear("no Last-Modified")
    return moment


def _http_date(text: str) -> int | None:
    """An IMF-fixdate (RFC 9110, section 5.6.7), the only form S3 sends."""
    try:
        return int(datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _iso_date(text: str) -> int | None:
    """A moment as XML has it, with its time zone."""
    try:
        moment = datetime.fromisoformat(text)
        return int(moment.timestamp()) if moment.tzinfo else None
    except ValueError:
        return None


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(METADATA_PREFIX): _text(value)
        for name, value in headers.items()
        if name.startswith(METADATA_PREFIX)
    }


def _text(value: str) -> str:
    """A header's value fit to be encoded again: bytes that are not UTF-8 arrive as lone surrogates."""
    return value.encode(errors="surrogateescape").decode(errors="replace")
