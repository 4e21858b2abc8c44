"""Whether what a client stored is what it promised. Pure: what the store says in, refusal or object out."""

from broker.errors import (
    ChecksumMismatchError,
    ContentMismatchError,
    NotUploadedError,
    SizeMismatchError,
    TypeMismatchError,
)

from .media import canonical
from .model import Beginning, FileSpec, StoredObject


def check(file: FileSpec, beginning: Beginning | None) -> StoredObject:
    """The staged object, when it is what was promised; else raises what is wrong with it."""
    if beginning is None:
        raise NotUploadedError("Nothing was uploaded yet. Send the bytes to the upload's URL, then confirm.")
    staged, head = beginning
    if staged.size != file.size:
        raise SizeMismatchError(f"{file.size} bytes were promised and {staged.size} are stored.")
    if staged.content_type != file.content_type:
        raise TypeMismatchError(f"{file.content_type} was promised and another type is stored.")
    if file.md5 and staged.etag != file.md5.hex():
        raise ChecksumMismatchError("The stored object's MD5 is not the promised one.")
    if not canonical(file.content_type).begins(head):
        raise ContentMismatchError(f"The stored bytes do not begin as {file.content_type} does.")
    return staged
