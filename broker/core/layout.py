"""The buckets and keys of staged and ready objects, and their URLs."""

from dataclasses import dataclass
from urllib.parse import quote

from . import object_keys
from .model import ObjectRef, Upload

CACHE_FOREVER = "max-age=31536000, immutable"
"""Directives of Cache-Control for an object that never changes: one year, no revalidation (RFC 8246)."""

JAMSYNC_CACHE = "public, max-age=31536000"
"""Cache-Control of the objects that JamSync's endpoints store in a public bucket."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The buckets of a deployment. ``public_url`` is the base URL of a public bucket, ``None`` for a private one."""

    bucket: str
    staging_bucket: str
    endpoint: str
    public_url: str | None

    def staged(self, upload: Upload) -> ObjectRef:
        """Return the location of the staged object, which the client writes."""
        return ObjectRef(self.staging_bucket, object_keys.staging_key(upload.uuid, upload.file.media_type.extension))

    def ready(self, upload: Upload) -> ObjectRef:
        """Return the location of the ready object, which exists once the upload is confirmed."""
        return ObjectRef(self.bucket, object_keys.ready_key(upload.uuid, upload.file.media_type.extension))

    def object(self, key: str) -> ObjectRef:
        """Return the location of the ready object with this key."""
        return ObjectRef(self.bucket, key)

    def staged_twin(self, key: str) -> ObjectRef:
        """Return the location of the staged object from which the ready object ``key`` was copied."""
        return ObjectRef(self.staging_bucket, object_keys.staged_twin(key))

    def url(self, key: str) -> str | None:
        """Return the public URL of a ready object; ``None`` in a private bucket."""
        return object_keys.public_url(self.public_url, key)

    def key_in(self, url: str) -> str | None:
        """Return the ready key in a URL of this deployment; ``None`` for other URLs."""
        return object_keys.key_from_url(url, endpoint=self.endpoint, bucket=self.bucket, public_base=self.public_url)

    def ready_headers(self, upload: Upload) -> dict[str, str]:
        """Return the header fields with which a ready object is stored."""
        return {
            "content-type": upload.file.media_type.name,
            "cache-control": self.cache_control(),
            "x-amz-meta-owner": quote(upload.owner, safe=""),
            "x-amz-meta-filename": quote(upload.file.filename, safe=""),
        }

    def cache_control(self) -> str:
        """Return the Cache-Control of ready objects, which never change."""
        return f"{'public' if self.public_url else 'private'}, {CACHE_FOREVER}"
