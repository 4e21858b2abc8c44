"""What JamSync's clients read: the documents of stored files, and the titles of refusals."""

from http import HTTPStatus

from msgspec import Struct

from broker.error_codes import Code
from broker.error_texts import Detail
from broker.errors import BrokerError, UnauthenticatedError
from broker.service.proxied_uploads import StoredMedia


class UploadedMedia(Struct, rename="camel", frozen=True):
    """A stored file. ``filename`` is the last segment of its key, and ``is_media`` is true of audio and video."""

    url: str | None
    key: str
    filename: str
    mimetype: str
    size: int
    is_media: bool


class UploadedMediaBatch(Struct, rename="camel", frozen=True):
    """The stored files of a batch, in the order of the form."""

    files: list[UploadedMedia]
    count: int


class NoFileError(BrokerError):
    """The form has no file in the field ``field``."""

    code, status, title = Code.INVALID_REQUEST, HTTPStatus.BAD_REQUEST, "No file uploaded"

    def __init__(self, field: str) -> None:
        super().__init__(Detail.NO_FILE.format(field=field))


class NoFilesError(NoFileError):
    """The form of a batch has no file in the field ``field``."""

    title = "No files uploaded"


class NoTokenError(UnauthenticatedError):
    """The request has no Authorization field."""

    title = "No token provided"


class InvalidTokenError(UnauthenticatedError):
    """The request has no valid token."""

    title = "Invalid token"


def uploaded_media(stored: StoredMedia) -> UploadedMedia:
    """Represent a stored file."""
    name, media_type = stored.key.rpartition("/")[2], stored.media_type.name
    is_media = media_type.startswith(("audio/", "video/"))
    return UploadedMedia(stored.url, stored.key, name, media_type, stored.size, is_media)
