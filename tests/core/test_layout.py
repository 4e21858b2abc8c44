"""Where things are kept."""

from broker.core.layout import Layout
from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, ObjectRef, Upload

ID = "0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55"
UPLOAD = Upload(ID, "u", FileSpec("a", MEDIA_TYPE_BY_NAME["audio/flac"], 1), 0)
PRIVATE = Layout("songs", "inbox", "https://r2.example", None)
PUBLIC = Layout("songs", "inbox", "https://r2.example", "https://cdn.example")


def test_staged_and_ready_objects_are_in_their_own_buckets() -> None:
    assert PRIVATE.staged(UPLOAD) == ObjectRef("inbox", f"incoming/{ID}.flac")
    assert PRIVATE.ready(UPLOAD) == ObjectRef("songs", f"media/{ID}.flac")
    assert PRIVATE.object(f"media/{ID}.flac") == PRIVATE.ready(UPLOAD)
    assert PRIVATE.staged_twin(f"media/{ID}.flac") == PRIVATE.staged(UPLOAD)


def test_only_a_public_bucket_lets_shared_caches_keep_an_object() -> None:
    assert PRIVATE.cache_control() == "private, max-age=31536000, immutable"
    assert PUBLIC.cache_control() == "public, max-age=31536000, immutable"


def test_urls_and_keys_lead_to_each_other() -> None:
    key = f"media/{ID}.flac"
    assert PUBLIC.url(key) == f"https://cdn.example/{key}"
    assert PUBLIC.key_in(f"https://cdn.example/{key}") == key
    assert PRIVATE.key_in(f"https://r2.example/songs/{key}") == key
    assert PRIVATE.key_in(f"https://songs.r2.example/{key}") == key
    assert PRIVATE.key_in(f"https://r2.example/inbox/{key}") is None
