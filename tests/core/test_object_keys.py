"""The grammar of object keys, and keys in URLs."""

import uuid
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core import object_keys

ID = "0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55"
KEY = f"media/{ID}.mp3"


def key_in(url: str, public_base: str | None = "https://cdn.example/files") -> str | None:
    """Return the key in a URL of one deployment."""
    return object_keys.key_from_url(url, endpoint="https://acc.r2.example", bucket="songs", public_base=public_base)


def test_staged_twin() -> None:
    """The staged key of a ready key is that of the same upload."""
    assert object_keys.staged_twin(object_keys.ready_key(ID, "mp3")) == object_keys.staging_key(ID, "mp3")


OLD_KEYS = [
    f"media/{ID}.{rest}"
    for rest in (
        *("MP3", "xyz9", "", "m-3", "mp3?x", "mp٣", "x" * 17, "x" * 981, "é" * 490),
        *(
            "my song",
            "Mein schönes Lied",
            "mein lied mit e\u0301",
            " mp3 ",
            "🎵",
            "曲",
            "Ma musique (finale)",
            "a\u200d",
        ),
        *("100%", "%2F", "a+b&c=d", "#1", "?", "~", "'\"<>&", "mp3;v=1", "a:b", "*", "\x7e"),
    )
]
"""Keys of JamSync: a UUID, and what followed the last dot of a file name, or the whole name without a dot."""


@pytest.mark.parametrize("text", [KEY, *OLD_KEYS])
def test_ready_keys(text: str) -> None:
    """A ready key may end as any file name does, as JamSync's keys do."""
    assert object_keys.is_ready_key(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"incoming/{ID}.mp3",
        f"media/{ID}",
        f"media/{ID}.mp3\n",
        f"media/{ID}.\n",
        f"media/{ID}.a\0b",
        f"media/{ID}.a\x85b",
        f"media/{ID}.a\u2028b",
        f"media/{ID}.\ud800",
        f"media/{ID}.\uffff",
        f"media/{ID}.a\ufffd",
        f"media/{ID}.tar.gz",
        f"media/{ID}..",
        f"media/{ID}../mp3",
        f"media/{ID}.a\\b",
        f"media/{ID}/my song",
        f"media/{ID} .mp3",
        f"media/{ID.upper()}.mp3",
        f"/media/{ID}.mp3",
        f"media/../media/{ID}.mp3",
        f"media//{ID}.mp3",
        f"media/{ID}.mp3/x",
        f"media/{ID}.{'x' * 982}",
        f"media/{ID}.{'é' * 491}",
        f"media%2F{ID}.mp3",
    ],
)
def test_other_texts(text: str) -> None:
    """Any other text is not a ready key."""
    assert not object_keys.is_ready_key(text)


@given(st.uuids(), st.sampled_from(["mp3", "webp"]))
def test_new_keys_are_ready_keys(upload: uuid.UUID, extension: str) -> None:
    """Each key that the broker makes is a ready key with the given extension."""
    key = object_keys.ready_key(str(upload), extension)
    assert object_keys.is_ready_key(key)
    assert object_keys.extension(key) == extension


@pytest.mark.parametrize(
    "url",
    [
        f"https://cdn.example/files/{KEY}",
        f"https://CDN.example/files/{KEY}?v=1",
        f"https://acc.r2.example/songs/{KEY}",
        f"https://acc.r2.example/songs/{KEY}?X-Amz-Signature=00",
        f"https://songs.acc.r2.example/{KEY}#t=3",
        f"https://acc.r2.example/songs/{quote(KEY, safe='')}",
    ],
)
def test_urls_with_a_key(url: str) -> None:
    """The key is found in each form of URL of the deployment."""
    assert key_in(url) == KEY


@pytest.mark.parametrize("key", OLD_KEYS)
def test_an_old_key_survives_every_url(key: str) -> None:
    """A key that needs encoding is found in the encoded form of each URL, and in the URL that the broker states."""
    stated = object_keys.public_url("https://cdn.example/files", key)
    assert stated
    assert stated.isascii()
    assert not set(stated) & set(' ?#"<>')
    bases = ("https://acc.r2.example/songs", "https://songs.acc.r2.example", "https://cdn.example/files")
    for url in (stated, *(f"{base}/{quote(key, safe=safe)}?X-Amz-Signature=0" for base in bases for safe in ("", "/"))):
        assert key_in(url) == key


@pytest.mark.parametrize("rest", ["my song", "Mein schönes Lied", "🎵", "100%", "MP3"])
def test_an_old_url_was_not_encoded(rest: str) -> None:
    """JamSync stored URLs without encoding: such a URL has the key of its object."""
    assert key_in(f"https://cdn.example/files/media/{ID}.{rest}") == f"media/{ID}.{rest}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        KEY,
        f"https://evil.example/files/{KEY}",
        f"http://cdn.example/files/{KEY}",
        f"https://cdn.example/{KEY}",
        f"https://cdn.example/filesX/{KEY}",
        f"https://acc.r2.example/other/{KEY}",
        f"https://acc.r2.example.evil/songs/{KEY}",
        f"https://user@acc.r2.example/songs/{KEY}",
        f"https://acc.r2.example:444/songs/{KEY}",
        f"https://acc.r2.example/songs/incoming/{ID}.mp3",
        f"https://acc.r2.example/songs/media%252F{ID}.mp3",
        "https://acc.r2.example/songs/%ff",
        "https://[broken/songs/x",
        f"https://acc.r2.example/songs/{KEY}?{'x' * 8192}",
    ],
)
def test_other_urls(url: str) -> None:
    """Another URL has no key."""
    assert key_in(url) is None


@given(st.text())
def test_any_text_can_be_parsed(url: str) -> None:
    """Parsing any text returns a ready key or none."""
    found = key_in(url)
    assert found is None or object_keys.is_ready_key(found)


def test_private_bucket() -> None:
    """A private bucket has no public URL, and no key is found by one."""
    assert object_keys.public_url(None, KEY) is None
    assert key_in(f"https://cdn.example/files/{KEY}", None) is None


def test_public_bucket() -> None:
    """An object of a public bucket has a public URL."""
    assert object_keys.public_url("https://cdn.example", KEY) == f"https://cdn.example/{KEY}"


@given(st.text(max_size=40))
def test_any_ending_is_one_segment(rest: str) -> None:
    """Whatever follows the dot of a ready key, the key has two segments, and encoding it loses nothing."""
    key = f"media/{ID}.{rest}"
    if object_keys.is_ready_key(key):
        assert key.count("/") == 1
        assert object_keys.extension(key) == rest
        assert key_in(f"https://cdn.example/files/{quote(key)}") == key
