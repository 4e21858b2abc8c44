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
"""R2's answer to too many requests for one object."""


class Asked(NamedTuple):
    """A request: its method, and its path with bucket and key."""

    method: str
    path: str


Fits = Callable[[Asked], bool]


def of_object(name: str) -> Fits:
    """Match requests for objects whose keys contain ``name``, staged or ready."""
    return lambda asked: name in asked.path


def of_method(method: str) -> Fits:
    """Match requests of one method."""
    return lambda asked: asked.method == method


def of_one_in(count: int) -> Fits:
    """Match requests for one object in ``count``, always the same ones, staged and ready alike."""

    def fits(asked: Asked) -> bool:
        found = _ID.search(asked.path)
        return found is not None and zlib.crc32(found[0].encode()) % count == 0

    return fits


@dataclass(frozen=True, slots=True)
class Only(Fault):
    """``fault`` for the requests that fit, and ``otherwise`` for all others."""

    fits: Fits
    fault: Fault
    otherwise: Fault = NONE

    @property
    def keeps(self) -> bool:
        return self.fault.keeps

    def instead(self, request: bytes) -> bytes | None:
        return (self.fault if fitting(request, self.fits) else self.otherwise).instead(request)

    async def pass_back(self, data: bytes, writer: StreamWriter) -> bool:
        return await self.otherwise.pass_back(data, writer)


@dataclass(frozen=True, slots=True)
class Once(Fault):
    """``fault`` for each request that fits, once; the same method and path pass from then on."""

    fits: Fits
    fault: Fault
    met: set[Asked] = field(default_factory=set)

    def instead(self, request: bytes) -> bytes | None:
        asked = fitting(request, self.fits)
        if asked is None or asked in self.met:
            return None
        self.met.add(asked)
        return self.fault.instead(request)


class EmptyTag(Fault):
    """An empty ETag in the response to CompleteMultipartUpload. White space keeps the length."""

    async def pass_back(self, data: bytes, writer: StreamWriter) -> bool:
        if b"<CompleteMultipartUploadResult" in data:
            data = _TAG.sub(lambda found: b"<ETag></ETag>" + b" " * len(found[1]), data)
        return await Fault.pass_back(self, data, writer)


def fitting(data: bytes, fits: Fits) -> Asked | None:
    """Return the request that starts here, if it fits."""
    line = _LINE.match(data)
    if line is None:
        return None
    asked = Asked(line[1].decode(), line[2].decode())
    return asked if fits(asked) else None
