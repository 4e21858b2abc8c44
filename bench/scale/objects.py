"""The objects of the benchmark's store, and its responses: the part of the S3 API that the broker uses.

The store keeps no bytes. The extension of a key defines the object (``KINDS``): size, type, first bytes, and whether it
was uploaded in parts. All parts of such an upload exist. A staged object exists unless its parts must be joined first.
A ready object exists only after its ranges were joined, so every confirm of a smaller object copies again. Signatures,
dates and conditions are ignored.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import ClassVar, NamedTuple
from urllib.parse import parse_qs

from bench.store import ETAG, XML, response

MIB = 2**20
PART = 8 * MIB
PAGE = 1_000  # parts in one response of ListParts, unless the request has a smaller max-parts
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class Kind(NamedTuple):
    """The properties of all objects with one extension."""

    content_type: str
    size: int
    begins: bytes
    in_parts: bool = False


KINDS = {
    "mp3": Kind("audio/mpeg", 8_123_456, b"\xff\xfb\x90\x64".ljust(417, b"\x55") + b"\xff\xfb\x90\x64"),
    "mp4": Kind("video/mp4", 5 * 2**30 + 512 * MIB, b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x10moov\0\0\0\x08mvhd"),
    "flac": Kind(
        "audio/flac",
        8 * PART,
        b"fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42".ljust(42, b"\0") + b"\x81\0\0\0",
        in_parts=True,
    ),
    "wav": Kind(
        "audio/wav",
        10_000 * PART,
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\2\0\x44\xac\0\0".ljust(36, b"\4") + b"data",
        in_parts=True,
    ),
}


class S3Request(NamedTuple):
    """One request to the store. The names in ``fields`` are in lower case."""

    method: str
    key: str
    query: dict[str, list[str]]
    fields: dict[str, str]

    @classmethod
    def of(cls, method: str, target: str, fields: dict[str, str]) -> "S3Request":
        """Parse a path-style request; the name of the bucket is dropped."""
        path, _, query = target.partition("?")
        return cls(method, path.split("/", 2)[2] if path.count("/") > 1 else "", parse_qs(query, True), fields)

    @property
    def kind(self) -> Kind:
        """The kind of the object."""
        return KINDS.get(self.key.rpartition(".")[2], KINDS["mp3"])

    def operation(self) -> str:
        """Return the S3 name of the operation."""
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
    """An unfinished multipart upload: when it was initiated, and the size of each part that a copy created."""

    s3_upload_id: str
    initiated: str
    sizes: dict[int, int] = field(default_factory=dict)


class Objects:
    """The state of the store: unfinished uploads, joined objects, and the number of requests of each operation."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._open: dict[str, Open] = {}
        self._joined: set[str] = set()
        self._numbers = itertools.count(1)

    def response(self, request: S3Request, operation: str) -> bytes:
        """Return the response as bytes."""
        self.counts[operation] += 1
        return self._BY_OPERATION[operation](self, request)

    def _head(self, request: S3Request) -> bytes:
        if not self._is_there(request):
            return response("404 Not Found", XML)
        return response("200 OK", _object(request.kind.content_type), length=request.kind.size)

    def _get(self, request: S3Request) -> bytes:
        if not self._is_there(request):
            return _error("NoSuchKey")
        match = _RANGE.fullmatch(request.fields.get("range", "bytes=0-511"))
        count = int(match[2]) + 1 if match else 1
        ranged = {"Content-Range": f"bytes 0-{count - 1}/{request.kind.size}"}
        return response(
            "206 Partial Content",
            {**_object(request.kind.content_type), **ranged},
            request.kind.begins.ljust(count, b"\0"),
        )

    def _put(self, _request: S3Request) -> bytes:
        return response("200 OK", {"ETag": ETAG})

    def _copy(self, _request: S3Request) -> bytes:
        return _document("CopyObjectResult", f"<ETag>{ETAG}</ETag><LastModified>{_now()}</LastModified>")

    def _create(self, request: S3Request) -> bytes:
        made = Open(f"{next(self._numbers):032x}", _now())
        self._open[request.key] = made
        return _document("InitiateMultipartUploadResult", f"<UploadId>{made.s3_upload_id}</UploadId>")

    def _copy_part(self, request: S3Request) -> bytes:
        found, match = self._open.get(request.key), _RANGE.fullmatch(request.fields["x-amz-copy-source-range"])
        if found is None or match is None:
            return _error("NoSuchUpload")
        found.sizes[int(request.query["partNumber"][0])] = int(match[2]) - int(match[1]) + 1
        return _document("CopyPartResult", f"<ETag>{ETAG}</ETag><LastModified>{_now()}</LastModified>")

    def _list_parts(self, request: S3Request) -> bytes:
        found = self._open.get(request.key)
        if found is None:
            return _error("NoSuchUpload")
        marker, most = (int(request.query.get(name, ["0"])[0]) for name in ("part-number-marker", "max-parts"))
        page = min(most or PAGE, PAGE)
        if request.key.startswith("incoming/"):
            return _page_of_parts(request.kind.size // PART, marker, page)
        return _page_of_sizes(found.sizes, marker, page)

    def _list_open(self, request: S3Request) -> bytes:
        prefix = request.query["prefix"][0]
        listed = (
            f"<Upload><Key>{key}</Key><UploadId>{each.s3_upload_id}</UploadId><Initiated>{each.initiated}</Initiated></Upload>"
            for key, each in ([(prefix, self._open[prefix])] if prefix in self._open else ())
        )
        return _document("ListMultipartUploadsResult", "".join(listed) + "<IsTruncated>false</IsTruncated>")

    def _complete(self, request: S3Request) -> bytes:
        if self._open.pop(request.key, None) is None:
            return _error("NoSuchUpload")
        self._joined.add(request.key)
        return _document("CompleteMultipartUploadResult", f"<ETag>{ETAG}</ETag>")

    def _abort(self, request: S3Request) -> bytes:
        self._open.pop(request.key, None)
        return response("204 No Content", {})

    def _delete(self, request: S3Request) -> bytes:
        self._joined.discard(request.key)
        return response("204 No Content", {})

    def _is_there(self, request: S3Request) -> bool:
        return request.key in self._joined or (request.key.startswith("incoming/") and not request.kind.in_parts)

    _BY_OPERATION: ClassVar[Mapping[str, Callable[["Objects", S3Request], bytes]]] = {
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
    return response("200 OK", XML, f"<{name}>{inner}</{name}>".encode())


def _error(code: str) -> bytes:
    return response("404 Not Found", XML, f"<Error><Code>{code}</Code><Message>None.</Message></Error>".encode())


@cache
def _page_of_parts(count: int, marker: int, page: int) -> bytes:
    """Return one page of an upload whose ``count`` parts all exist."""
    return _page_of_sizes(dict.fromkeys(range(1, count + 1), PART), marker, page)


def _page_of_sizes(sizes: dict[int, int], marker: int, page: int) -> bytes:
    numbers = sorted(number for number in sizes if number > marker)
    listed = (
        f"<Part><PartNumber>{number}</PartNumber><LastModified>{_now()}</LastModified><ETag>{ETAG}</ETag>"
        f"<Size>{sizes[number]}</Size></Part>"
        for number in numbers[:page]
    )
    truncated = "true" if len(numbers) > page else "false"
    return _document("ListPartsResult", "".join(listed) + f"<IsTruncated>{truncated}</IsTruncated>")
