"""What may be uploaded and how, for how long a URL lives, and who may do what. Pure: rules in, decision out."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

from msgspec import Struct

from broker.errors import BrokerError, Fault, InvalidRequestError, TooLargeError, UnsupportedTypeError, about

from .disposition import clean_name
from .limits import GIB, MIB, PUT_MAX
from .media import parse_media_type
from .model import FileSpec
from .parts import PartPlan, plan

T = TypeVar("T")
Broken = list[tuple[type[BrokerError], Fault]]


DAY: Final = 86_400
"""Seconds."""

IDEMPOTENCY_PERIOD: Final = DAY
"""Seconds in which an ``Idempotency-Key`` names the same upload."""


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """Limits of uploads: bytes of a file, seconds a PUT URL lives, seconds until an upload must be confirmed.

    Files of more than ``multipart_threshold`` bytes are uploaded in parts.
    """

    max_bytes: int = 5 * GIB
    multipart_threshold: int = 64 * MIB
    url_lifetime: int = 900
    lifetime: int = DAY

    @property
    def retention_days(self) -> int:
        """Days for which the bucket's lifecycle rules must at least keep what is staged.

        A tombstone must outlive every upload id with its key: one that is created at the end of an idempotency period
        lives for ``lifetime`` more. A day beyond that is for the store, which removes objects once a day.
        """
        return -(-(self.lifetime + IDEMPOTENCY_PERIOD) // DAY) + 2


class Declaration(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What a client says of a file it wants to upload, as it comes over the wire.

    ``multipart`` is whether it wants to send parts; ``None`` leaves that to the policy.
    """

    filename: str
    content_type: str
    size: int
    sha256: str | None = None
    md5: str | None = None
    multipart: bool | None = None


class Accepted(Struct, frozen=True):
    """A file that may be uploaded: in the parts of ``parts``, or in one PUT when there is no plan."""

    file: FileSpec
    parts: PartPlan | None


def accept(declared: Sequence[Declaration], policy: UploadPolicy, *, batch: bool) -> list[Accepted]:
    """The canonical form of all files; one that breaks a rule refuses them all.

    Raises the refusal of the broken rule, naming each broken field, in a batch under ``/files/{index}``.
    """
    accepted: list[Accepted] = []
    refusals: list[tuple[type[BrokerError], Fault]] = []
    for index, declaration in enumerate(declared):
        judged = _judge(declaration, policy)
        if isinstance(judged, Accepted):
            accepted.append(judged)
        else:
            prefix = f"/files/{index}" if batch else ""
            refusals += [(kind, fault.under(prefix)) for kind, fault in judged]
    if refusals:
        _refuse(refusals)
    return accepted


def _refuse(refusals: Sequence[tuple[type[BrokerError], Fault]]) -> NoReturn:
    kinds = {kind for kind, _ in refusals}
    kind = kinds.pop() if len(kinds) == 1 else InvalidRequestError
    raise about(kind, *(fault for _, fault in refusals))


def _judge(declared: Declaration, policy: UploadPolicy) -> Accepted | Broken:
    broken: Broken = []
    name = _checked(broken, "/filename", clean_name, declared.filename)
    media = parse_media_type(declared.content_type)
    if media is None:
        broken.append((UnsupportedTypeError, Fault("/contentType", "must be an accepted audio, video or image type")))
    if declared.size < 1:
        broken.append((InvalidRequestError, Fault("/size", "must be at least 1 byte")))
    elif declared.size > policy.max_bytes:
        broken.append((TooLargeError, Fault("/size", f"must be at most {policy.max_bytes} bytes")))
    in_parts = _in_parts(declared, policy)
    if in_parts or declared.size > PUT_MAX:
        broken += [(InvalidRequestError, fault) for fault in _against_parts(declared, in_parts=in_parts)]
    sha256 = None if declared.sha256 is None else _checked(broken, "/sha256", digest, declared.sha256, 32)
    md5 = None if declared.md5 is None else _checked(broken, "/md5", digest, declared.md5, 16)
    if broken or name is None or media is None:
        return broken
    file = FileSpec(name, media, declared.size, sha256, md5)
    return Accepted(file, plan(file.size) if in_parts else None)


def _checked(broken: Broken, pointer: str, rule: Callable[..., T], *value: Any) -> T | None:
    try:
        return rule(*value)
    except ValueError as error:
        broken.append((InvalidRequestError, Fault(pointer, str(error))))
        return None


def _in_parts(declared: Declaration, policy: UploadPolicy) -> bool:
    """Whether the file comes in parts. A checksum wants one PUT, which is all that a store compares with it."""
    if declared.multipart is not None:
        return declared.multipart
    has_checksum = declared.sha256 is not None or declared.md5 is not None
    return declared.size > (PUT_MAX if has_checksum else min(policy.multipart_threshold, PUT_MAX))


def _against_parts(declared: Declaration, *, in_parts: bool) -> list[Fault]:
    if not in_parts:
        return [Fault("/multipart", f"must not be false for more than {PUT_MAX} bytes")]
    checksums = {"/sha256": declared.sha256, "/md5": declared.md5}
    return [
        Fault(pointer, "cannot be checked by the store of a file in parts; leave it out")
        for pointer, value in checksums.items()
        if value is not None
    ]


def digest(text: str, length: int) -> bytes:
    """The ``length`` bytes of a checksum written in hex or in base64; raises ``ValueError`` naming the rule."""
    try:
        data = bytes.fromhex(text) if len(text) == 2 * length else base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != length:
        raise ValueError(f"must be {length} bytes in base64 or hex")
    return data
