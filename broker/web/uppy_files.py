"""Files as Uppy declares them: a name, a type and the metadata that the application chose.

Rules of this module
- The metadata may have ``size`` in bytes, ``sha256``, ``md5`` and ``partSize``; other members are ignored.
- Uppy 4 and 5 send all metadata as strings, and a query has nothing else. The words ``undefined`` and ``null`` stand
  for a value that the page does not have.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from starlette.requests import Request

from broker.error_texts import Rule
from broker.errors import Fault, InvalidRequestError, TooLargeError, UnsupportedTypeError, about
from broker.service.companion import WantedFile

from .query import invalid

DIGITS: Final = re.compile(r"[0-9]{1,16}", re.ASCII)
"""Matches a number in a string."""

_MISSING: Final = ("", "undefined", "null")
_METADATA: Final = re.compile(r"metadata\[(.*)\]", re.DOTALL)
_POINTERS: Final = {
    "/contentType": "/type",
    "/size": "/metadata/size",
    "/partSize": "/metadata/partSize",
    "/sha256": "/metadata/sha256",
    "/md5": "/metadata/md5",
}


def wanted_file(filename: str, kind: str | None, metadata: Mapping[str, Any], *, in_parts: bool) -> WantedFile:
    """Return a declared file; raise ``InvalidRequestError`` for metadata of a wrong type."""
    return WantedFile(
        filename=filename,
        content_type="" if kind in _MISSING else kind or "",
        size=_integer("size", metadata.get("size")),
        part_size=_integer("partSize", metadata.get("partSize")),
        sha256=_digest("sha256", metadata.get("sha256"), 32),
        md5=_digest("md5", metadata.get("md5"), 16),
        in_parts=in_parts,
        size_rule=Rule.UPPY_SIZE.format(),
    )


def file_of_query(request: Request) -> WantedFile:
    """Return the file that a query declares, which is sent as a whole."""
    given: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        match = _METADATA.fullmatch(name)
        if not match and name not in ("filename", "type"):
            raise invalid("query", Rule.PARAMETERS_UNKNOWN.format(known="filename, type, metadata"))
        target, member, field = (metadata, match[1], "metadata") if match else (given, name, name)
        if member in target:
            raise invalid(field, Rule.PARAMETER_REPEATED)
        if "\ufffd" in name + value:  # the decoder's replacement for bytes that are not UTF-8
            raise invalid(field, Rule.PARAMETER_UTF_8)
        target[member] = value
    if "filename" not in given:
        raise invalid("filename", Rule.REQUIRED)
    return wanted_file(given["filename"], given.get("type"), metadata, in_parts=False)


@contextmanager
def fields_named(pointers: Mapping[str, str] = _POINTERS, prefix: str = "") -> Iterator[None]:
    """Name the fields of an invalid file in an error as the request names them."""
    try:
        yield
    except (InvalidRequestError, TooLargeError, UnsupportedTypeError) as error:
        faults = [Fault(prefix + pointers.get(fault.pointer, fault.pointer), fault.detail) for fault in error.faults]
        raise about(type(error), *faults) from None


def _integer(name: str, value: Any) -> int | None:
    """Return a number of the metadata; ``None`` if it is missing."""
    if value is None or value in _MISSING:
        return None
    if isinstance(value, str) and DIGITS.fullmatch(value):
        return int(value)
    if type(value) is int:  # a bool is an int, too
        return value
    raise invalid(f"metadata/{name}", Rule.INTEGER_TEXT)


def _digest(name: str, value: Any, length: int) -> str | None:
    """Return a checksum of the metadata as it was sent; ``None`` if it is missing."""
    if value is None or value in _MISSING:
        return None
    if not isinstance(value, str):
        raise invalid(f"metadata/{name}", Rule.CHECKSUM.format(length=length))
    return value
