"""Faults of some requests only: of one object, of one method, or of each request once."""

import re
import zlib
from asyncio import StreamWriter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from .standing import NONE, Fault, s3_error

_LINE = re.compile(rb"([A-Z]+) (/[^ ?]*)[^ ]* HTTP/1\.1\r\n")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TAG = re.compile(rb"<ETag>([^<]*)</ETag>")

THROTTLED = s3_error(
    429, "ServiceUnavailable", "Reduce your concurrent request rate for the same object.", ("Retry-After: 5",)
)
"""R2's response to too many requests for one object."""


class Request(NamedTuple):
    """A request: its method, and its path with bucket and key."""

    method: str
    path: str


Fits = Callable[[Request], bool]


def of_object(name: str) -> Fits:
    """Match requests for objects whose keys contain ``name``, staged or ready."""
    return lambda request: name in request.path


def of_method(method: str) -> Fits:
    """Match requests of one method."""
    return lambda request: request.method == method


def of_one_in(count: int) -> Fits:
    """Match requests for one object in ``count``, always the same ones, staged and ready alike."""

    def fits(request: Request) -> bool:
        found = _ID.search(request.path)
        return found is not None and zlib.crc32(found[0].encode()) % count == 0

    return fits


@dataclass(frozen=True, slots=True)
class Only(Fault):
    """``fault`` for the requests that fit, and ``otherwise`` for all others."""

    fits: Fits
    fault: Fault
    otherwise: Fault = NONE

    @property
    def keeps_connection(self) -> bool:
        return self.fault.keeps_connection

    def replacement(self, request: bytes) -> bytes | None:
        return (self.fault if fitting(request, self.fits) else self.otherwise).replacement(request)

    async def forward(self, data: bytes, writer: StreamWriter) -> bool:
        return await self.otherwise.forward(data, writer)


@dataclass(frozen=True, slots=True)
class Once(Fault):
    """``fault`` for each request that fits, once; the same method and path pass from then on."""

    fits: Fits
    fault: Fault
    met: set[Request] = field(default_factory=set)

    def replacement(self, request: bytes) -> bytes | None:
        found = fitting(request, self.fits)
        if found is None or found in self.met:
            return None
        self.met.add(found)
        return self.fault.replacement(request)


class EmptyTag(Fault):
    """An empty ETag in the response to CompleteMultipartUpload. White space keeps the length."""

    async def forward(self, data: bytes, writer: StreamWriter) -> bool:
        if b"<CompleteMultipartUploadResult" in data:
            data = _TAG.sub(lambda found: b"<ETag></ETag>" + b" " * len(found[1]), data)
        return await Fault.forward(self, data, writer)


def fitting(data: bytes, fits: Fits) -> Request | None:
    """Return the request that starts here, if it fits."""
    line = _LINE.match(data)
    if line is None:
        return None
    request = Request(line[1].decode(), line[2].decode())
    return request if fits(request) else None
