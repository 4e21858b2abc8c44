"""Which buckets hold what: where an upload is staged, and where it is ready."""

from dataclasses import dataclass

from . import object_keys
from .model import ObjectRef, Upload

CACHE_FOREVER = "max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Layout:
    """A deployment's buckets. ``public_url`` is the base URL of a public bucket, ``None`` for a private one."""

    bucket: str
    staging_bucket: str
    endpoint: str
    public_url: str | None

    def staged(self, upload: Upload) -> ObjectRef:
        """Where the client writes."""
        return ObjectRef(self.staging_bucket, object_keys.staging_key(upload.uuid, upload.file.media_type.extension))

    def ready(self, upload: Upload) -> ObjectRef:
        """Where the object is once it is confirmed."""
        return ObjectRef(self.bucket, object_keys.ready_key(upload.uuid, upload.file.media_type.extension))

    def object(self, key: str) -> ObjectRef:
        """A ready object by its key."""
        return ObjectRef(self.bucket, key)

    def staged_twin(self, key: str) -> ObjectRef:
        """Where the ready object ``key`` was uploaded to."""
        return ObjectRef(self.staging_bucket, object_keys.staged_twin(key))

    def url(self, key: str) -> str | None:
        """The public URL of a ready object."""
        return object_keys.public_url(self.public_url, key)

    def key_in(self, url: str) -> str | None:
        """The ready key that a URL of this deployment holds."""
        return object_keys.key_from_url(url, endpoint=self.endpoint, bucket=self.bucket, public_base=self.public_url)

    def cache_control(self) -> str:
        """What caches may do with a ready object: its key never means other bytes."""
        return f"{'public' if self.public_url else 'private'}, {CACHE_FOREVER}"
