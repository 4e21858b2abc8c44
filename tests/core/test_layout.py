"""The buckets, keys and URLs of a deployment."""

from broker.core.layout import Layout
from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, ObjectRef, Upload

ID = "0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55"
UPLOAD = Upload(ID, "u", FileSpec("a", MEDIA_TYPE_BY_NAME["audio/flac"], 1), 0)
PRIVATE = Layout("songs", "inbox", "https://r2.example", None)
PUBLIC = Layout("songs", "inbox", "https://r2.example", "https://cdn.example")


def test_buckets() -> None:
    """Staged objects are in the staging bucket, ready objects in the bucket."""
    assert PRIVATE.staged(UPLOAD) == ObjectRef("inbox", f"incoming/{ID}.flac")
    assert PRIVATE.ready(UPLOAD) == ObjectRef("songs", f"media/{ID}.flac")
    assert PRIVATE.object(f"media/{ID}.flac") == PRIVATE.ready(UPLOAD)
    assert PRIVATE.staged_twin(f"media/{ID}.flac") == PRIVATE.staged(UPLOAD)


def test_cache_control() -> None:
    """Shared caches may store objects of a public bucket only."""
    assert PRIVATE.cache_control() == "private, max-age=31536000, immutable"
    assert PUBLIC.cache_control() == "public, max-age=31536000, immutable"


def test_urls_and_keys() -> None:
    """A key has a URL in a public bucket, and every URL of the deployment has its key."""
    key = f"media/{ID}.flac"
    assert PUBLIC.url(key) == f"https://cdn.example/{key}"
    assert PUBLIC.key_in(f"https://cdn.example/{key}") == key
    assert PRIVATE.key_in(f"https://r2.example/songs/{key}") == key
    assert PRIVATE.key_in(f"https://songs.r2.example/{key}") == key
    assert PRIVATE.key_in(f"https://r2.example/inbox/{key}") is None
