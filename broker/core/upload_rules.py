"""The rules for uploads: which files are accepted, in how many parts, and for how long their URLs are valid."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

from msgspec import Struct

from broker.error_texts import Rule, shown
from broker.errors import BrokerError, Fault, InvalidRequestError, TooLargeError, UnsupportedTypeError, about

from .disposition import clean_name
from .limits import GIB, MIB, PUT_MAX
from .media import ALL_TYPES, MediaType, essence_of, extension_of, grouped, resolve_media_type
from .model import FileSpec
from .parts import PartPlan, plan
from .refused_formats import remedy_for

T = TypeVar("T")

Refusals = list[tuple[type[BrokerError], Fault]]
"""The faults of declared files, each with the class of its error."""

DAY: Final = 86_400
"""Seconds of a day."""

IDEMPOTENCY_PERIOD: Final = DAY
"""Seconds for which an ``Idempotency-Key`` names the same upload."""


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """Limits of uploads.

    ``max_bytes`` is the largest file; files of more than ``multipart_threshold`` bytes are uploaded in parts. ``types``
    are the canonical names of the accepted media types.
    ``url_lifetime`` is the lifetime of a PUT URL, ``lifetime`` the time to confirm an upload, both in seconds.
    ``allows_unsized``: a client that cannot declare a size may leave it out; then only the confirm checks it.
    """

    max_bytes: int = 5 * GIB
    multipart_threshold: int = 16 * MIB
    url_lifetime: int = 900
    lifetime: int = DAY
    types: frozenset[str] = ALL_TYPES
    allows_unsized: bool = False

    def check_size(self, size: int) -> None:
        """Raise ``TooLargeError`` if a file of ``size`` bytes is over the limit."""
        if size > self.max_bytes:
            rule = Rule.SIZE_MAX.format(limit=self.max_bytes, received=shown(size))
            raise about(TooLargeError, Fault("/size", rule))

    @property
    def retention_days(self) -> int:
        """The least number of days for which the bucket's lifecycle rules must keep staged objects.

        A tombstone must outlive every upload id with its key. An upload id that is created at the end of an idempotency
        period is valid for another ``lifetime``. Two days more are a margin: the store removes objects once a day.
        """
        return -(-(self.lifetime + IDEMPOTENCY_PERIOD) // DAY) + 2


class Declaration(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """A file as the client declares it in JSON.

    ``multipart`` requests an upload in parts or in one PUT; ``None`` leaves the choice to the policy.
    """

    filename: str
    content_type: str
    size: int
    sha256: str | None = None
    md5: str | None = None
    multipart: bool | None = None


class Accepted(Struct, frozen=True):
    """An accepted file, to be uploaded in the planned parts, or in one PUT if ``parts`` is ``None``."""

    file: FileSpec
    parts: PartPlan | None


def accept(declared: Sequence[Declaration], policy: UploadPolicy, *, batch: bool) -> list[Accepted]:
    """Validate all files, and return them in canonical form.

    One invalid file refuses all. Raises the error of the broken rule with a fault for each invalid field; in a batch
    the pointers begin with ``/files/{index}``.
    """
    accepted: list[Accepted] = []
    refusals: Refusals = []
    for index, declaration in enumerate(declared):
        checked = _check(declaration, policy)
        if isinstance(checked, Accepted):
            accepted.append(checked)
        else:
            prefix = f"/files/{index}" if batch else ""
            refusals += [(kind, fault.under(prefix)) for kind, fault in checked]
    if refusals:
        _refuse(refusals)
    return accepted


def _refuse(refusals: Refusals) -> NoReturn:
    """Raise the error of all faults; faults of several classes raise ``InvalidRequestError``."""
    kinds = {kind for kind, _ in refusals}
    kind = kinds.pop() if len(kinds) == 1 else InvalidRequestError
    raise about(kind, *(fault for _, fault in refusals))


def _check(declared: Declaration, policy: UploadPolicy) -> Accepted | Refusals:
    refusals: Refusals = []
    filename = _apply(refusals, "/filename", clean_name, declared.filename)
    media = _media_type(refusals, declared.content_type, filename or "", policy)
    if declared.size < 1:
        refusals.append((InvalidRequestError, Fault("/size", Rule.SIZE_MIN.format(received=shown(declared.size)))))
    elif declared.size > policy.max_bytes:
        rule = Rule.SIZE_MAX.format(limit=policy.max_bytes, received=shown(declared.size))
        refusals.append((TooLargeError, Fault("/size", rule)))
    in_parts = _in_parts(declared, policy)
    if in_parts or declared.size > PUT_MAX:
        refusals += [(InvalidRequestError, fault) for fault in _multipart_faults(declared, in_parts=in_parts)]
    sha256 = None if declared.sha256 is None else _apply(refusals, "/sha256", digest, declared.sha256, 32)
    md5 = None if declared.md5 is None else _apply(refusals, "/md5", digest, declared.md5, 16)
    if refusals or filename is None or media is None:
        return refusals
    file = FileSpec(filename, media, declared.size, sha256, md5)
    return Accepted(file, plan(file.size) if in_parts else None)


def _media_type(refusals: Refusals, declared: str, filename: str, policy: UploadPolicy) -> MediaType | None:
    """Return the type of a file; without one, add the fault that names what was sent and what is accepted."""
    media = resolve_media_type(declared, filename, policy.types)
    if media is None:
        extension, accepted = extension_of(filename), grouped(policy.types)
        remedy, received = remedy_for(essence_of(declared), extension), shown(declared)
        rule = Rule.CONTENT_TYPE.format(accepted=accepted, received=received)
        if remedy:
            rule = Rule.CONTENT_TYPE_REFUSED.format(accepted=accepted, received=received, remedy=remedy)
        elif extension:
            rule = Rule.CONTENT_TYPE_UNNAMED.format(accepted=accepted, received=received, extension=shown(extension))
        refusals.append((UnsupportedTypeError, Fault("/contentType", rule)))
    return media


def _apply(refusals: Refusals, pointer: str, rule: Callable[..., T], *value: Any) -> T | None:
    try:
        return rule(*value)
    except ValueError as error:
        refusals.append((InvalidRequestError, Fault(pointer, str(error))))
        return None


def _in_parts(declared: Declaration, policy: UploadPolicy) -> bool:
    """Return whether the file is uploaded in parts. A store compares a checksum only with the body of one PUT."""
    if declared.multipart is not None:
        return declared.multipart
    has_checksum = declared.sha256 is not None or declared.md5 is not None
    return declared.size > (PUT_MAX if has_checksum else min(policy.multipart_threshold, PUT_MAX))


def _multipart_faults(declared: Declaration, *, in_parts: bool) -> list[Fault]:
    if not in_parts:
        return [Fault("/multipart", Rule.MULTIPART_REQUIRED.format(limit=PUT_MAX))]
    checksums = {"/sha256": declared.sha256, "/md5": declared.md5}
    return [Fault(pointer, Rule.CHECKSUM_IN_PARTS) for pointer, value in checksums.items() if value is not None]


def digest(text: str, length: int) -> bytes:
    """Decode a checksum of ``length`` bytes from hex or base64; raise ``ValueError`` with the rule."""
    try:
        data = bytes.fromhex(text) if len(text) == 2 * length else base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != length:
        raise ValueError(Rule.CHECKSUM.format(length=length))
    return data
