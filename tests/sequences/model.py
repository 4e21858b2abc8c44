"""The state of a sequence, and the outcomes of the next call that keep the promises."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.small_files import FRAME, mp3

DAY = 86_400
KINDS = ("first", "second", "html")
"""The bytes of an MP3, of another MP3, and of an HTML page, all of one size."""


def content(size: int, kind: str) -> bytes:
    """Return ``size`` bytes of this kind."""
    if kind == "html":
        return (b"<html>" * size)[:size]
    return mp3(size).replace(b"\xaa", b"\xbb" if kind == "second" else b"\xaa")


@dataclass(frozen=True, slots=True)
class File:
    """A declared file; its checksums are those of the bytes of the first kind."""

    name: str
    size: int
    checksums: tuple[str, ...] = ()
    in_parts: bool = False

    @property
    def promise(self) -> tuple[object, ...]:
        """The fields that decide which upload an Idempotency-Key names."""
        return self.name, self.size, self.checksums

    @property
    def bytes(self) -> bytes:
        """The declared bytes."""
        return content(self.size, "first")

    def declaration(self) -> dict[str, Any]:
        """Return the file as a request declares it."""
        digests = {name: hashlib.new(name, self.bytes).digest() for name in self.checksums}
        return {
            "filename": self.name,
            "contentType": "audio/mpeg",
            "size": self.size,
            **{name: base64.b64encode(digest).decode() for name, digest in digests.items()},
            "multipart": self.in_parts,
        }


@dataclass(slots=True, eq=False)
class Parts:
    """A multipart upload; ``is_gone`` after its completion or abort, ``None`` if unknown."""

    id: str
    part_size: int
    count: int
    stored: dict[int, bytes] = field(default_factory=dict)
    is_gone: bool | None = False

    @property
    def joined(self) -> bytes | None:
        """The whole object, if every part exists."""
        whole = len(self.stored) == self.count
        return b"".join(self.stored[number] for number in sorted(self.stored)) if whole else None

    def piece(self, whole: bytes, number: int) -> bytes:
        """Return the bytes of one part."""
        return whole[(number - 1) * self.part_size : number * self.part_size]


@dataclass(frozen=True, slots=True)
class SentUrl:
    """A signed PUT URL with the headers to send; ``number`` is the part number."""

    url: str
    headers: dict[str, str]
    expires_at: int
    parts: Parts | None = None
    number: int = 0


@dataclass(slots=True, eq=False)
class Upload:
    """One upload: the known state of the object with its key."""

    key: str
    owner: str
    file: File
    grants: list["Grant"] = field(default_factory=list)
    urls: list[SentUrl] = field(default_factory=list)
    staged: bytes | None = None
    ready: bytes | None = None
    is_deleted: bool = False
    has_tombstone: bool = False

    @property
    def id(self) -> str:
        """The UUID of the upload, which is in its key."""
        return self.key.removeprefix("media/").removesuffix(".mp3")

    @property
    def is_ready(self) -> bool:
        """Whether its object can be downloaded."""
        return self.ready is not None and not self.is_deleted

    def all_parts(self) -> Iterator[Parts]:
        """Yield its multipart uploads."""
        return (grant.parts for grant in self.grants if grant.parts)

    def mark_deleted(self) -> None:
        """Record its deletion."""
        self.is_deleted = self.has_tombstone = True
        self.staged = None
        for parts in self.all_parts():
            parts.is_gone = True

    def is_as_declared(self, body: bytes) -> bool:
        """Return whether bytes have the declared checksums."""
        return not self.file.checksums or body == self.file.bytes


@dataclass(slots=True, eq=False)
class Grant:
    """An upload id of a client."""

    id: str
    upload: Upload
    expires_at: int
    parts: Parts | None

    def is_expired(self, now: int) -> bool:
        """Return whether it is too late to confirm."""
        return now >= self.expires_at

    def next_staged(self) -> bytes | None:
        """Return the bytes that a confirm finds staged, or creates from the parts."""
        if self.upload.staged is None and self.parts and not self.parts.is_gone:
            return self.parts.joined
        return self.upload.staged

    def joins(self) -> None:
        """Record that a confirm completed the parts, if that was possible."""
        if self.upload.staged is None and self.parts and not self.parts.is_gone and self.parts.joined:
            self.upload.staged = self.parts.joined
            self.parts.is_gone = True


def may_confirm(grant: Grant, now: int, *, in_ranges: int, compares_sha256: bool) -> set[str]:
    """Return the possible outcomes of an allowed confirm; more than ``in_ranges`` bytes need several."""
    upload = grant.upload
    if upload.is_deleted:
        return {"upload_deleted" if upload.has_tombstone else "upload_expired"}
    if upload.ready is not None:
        return {"200"}
    if grant.is_expired(now):
        return {"upload_expired"}
    staged = grant.next_staged()
    if staged is None:
        return {"parts_missing" if grant.parts else "not_uploaded"}
    return _judged(upload, staged, in_ranges=in_ranges, compares_sha256=compares_sha256)


def _judged(upload: Upload, staged: bytes, *, in_ranges: int, compares_sha256: bool) -> set[str]:
    is_as_declared = upload.is_as_declared(staged)
    if "md5" in upload.file.checksums and not is_as_declared:
        return {"checksum_mismatch"}
    refusals = {"checksum_mismatch"} if compares_sha256 and not is_as_declared else set()
    if not staged.startswith(FRAME):
        return {"content_mismatch", *refusals}
    return {"200", *refusals} | ({"202"} if upload.file.size > in_ranges else set())


def may_look(grant: Grant, now: int) -> str:
    """Return the status of an upload, for an allowed caller."""
    upload = grant.upload
    if upload.is_deleted and upload.has_tombstone:
        return "deleted"
    if upload.is_ready:
        return "ready"
    if upload.is_deleted or grant.is_expired(now):
        return "expired"
    if upload.staged is not None:
        return "uploaded"
    return "uploading" if grant.parts and grant.parts.stored else "pending"


def may_put(upload: Upload, sent: SentUrl, body: bytes, now: int, *, checks: bool | None) -> set[int]:
    """Return the possible statuses of a PUT; ``checks`` as ``Backend.checks_checksums``."""
    whole = upload.file.bytes
    size = len(sent.parts.piece(whole, sent.number)) if sent.parts else len(whole)
    if now > sent.expires_at or len(body) != size:
        return {403}
    if sent.parts:
        return {200, 404} if sent.parts.is_gone is None else {404 if sent.parts.is_gone else 200}
    statuses = {412} if upload.staged is not None or upload.has_tombstone else {200}
    if checks is False or upload.is_as_declared(body):
        return statuses
    return {400} if checks else {400, *statuses}


def may_abort(upload: Upload) -> str:
    """Return the outcome of an allowed abort."""
    return "upload_confirmed" if upload.is_ready else "204"


def may_delete(upload: Upload) -> str:
    """Return the outcome of an allowed deletion of the object."""
    return "204" if upload.is_ready else "not_found"
