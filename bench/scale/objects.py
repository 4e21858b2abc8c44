"""What the store of this benchmark holds, and what it answers: as much S3 as the broker asks for.

It stores no byte. What an object is follows from the extension of its key (``KINDS``): of a staged one the size, the
type and the first bytes, and whether it came in parts, all of which are there. A small ready object is never there, so
that each confirm copies; a large one is there once its ranges were joined. It looks at no signature, date or condition.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import ClassVar, NamedTuple
from urllib.parse import parse_qs

from bench.store import ETAG, XML, answer

MIB = 2**20
PART = 16 * MIB
PAGE = 1_000  # parts that ListParts answers at once
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class Kind(NamedTuple):
    """What the objects with one extension are."""

    content_type: str
    size: int
    begins: bytes
    in_parts: bool = False


KINDS = {
    "mp3": Kind("audio/mpeg", 8_123_456, b"ID3"),
    "mp4": Kind("video/mp4", 5 * 2**30 + 512 * MIB, b"\0\0\0\x18ftypmp42"),
    "flac": Kind("audio/flac", 8 * PART, b"fLaC", in_parts=True),
    "wav": Kind("audio/wav", 10_000 * PART, b"RIFF\0\0\0\0WAVE", in_parts=True),
}


class Asked(NamedTuple):
    """One request. The names of ``fields`` are in lower case."""

    method: str
    key: str
    query: dict[str, list[str]]
    fields: dict[str, str]

    @classmethod
    def of(cls, method: str, target: str, fields: dict[str, str]) -> "Asked":
        """A path-style request: the bucket's name is left out."""
        path, _, query = target.partition("?")
        return cls(method, path.split("/", 2)[2] if path.count("/") > 1 else "", parse_qs(query, True), fields)

    @property
    def kind(self) -> Kind:
        """What the object is."""
        return KINDS.get(self.key.rpartition(".")[2], KINDS["mp3"])

    def operation(self) -> str:
        """Its name as S3 and R2's prices have it."""
        names = _NAMES[self.method]
        found = next((name for parameter, name in names.items() if parameter in self.query), names[""])
        return _COPIES[found] if "x-amz-copy-source" in self.fields else found


_NAMES = {
    "HEAD": {"": "HeadObject"},
    "GET": {"uploads": "ListMultipartUploads", "uploadId": "ListParts", "": "GetObject"},
    "PUT": {"uploadId": "UploadPart", "": "PutObject"},
    "POST": {"uploads": "CreateMultipartUpload", "uploadId": "CompleteMultipartUpload", "": "DeleteObjects"},
    "DELETE": {"uploadId": "AbortMultipartUpload", "": "DeleteObject"},
}
_COPIES = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}


@dataclass(slots=True)
class Open:
    """A multipart upload under way: when it began, and the bytes of each part that a copy made."""

    upload_id: str
    began: str
    sizes: dict[int, int] = field(default_factory=dict)


class Objects:
    """The state: what is under way, what was joined, and how often each operation was asked for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._open: dict[str, Open] = {}
        self._joined: set[str] = set()

    def answer(self, asked: Asked, operation: str) -> bytes:
        """The bytes of the answer."""
        self.asked[operation] += 1
        return self._BY_OPERATION[operation](self, asked)

    def _head(self, asked: Asked) -> bytes:
        if not self._is_there(asked):
            return answer("404 Not Found", XML)
        return answer("200 OK", _object(asked.kind.content_type), length=asked.kind.size)

    def _get(self, asked: Asked) -> bytes:
        if not self._is_there(asked):
            return _error("NoSuchKey")
        match = _RANGE.fullmatch(asked.fields.get("range", "bytes=0-511"))
        count = int(match[2]) + 1 if match else 1
        ranged = {"Content-Range": f"bytes 0-{count - 1}/{asked.kind.size}"}
        return answer(
            "206 Partial Content", {**_object(asked.kind.content_type), **ranged}, asked.kind.begins.ljust(count, b"\0")
        )

    def _put(self, _asked: Asked) -> bytes:
        return answer("200 OK", {"ETag": ETAG})

    def _copy(self, _asked: Asked) -> bytes:
        return _document("CopyObjectResult", f"<ETag>{ETAG}</ETag><LastModified>{_now()}</LastModified>")

    def _create(self, asked: Asked) -> bytes:
        made = Open(f"{self.asked['CreateMultipartUpload']:032x}", _now())
        self._open[asked.key] = made
        return _document("InitiateMultipartUploadResult", f"<UploadId>{made.upload_id}</UploadId>")

    def _copy_part(self, asked: Asked) -> bytes:
        found, match = self._open.get(asked.key), _RANGE.fullmatch(asked.fields["x-amz-copy-source-range"])
        if found is None or match is None:
            return _error("NoSuchUpload")
        found.sizes[int(asked.query["partNumber"][0])] = int(match[2]) - int(match[1]) + 1
        return _document("CopyPartResult", f"<ETag>{ETAG}</ETag><LastModified>{_now()}</LastModified>")

    def _list_parts(self, asked: Asked) -> bytes:
        found = self._open.get(asked.key)
        if found is None:
            return _error("NoSuchUpload")
        if asked.key.startswith("incoming/"):
            return _page_of_parts(asked.kind.size // PART, int(asked.query["part-number-marker"][0]))
        return _page_of_sizes(found.sizes, int(asked.query["part-number-marker"][0]))

    def _list_open(self, asked: Asked) -> bytes:
        prefix = asked.query["prefix"][0]
        listed = (
            f"<Upload><Key>{key}</Key><UploadId>{each.upload_id}</UploadId><Initiated>{each.began}</Initiated></Upload>"
            for key, each in ([(prefix, self._open[prefix])] if prefix in self._open else ())
        )
        return _document("ListMultipartUploadsResult", "".join(listed) + "<IsTruncated>false</IsTruncated>")

    def _complete(self, asked: Asked) -> bytes:
        if self._open.pop(asked.key, None) is None:
            return _error("NoSuchUpload")
        self._joined.add(asked.key)
        return _document("CompleteMultipartUploadResult", f"<ETag>{ETAG}</ETag>")

    def _abort(self, asked: Asked) -> bytes:
        self._open.pop(asked.key, None)
        return answer("204 No Content", {})

    def _delete(self, asked: Asked) -> bytes:
        self._joined.discard(asked.key)
        return answer("204 No Content", {})

    def _is_there(self, asked: Asked) -> bool:
        return asked.key in self._joined or (asked.key.startswith("incoming/") and not asked.kind.in_parts)

    _BY_OPERATION: ClassVar[Mapping[str, Callable[["Objects", Asked], bytes]]] = {
        "HeadObject": _head,
        "GetObject": _get,
        "PutObject": _put,
        "UploadPart": _put,
        "CopyObject": _copy,
        "UploadPartCopy": _copy_part,
        "CreateMultipartUpload": _create,
        "ListParts": _list_parts,
        "ListMultipartUploads": _list_open,
        "CompleteMultipartUpload": _complete,
        "AbortMultipartUpload": _abort,
        "DeleteObject": _delete,
        "DeleteObjects": _put,
    }


def _object(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type, "ETag": ETAG, "Last-Modified": CHANGED, "Accept-Ranges": "bytes"}


CHANGED = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}"


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"


def _document(name: str, inner: str) -> bytes:
    return answer("200 OK", XML, f"<{name}>{inner}</{name}>".encode())


def _error(code: str) -> bytes:
    return answer("404 Not Found", XML, f"<Error><Code>{code}</Code><Message>None.</Message></Error>".encode())


@cache
def _page_of_parts(count: int, marker: int) -> bytes:
    """Of the parts that a client sent, all of which are there."""
    return _page_of_sizes(dict.fromkeys(range(1, count + 1), PART), marker)


def _page_of_sizes(sizes: dict[int, int], marker: int) -> bytes:
    numbers = sorted(number for number in sizes if number > marker)
    listed = (
        f"<Part><PartNumber>{number}</PartNumber><LastModified>{_now()}</LastModified><ETag>{ETAG}</ETag>"
        f"<Size>{sizes[number]}</Size></Part>"
        for number in numbers[:PAGE]
    )
    truncated = "true" if len(numbers) > PAGE else "false"
    return _document("ListPartsResult", "".join(listed) + f"<IsTruncated>{truncated}</IsTruncated>")
