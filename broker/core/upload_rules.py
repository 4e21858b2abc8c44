"""What may be uploaded and how, for how long a URL lives, and who may do what. Pure: rules in, decision out."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar

from msgspec import Struct

from broker.error_texts import Rule, shown
from broker.errors import BrokerError, Fault, InvalidRequestError, TooLargeError, UnsupportedTypeError, about

from .disposition import clean_name
from .limits import GIB, MIB, PUT_MAX
from .media import media_type
from .model import FileSpec, Principal
from .parts import PartPlan, plan

T = TypeVar("T")
Broken = list[tuple[type[BrokerError], Fault]]


class DownloadAccess(StrEnum):
    """Who may have a download link signed."""

    AUTHENTICATED = "authenticated"
    OWNER = "owner"
    SERVICE = "service"


DAY: Final = 86_400  # seconds

STORE_CONCURRENCY: Final = 64
"""Confirmations that one process works on at once, and as many other calls of the store, unless it is configured.

R2 documents no limit but for one object (developers.cloudflare.com/r2/platform/limits).
"""

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


@dataclass(frozen=True, slots=True)
class DownloadPolicy:
    """Rules of download links: who, the seconds a link lives at most, and the window in which links stay equal."""

    access: DownloadAccess = DownloadAccess.AUTHENTICATED
    url_lifetime: int = 3600
    window: int = 300


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
    media = media_type(declared.content_type)
    if media is None:
        rule = Rule.CONTENT_TYPE.format(received=shown(declared.content_type))
        broken.append((UnsupportedTypeError, Fault("/contentType", rule)))
    if declared.size < 1:
        broken.append((InvalidRequestError, Fault("/size", Rule.SIZE_MIN.format(received=shown(declared.size)))))
    elif declared.size > policy.max_bytes:
        rule = Rule.SIZE_MAX.format(limit=policy.max_bytes, received=shown(declared.size))
        broken.append((TooLargeError, Fault("/size", rule)))
    in_parts = _in_parts(declared, policy)
    if in_parts or declared.size > PUT_MAX:
        broken += [(InvalidRequestError, fault) for fault in _against_parts(declared, in_parts=in_parts)]
    sha256 = None if declared.sha256 is None else _checked(broken, "/sha256", digest, declared.sha256, 32)
    md5 = None if declared.md5 is None else _checked(broken, "/md5", digest, declared.md5, 16)
    if broken or name is None or media is None:
        return broken
    file = FileSpec(name, media.name, declared.size, sha256, md5)
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
        return [Fault("/multipart", Rule.MULTIPART_REQUIRED.format(limit=PUT_MAX))]
    checksums = {"/sha256": declared.sha256, "/md5": declared.md5}
    return [Fault(pointer, Rule.CHECKSUM_IN_PARTS) for pointer, value in checksums.items() if value is not None]


def digest(text: str, length: int) -> bytes:
    """The ``length`` bytes of a checksum written in hex or in base64; raises ``ValueError`` naming the rule."""
    try:
        data = bytes.fromhex(text) if len(text) == 2 * length else base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != length:
        raise ValueError(Rule.CHECKSUM.format(length=length))
    return data


def may_download(principal: Principal, access: DownloadAccess) -> bool | None:
    """Whether ``principal`` may have a link; ``None`` when that depends on the object's owner."""
    if principal.is_service or access is DownloadAccess.AUTHENTICATED:
        return True
    return None if access is DownloadAccess.OWNER else False
