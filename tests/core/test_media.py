"""Accepted media types, their aliases, and how real files of each begin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.media import MEDIA_TYPES, SNIFF_BYTES, is_media_extension, media_type
from tests.media import SAMPLES


@pytest.mark.parametrize(
    ("declared", "canonical"),
    [
        ("audio/mpeg", "audio/mpeg"),
        ("AUDIO/MP3", "audio/mpeg"),
        (" audio/x-wav ", "audio/wav"),
        ("audio/vnd.wave", "audio/wav"),
        ("audio/x-m4a", "audio/mp4"),
        ("audio/webm;codecs=opus", "audio/webm"),
        ('video/mp4; codecs="avc1.42E01E, mp4a.40.2"', "video/mp4"),
        ("IMAGE/PNG", "image/png"),
    ],
)
def test_a_type_is_known_by_any_of_its_names(declared: str, canonical: str) -> None:
    found = media_type(declared)
    assert found is not None
    assert found.name == canonical


@pytest.mark.parametrize(
    "declared",
    [
        "",
        "audio",
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "image/png\r\nx-amz-acl: public-read",
        "image/png, text/html",
        "image/png; charset=x",
        "image/png;codecs=" + "x" * 1024,
        "image/png\n",
        "audio/mpeg;",
        "áudio/mpeg",
    ],
)
def test_every_other_type_is_unknown(declared: str) -> None:
    assert media_type(declared) is None


def test_no_name_and_no_extension_stands_for_two_types() -> None:
    names = [name for media in MEDIA_TYPES for name in (media.name, *media.aliases)]
    assert len(names) == len(set(names))
    assert len({media.extension for media in MEDIA_TYPES}) == len(MEDIA_TYPES)
    assert all(is_media_extension(media.extension) for media in MEDIA_TYPES)
    assert not is_media_extension("html")


@pytest.mark.parametrize("media", MEDIA_TYPES, ids=lambda media: str(media.name))
def test_a_real_file_begins_as_its_type_does(media: object) -> None:
    name = getattr(media, "name", "")
    found = media_type(name)
    assert found is not None
    assert found.begins(SAMPLES[name]()[:SNIFF_BYTES])


@pytest.mark.parametrize("declared", [media.name for media in MEDIA_TYPES])
@pytest.mark.parametrize(
    "other", [b"", b"<!doctype html><script>", b"%PDF-1.7", b"MZ\x90\x00", b"PK\x03\x04", b"\0" * 512]
)
def test_what_is_no_media_begins_as_none_of_them(declared: str, other: bytes) -> None:
    found = media_type(declared)
    assert found is not None
    assert not found.begins(other)


@given(st.binary(max_size=SNIFF_BYTES))
def test_no_bytes_make_the_look_fail(head: bytes) -> None:
    assert all(media.begins(head) in (True, False) for media in MEDIA_TYPES)


@given(st.text())
def test_no_text_makes_the_reader_fail(text: str) -> None:
    found = media_type(text)
    assert found is None or found in MEDIA_TYPES
