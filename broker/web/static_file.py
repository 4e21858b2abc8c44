"""A static file in memory: its strong entity tags, its gzip representation, and conditional requests (RFC 9110).

Rules of this module
- The gzip representation is made once, at the start of the process: level 9, and no time in its header, so that all
  processes of a deployment have the same bytes and the same tags.
- A strong tag belongs to one sequence of bytes (section 8.8.3): the two representations have different tags.
- The response is always the whole file: ``Range`` is ignored, which section 14.2 allows.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TAG: Final = re.compile(r'(?:W/)?("[^"\x00-\x20\x7f]*")')
_WEIGHT: Final = re.compile(r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)


class StaticFile:
    """One file with the header fields of its responses. ``headers`` must not contain ``Vary`` and ``ETag``."""

    def __init__(self, content: bytes, media_type: str, headers: Mapping[str, str]) -> None:
        self._media_type = media_type
        self._plain = content, {**headers, "Vary": "Accept-Encoding", "ETag": _tag(content)}
        compressed = gzip.compress(content, mtime=0)
        encoded = {"Vary": "Accept-Encoding", "ETag": _tag(compressed), "Content-Encoding": "gzip"}
        self._gzip = (compressed, {**headers, **encoded}) if len(compressed) < len(content) else self._plain

    async def __call__(self, request: Request) -> Response:
        """Return the representation that the request accepts, or 304 if the client has it."""
        accepted = accepts_gzip(request.headers.getlist("accept-encoding"))
        content, headers = self._gzip if accepted else self._plain
        if is_current(headers["ETag"], request.headers.getlist("if-none-match")):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=self._media_type)


def accepts_gzip(fields: Iterable[str]) -> bool:
    """Return whether ``Accept-Encoding`` prefers gzip to no encoding (RFC 9110, section 12.5.3)."""
    weights: dict[str, float] = {}
    for item in ",".join(fields).lower().split(","):
        coding, semicolon, parameter = item.partition(";")
        weights[coding.strip()] = _weight(parameter) if semicolon else 1.0
    gzip_weight = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip_weight > 0 and gzip_weight >= weights.get("identity", 0.0)


def is_current(tag: str, fields: Iterable[str]) -> bool:
    """Return whether ``If-None-Match`` contains ``tag``, by the weak comparison of RFC 9110, section 13.1.2."""
    value = ",".join(fields).strip()
    return value == "*" or tag in _TAG.findall(value)


def _weight(parameter: str) -> float:
    """Return the weight of a coding; one that is not valid counts as 0."""
    match = _WEIGHT.fullmatch(parameter)
    return float(match[1]) if match else 0.0


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
