"""Accepted media types, their aliases and the signatures of their files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.media import MEDIA_TYPES, SNIFF_BYTES, is_media_extension, parse_media_type
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
def test_aliases(declared: str, canonical: str) -> None:
    """A media type is found by each of its names, in any case and with a codecs parameter."""
    found = parse_media_type(declared)
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
def test_other_types(declared: str) -> None:
    """Any other text is not an accepted media type."""
    assert parse_media_type(declared) is None


def test_longest_declaration() -> None:
    """A declared media type has at most 160 characters."""
    longest = "audio/webm;codecs=" + "x" * 64
    assert parse_media_type(longest.ljust(160)) is not None
    assert parse_media_type(longest.ljust(161)) is None


def test_names_are_unique() -> None:
    """Names and extensions are unique, and only those of accepted types are media extensions."""
    names = [name for media in MEDIA_TYPES for name in (media.name, *media.aliases)]
    assert len(names) == len(set(names))
    assert len({media.extension for media in MEDIA_TYPES}) == len(MEDIA_TYPES)
    assert all(is_media_extension(media.extension) for media in MEDIA_TYPES)
    assert not is_media_extension("html")


@pytest.mark.parametrize("media", MEDIA_TYPES, ids=lambda media: str(media.name))
def test_real_files_match(media: object) -> None:
    """The first bytes of a real file match its media type."""
    name = getattr(media, "name", "")
    found = parse_media_type(name)
    assert found is not None
    assert found.matches(SAMPLES[name]()[:SNIFF_BYTES])


@pytest.mark.parametrize("declared", [media.name for media in MEDIA_TYPES])
@pytest.mark.parametrize(
    "other", [b"", b"<!doctype html><script>", b"%PDF-1.7", b"MZ\x90\x00", b"PK\x03\x04", b"\0" * 512]
)
def test_other_files_do_not_match(declared: str, other: bytes) -> None:
    """The first bytes of other formats match no media type."""
    found = parse_media_type(declared)
    assert found is not None
    assert not found.matches(other)


@pytest.mark.parametrize(
    ("declared", "first_bytes", "matches"),
    [
        ("audio/mpeg", "494433", True),
        ("audio/mpeg", "fffb90", True),  # MPEG-1, layer III
        ("audio/mpeg", "fffb91", True),
        ("audio/mpeg", "fff340", True),  # MPEG-2
        ("audio/mpeg", "ffe340", True),  # MPEG-2.5
        ("audio/mpeg", "ffea40", False),  # a reserved version
        ("audio/mpeg", "ffeb40", False),
        ("audio/mpeg", "fffd90", False),  # layer II
        ("audio/mpeg", "ffff90", False),  # layer I
        ("audio/mpeg", "fff990", False),  # ADTS
        ("audio/mpeg", "fffbf0", False),  # a reserved bit rate
        ("audio/mpeg", "fffbf1", False),
        ("audio/mpeg", "fefb90", False),
        ("audio/mpeg", "ff1b90", False),
        ("audio/mpeg", "fffb", False),
        ("audio/mpeg", "000000fffb90", False),
        ("audio/aac", "494433", True),
        ("audio/aac", "fff1", True),  # MPEG-4
        ("audio/aac", "fff9", True),  # MPEG-2
        ("audio/aac", "fff3", False),  # layer III
        ("audio/aac", "ffe1", False),
        ("audio/aac", "fef1", False),
        ("audio/aac", "ff", False),
        ("audio/wav", "52494646" + "00" * 4 + "57415645", True),
        ("audio/wav", "52494646" + "00" * 4 + "57454250", False),  # an image in the same container
        ("audio/wav", "00000000" + "00" * 4 + "57415645", False),
        ("image/gif", "474946383961", True),
        ("image/gif", "474946383861", False),
    ],
)
def test_signatures(declared: str, first_bytes: str, matches: bool) -> None:
    """A media type matches exactly the signatures of its standard."""
    found = parse_media_type(declared)
    assert found is not None
    assert found.matches(bytes.fromhex(first_bytes)) is matches


@given(st.binary(max_size=SNIFF_BYTES))
def test_any_bytes_can_be_matched(first_bytes: bytes) -> None:
    """Matching any bytes returns true or false and raises nothing."""
    assert all(media.matches(first_bytes) in (True, False) for media in MEDIA_TYPES)


@given(st.text())
def test_any_text_can_be_parsed(text: str) -> None:
    """Parsing any text returns an accepted media type or none."""
    found = parse_media_type(text)
    assert found is None or found in MEDIA_TYPES
