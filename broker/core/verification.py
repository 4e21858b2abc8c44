"""The comparison of a staged object with its declared file."""

from broker.error_texts import Detail, shown
from broker.errors import (
    ChecksumMismatchError,
    ContentMismatchError,
    EncodingMismatchError,
    NotUploadedError,
    SizeMismatchError,
    TypeMismatchError,
)

from .media import MediaType, format_of
from .model import Content, Evidence, FileSpec, ObjectHead, StoredObject


def check(file: FileSpec, head: ObjectHead | None, content: Content | None = None) -> StoredObject:
    """Return the staged object if it is the declared file; else raise the error of the difference.

    ``content`` was read if a long tag precedes the content.
    """
    if head is None:
        raise NotUploadedError(Detail.NOT_UPLOADED)
    staged, first_bytes = head
    if staged.content_encoding:
        raise EncodingMismatchError(Detail.CONTENT_ENCODING_STORED)
    if staged.size != file.size:
        raise SizeMismatchError(Detail.SIZE_MISMATCH.format(declared=file.size, stored=staged.size))
    declared = file.media_type.name
    if staged.content_type != declared:
        raise TypeMismatchError(Detail.TYPE_MISMATCH.format(declared=declared, stored=shown(staged.content_type)))
    if file.md5 and staged.etag != file.md5.hex():
        raise ChecksumMismatchError(Detail.MD5_MISMATCH)
    if file.sha256 and staged.sha256 not in (None, file.sha256):
        raise ChecksumMismatchError(Detail.SHA256_MISMATCH)
    offset, start = content or Content(0, first_bytes)
    if not file.media_type.matches(start, staged.size - offset):
        raise _content_mismatch(file.media_type, format_of(start, staged.size - offset))
    return staged


def _content_mismatch(declared: MediaType, found: str) -> ContentMismatchError:
    """Return the error that names the format of the bytes, if it is known and not the declared one."""
    if found and found != declared.label:
        return ContentMismatchError(Detail.CONTENT_MISMATCH.format(declared=declared.name, found=found))
    return ContentMismatchError(Detail.CONTENT_INVALID.format(declared=declared.name))


def evidence(file: FileSpec, staged: StoredObject, *, upload_counts: bool) -> Evidence | None:
    """Return the evidence for the declared SHA-256 of a checked object; ``None`` without evidence or declaration.

    ``upload_counts`` states that the store refuses a PUT whose body does not have the signed checksum.
    """
    if file.sha256 is None:
        return None
    if staged.sha256 is not None:
        return Evidence.STORE
    return Evidence.UPLOAD if upload_counts else None
