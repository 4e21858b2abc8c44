"""The comparison of a staged object with its declared file."""

from broker.errors import (
    ChecksumMismatchError,
    ContentMismatchError,
    EncodingMismatchError,
    NotUploadedError,
    SizeMismatchError,
    TypeMismatchError,
)

from .model import Evidence, FileSpec, ObjectHead, StoredObject


def check(file: FileSpec, head: ObjectHead | None) -> StoredObject:
    """Return the staged object if it is the declared file; else raise the error of the difference."""
    if head is None:
        raise NotUploadedError("Nothing was uploaded yet. Send the bytes to the upload's URL, then confirm.")
    staged, first_bytes = head
    if staged.content_encoding:
        raise EncodingMismatchError(
            "The object was stored with a Content-Encoding. "
            "Create a new upload and send the file's own bytes without that header."
        )
    if staged.size != file.size:
        raise SizeMismatchError(f"The stored object has {staged.size} bytes, but {file.size} were declared.")
    if staged.content_type != file.media_type.name:
        raise TypeMismatchError(f"The stored object's Content-Type is not the declared {file.media_type.name}.")
    if file.md5 and staged.etag != file.md5.hex():
        raise ChecksumMismatchError("The stored object's MD5 is not the declared one.")
    if file.sha256 and staged.sha256 not in (None, file.sha256):
        raise ChecksumMismatchError("The stored object's SHA-256 is not the declared one.")
    if not file.media_type.matches(first_bytes):
        raise ContentMismatchError(f"The first bytes of the stored object are not {file.media_type.name}.")
    return staged


def evidence(file: FileSpec, staged: StoredObject, *, upload_counts: bool) -> Evidence | None:
    """Return the evidence for the declared SHA-256 of a checked object; ``None`` without evidence or declaration.

    ``upload_counts`` states that the store refuses a PUT whose body does not have the signed checksum.
    """
    if file.sha256 is None:
        return None
    if staged.sha256 is not None:
        return Evidence.STORE
    return Evidence.UPLOAD if upload_counts else None
