"""Whether the object that a client stored is the declared file. Pure: the store's answers in, refusal or object out."""

from broker.error_texts import Detail, shown
from broker.errors import (
    ChecksumMismatchError,
    ContentMismatchError,
    EncodingMismatchError,
    NotUploadedError,
    SizeMismatchError,
    TypeMismatchError,
)

from .media import canonical
from .model import Evidence, FileSpec, ObjectHead, StoredObject


def check(file: FileSpec, beginning: ObjectHead | None) -> StoredObject:
    """The staged object, if it is the declared file; else raises the refusal that names the difference."""
    if beginning is None:
        raise NotUploadedError(Detail.NOT_UPLOADED)
    staged, head = beginning
    if staged.content_encoding:
        raise EncodingMismatchError(Detail.CONTENT_ENCODING_STORED)
    if staged.size != file.size:
        raise SizeMismatchError(Detail.SIZE_MISMATCH.format(declared=file.size, stored=staged.size))
    if staged.content_type != file.content_type:
        stored = shown(staged.content_type)
        raise TypeMismatchError(Detail.TYPE_MISMATCH.format(declared=file.content_type, stored=stored))
    if file.md5 and staged.etag != file.md5.hex():
        raise ChecksumMismatchError(Detail.MD5_MISMATCH)
    if file.sha256 and staged.sha256 not in (None, file.sha256):
        raise ChecksumMismatchError(Detail.SHA256_MISMATCH)
    if not canonical(file.content_type).matches(head):
        raise ContentMismatchError(Detail.CONTENT_MISMATCH.format(declared=file.content_type))
    return staged


def evidence(file: FileSpec, staged: StoredObject, *, upload_counts: bool) -> Evidence | None:
    """What proves the declared SHA-256 of a checked object; ``None`` if nothing does, or none was declared.

    ``upload_counts``: the store is known to refuse a PUT of other bytes than those of the signed checksum.
    """
    if file.sha256 is None:
        return None
    if staged.sha256 is not None:
        return Evidence.STORE
    return Evidence.UPLOAD if upload_counts else None
