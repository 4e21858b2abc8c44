"""What may be uploaded, for how long a URL lives, and who may do what. Pure: rules in, decision out.

The limits that are R2's own stand here with their page; a deployment may only narrow them.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, TypeVar

from broker.errors import BrokerError, Fault, InvalidRequestError, TooLargeError, UnsupportedTypeError, about

from .disposition import clean_name
from .media import media_type
from .model import FileSpec, Principal

T = TypeVar("T")

SINGLE_PUT_MAX = 5 * 2**30 - 5 * 2**20
"""Bytes one PutObject may carry (developers.cloudflare.com/r2/platform/limits)."""


class DownloadAccess(StrEnum):
    """Who may have a download link signed."""

    AUTHENTICATED = "authenticated"
    OWNER = "owner"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """Limits of uploads: bytes of a file, seconds a PUT URL lives, seconds until an upload must be confirmed."""

    max_bytes: int = SINGLE_PUT_MAX
    url_lifetime: int = 900
    lifetime: int = 86_400


@dataclass(frozen=True, slots=True)
class DownloadPolicy:
    """Rules of download links: who, the seconds a link lives at most, and the window in which links stay equal."""

    access: DownloadAccess = DownloadAccess.AUTHENTICATED
    url_lifetime: int = 3600
    window: int = 300


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a client says of a file it wants to upload, as it came over the wire."""

    filename: str
    content_type: str
    size: int
    sha256: str | None = None
    md5: str | None = None


def accept(declared: Sequence[Declaration], policy: UploadPolicy, *, batch: bool) -> list[FileSpec]:
    """The canonical form of all files; one that breaks a rule refuses them all.

    Raises the refusal of the broken rule, naming each broken field, in a batch under ``/files/{index}``.
    """
    specs: list[FileSpec] = []
    refusals: list[tuple[type[BrokerError], Fault]] = []
    for index, declaration in enumerate(declared):
        prefix = f"/files/{index}" if batch else ""
        judged = _judge(declaration, policy)
        if isinstance(judged, FileSpec):
            specs.append(judged)
        else:
            refusals += [(kind, fault.under(prefix)) for kind, fault in judged]
    if refusals:
        _refuse(refusals)
    return specs


def _refuse(refusals: Sequence[tuple[type[BrokerError], Fault]]) -> NoReturn:
    kinds = {kind for kind, _ in refusals}
    kind = kinds.pop() if len(kinds) == 1 else InvalidRequestError
    raise about(kind, *(fault for _, fault in refusals))


def _judge(declared: Declaration, policy: UploadPolicy) -> FileSpec | list[tuple[type[BrokerError], Fault]]:
    broken: list[tuple[type[BrokerError], Fault]] = []

    def checked(pointer: str, rule: Callable[[], T]) -> T | None:
        try:
            return rule()
        except ValueError as error:
            broken.append((InvalidRequestError, Fault(pointer, str(error))))
            return None

    name = checked("/filename", lambda: clean_name(declared.filename))
    media = media_type(declared.content_type)
    if media is None:
        broken.append((UnsupportedTypeError, Fault("/contentType", "must be an accepted audio, video or image type")))
    if declared.size < 1:
        broken.append((InvalidRequestError, Fault("/size", "must be at least 1 byte")))
    elif declared.size > policy.max_bytes:
        broken.append((TooLargeError, Fault("/size", f"must be at most {policy.max_bytes} bytes")))
    sha256 = checked("/sha256", lambda: digest(declared.sha256, 32))
    md5 = checked("/md5", lambda: digest(declared.md5, 16))
    if broken or name is None or media is None:
        return broken
    return FileSpec(name, media.name, declared.size, sha256, md5)


def digest(text: str | None, length: int) -> bytes | None:
    """The ``length`` bytes of a checksum written in hex or in base64; raises ``ValueError`` naming the rule."""
    if text is None:
        return None
    try:
        data = bytes.fromhex(text) if len(text) == 2 * length else base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != length:
        raise ValueError(f"must be {length} bytes in base64 or hex")
    return data


def may_download(principal: Principal, access: DownloadAccess) -> bool | None:
    """Whether ``principal`` may have a link; ``None`` when that depends on the object's owner."""
    if principal.is_service or access is DownloadAccess.AUTHENTICATED:
        return True
    return None if access is DownloadAccess.OWNER else False
