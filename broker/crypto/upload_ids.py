"""Upload ids: the facts of an upload that later requests need, sealed so that no other party can make or change one.

Rules of this module
- An upload id is base64url(tag | payload): HMAC-SHA-256, cut to 16 bytes, of a MessagePack array. It is not
  encrypted: its holder is the owner of the upload, and the presigned URL has the same key in it.
- The first secret seals and all secrets open, so that a rotation of secrets loses no upload.
- The last secret derives the UUIDs of retried creates: a retry after ``old`` became ``new,old`` has the same UUID.
- An upload id that does not open gives ``None``. The cause is not reported.
"""

import hmac
import uuid
from collections.abc import Sequence

import msgspec

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, Multipart, Upload
from broker.core.upload_rules import IDEMPOTENCY_PERIOD

from .hmac_sha256 import HmacSha256
from .secrets import b64url, b64url_decode, derive

UPLOAD_ID_MAX = 4096
"""Maximum length of an upload id in characters; a file name and an owner of the maximum length fit into it."""

_TAG_SIZE = 16
"""Bytes of the HMAC that are kept."""


class _Payload(msgspec.Struct, array_like=True, frozen=True):
    """The array on the wire. New members go to the end and have a default, so that old upload ids still open."""

    uuid: bytes
    owner: str
    filename: str
    content_type: str
    size: int
    expires_at: int
    sha256: bytes | None = None
    md5: bytes | None = None
    s3_upload_id: str | None = None
    part_size: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Payload).decode


class UploadIds:
    """The upload ids of one deployment, and the UUIDs of retried creates."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        # Another label would end all open uploads
        self._macs = [HmacSha256(derive(secret, "upload ticket v1")) for secret in secrets]
        self._idempotency = HmacSha256(derive(secrets[-1], "idempotency key v1"))

    def seal(self, upload: Upload) -> str:
        """Return the upload id of ``upload``."""
        file, multipart = upload.file, upload.multipart
        payload = _encode(
            _Payload(
                bytes.fromhex(upload.uuid.replace("-", "")),
                upload.owner,
                file.filename,
                file.media_type.name,
                file.size,
                upload.expires_at,
                file.sha256,
                file.md5,
                *((multipart.s3_upload_id, multipart.part_size) if multipart else ()),
            )
        )
        return b64url(self._macs[0].digest(payload)[:_TAG_SIZE] + payload)

    def open(self, upload_id: str) -> Upload | None:
        """Return the upload of ``upload_id``, expired or not; ``None`` unless one of the secrets sealed it."""
        if len(upload_id) > UPLOAD_ID_MAX:
            return None
        try:
            data = b64url_decode(upload_id)
        except ValueError:
            return None
        tag, payload = data[:_TAG_SIZE], data[_TAG_SIZE:]
        if not any(hmac.compare_digest(tag, mac.digest(payload)[:_TAG_SIZE]) for mac in self._macs):
            return None
        return _upload(_decode(payload))

    def derived_uuid(self, owner: str, idempotency_key: str, index: int, file: FileSpec, *, now: int) -> str:
        """Return the UUID of the ``index``-th file of a create with this ``Idempotency-Key`` within one period.

        The file is part of it, so that a key which is used again for another file gives another UUID. The period
        of each owner and key starts at an instant that a hash chooses: at a common instant, such as midnight, all
        retries would fall into two periods.
        """
        shift = int.from_bytes(self._digest((owner, idempotency_key))[:8], "big") % IDEMPOTENCY_PERIOD
        period = (now + shift) // IDEMPOTENCY_PERIOD
        members = {
            "filename": file.filename,
            "content_type": file.media_type.name,
            "size": file.size,
            "sha256": file.sha256,
            "md5": file.md5,
        }
        return str(uuid.UUID(bytes=self._digest((owner, idempotency_key, index, members, period))[:16], version=4))

    def _digest(self, name: tuple[object, ...]) -> bytes:
        return self._idempotency.digest(_encode(name))


def _upload(payload: _Payload) -> Upload | None:
    media = MEDIA_TYPE_BY_NAME.get(payload.content_type)
    if media is None:  # a release of the broker accepted it that this one does not follow
        return None
    file = FileSpec(payload.filename, media, payload.size, payload.sha256, payload.md5)
    multipart = Multipart(payload.s3_upload_id, payload.part_size) if payload.s3_upload_id else None
    return Upload(str(uuid.UUID(bytes=payload.uuid)), payload.owner, file, payload.expires_at, multipart)
