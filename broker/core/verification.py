"""Whether the object that a client stored is the declared file. Pure: the store's answers in, refusal or object out."""

from broker.errors import (
    ChecksumMismatchError,
    ContentMismatchError,
    EncodingMismatchError,
    NotUploadedError,
    SizeMismatchError,
    TypeMismatchError,
)

from .model import Evidence, FileSpec, ObjectHead, StoredObject


def check(file: FileSpec, beginning: ObjectHead | None) -> StoredObject:
    """The staged object, if it is the declared file; else raises the refusal that names the difference."""
    if beginning is None:
        raise NotUploadedError("Nothing was uploaded yet. Send the bytes to the upload's URL, then confirm.")
    staged, head = beginning
    if staged.content_encoding:
        raise EncodingMismatchError(
            "The object was stored with a Content-Encoding. "
            "Create a new upload and send the file's own bytes without that header."
        )
    if staged.size != file.size:
        raise SizeMismatchError(f"{file.size} bytes were promised and {staged.size} are stored.")
    if staged.content_type != file.media_type.name:
        raise TypeMismatchError(f"{file.media_type.name} was promised and another type is stored.")
    if file.md5 and staged.etag != file.md5.hex():
        raise ChecksumMismatchError("The stored object's MD5 is not the promised one.")
    if file.sha256 and staged.sha256 not in (None, file.sha256):
        raise ChecksumMismatchError("The stored object's SHA-256 is not the promised one.")
    if not file.media_type.matches(head):
        raise ContentMismatchError(f"The stored bytes do not begin as {file.media_type.name} does.")
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
