"""The key grammar, and keys in URLs."""

import uuid
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core import object_keys

ID = "0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55"
KEY = f"media/{ID}.mp3"


def key_in(url: str, public_base: str | None = "https://cdn.example/files") -> str | None:
    """The key in a URL of one deployment."""
    return object_keys.key_from_url(url, endpoint="https://acc.r2.example", bucket="songs", public_base=public_base)


def test_staged_and_ready_keys_of_one_upload_are_twins() -> None:
    assert object_keys.staged_twin(object_keys.ready_key(ID, "mp3")) == object_keys.staging_key(ID, "mp3")


@pytest.mark.parametrize("text", [KEY, f"media/{ID}.MP3", f"media/{ID}.xyz9"])
def test_ready_keys_with_any_short_extension_are_keys(text: str) -> None:
    assert object_keys.is_ready_key(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"incoming/{ID}.mp3",
        f"media/{ID}",
        f"media/{ID}.",
        f"media/{ID}.m-3",
        f"media/{ID}.mp3\n",
        f"media/{ID.upper()}.mp3",
        f"/media/{ID}.mp3",
        f"media/../media/{ID}.mp3",
        f"media//{ID}.mp3",
        f"media/{ID}.mp3/x",
        f"media/{ID}.mp3?x",
        f"media/{ID}.{'x' * 17}",
        f"media/{ID}.mp٣",
        f"media%2F{ID}.mp3",
    ],
)
def test_everything_else_is_no_key(text: str) -> None:
    assert not object_keys.is_ready_key(text)


@given(st.uuids(), st.sampled_from(["mp3", "webp"]))
def test_every_key_the_broker_makes_is_a_ready_key(upload: uuid.UUID, extension: str) -> None:
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
def test_a_url_of_this_deployment_has_its_key(url: str) -> None:
    assert key_in(url) == KEY


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
def test_any_other_url_has_none(url: str) -> None:
    assert key_in(url) is None


@given(st.text())
def test_no_text_makes_the_url_reader_fail_or_find_more_than_a_key(url: str) -> None:
    found = key_in(url)
    assert found is None or object_keys.is_ready_key(found)


def test_a_private_bucket_has_no_public_url() -> None:
    assert object_keys.public_url(None, KEY) is None
    assert key_in(f"https://cdn.example/files/{KEY}", None) is None


def test_a_public_bucket_has_one() -> None:
    assert object_keys.public_url("https://cdn.example", KEY) == f"https://cdn.example/{KEY}"
