"""Accepted media types: their names, the types of declared files, and one small file of each type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.media import (
    ALL_TYPES,
    DECLARED_MAX,
    MEDIA_TYPES,
    SNIFF_BYTES,
    MediaType,
    essence_of,
    format_of,
    grouped,
    is_media_extension,
    parse_media_type,
    resolve_media_type,
    types_of,
)
from broker.core.refused_formats import REFUSED_FORMATS, is_refused_type, remedy_for
from tests.media import SAMPLES
from tests.small_files import SMALL_FILES, id3, mp3

each_type = pytest.mark.parametrize("media", MEDIA_TYPES, ids=lambda media: str(media.name))
REFUSED_TYPES = [name for row in REFUSED_FORMATS for name in row.types.split()]
REFUSED_EXTENSIONS = [name for row in REFUSED_FORMATS for name in row.extensions.split()]


def name_of(declared: str, filename: str = "", accepted: frozenset[str] = ALL_TYPES) -> str | None:
    """Return the canonical name that a declared file gets."""
    media = resolve_media_type(declared, filename, accepted)
    return media.name if media else None


@pytest.mark.parametrize(
    ("declared", "essence"),
    [
        ("audio/mpeg", "audio/mpeg"),
        (" \taudio/mpeg\t ", "audio/mpeg"),
        ("AUDIO/Mpeg", "audio/mpeg"),
        ("audio/mpeg;", "audio/mpeg"),
        ("audio/mpeg; ", "audio/mpeg"),
        ("audio/mpeg;;; ;", "audio/mpeg"),
        ("audio/mpeg;charset=utf-8", "audio/mpeg"),
        ("audio/mpeg \t; \tcharset=binary", "audio/mpeg"),
        ("audio/webm; codecs=opus; rate=48000", "audio/webm"),
        ('video/webm; codecs="vp8, opus"', "video/webm"),
        ('video/webm;codecs="a;b=\\"c\\\\";x=1', "video/webm"),
        ('audio/mpeg;x=""', "audio/mpeg"),
        ("audio/*", "audio/*"),
    ],
)
def test_parameters_are_dropped(declared: str, essence: str) -> None:
    """The parameters of a media type follow RFC 9110, may be empty, and are dropped."""
    assert essence_of(declared) == essence


@pytest.mark.parametrize(
    "declared",
    [
        "",
        "audio",
        "audio/",
        "/mpeg",
        "audio//mpeg",
        "audio/mpeg/x",
        "audio /mpeg",
        "audio/ mpeg",
        "audio/mpeg charset=x",
        "audio/mpeg;charset",
        "audio/mpeg;charset=",
        "audio/mpeg;=x",
        "audio/mpeg;charset = x",
        "audio/mpeg;a=b c=d",
        'audio/mpeg;a="b',
        'audio/mpeg;a="b"c',
        'audio/mpeg;a="\x7f"',
        'audio/mpeg;a="\\',
        "audio/mpeg, audio/mpeg",
        "image/png\r\nx-amz-acl: public-read",
        "image/png\n",
        "image/png;a=b\n",
        "image/png;a=\x00",
        "áudio/mpeg",
        "audio/mpeg\u2028",
        "a" * 128 + "/mpeg",
        "audio/" + "m" * 128,
    ],
)
def test_malformed_types(declared: str) -> None:
    """A text that is not one media type of RFC 9110 is refused, whatever the extension."""
    assert essence_of(declared) is None
    assert parse_media_type(declared) is None
    assert not declared.strip() or name_of(declared, "a.mp3") is None


def test_longest_declaration() -> None:
    """A declared media type has at most 255 characters."""
    longest = ("audio/webm;codecs=" + "x" * DECLARED_MAX)[:DECLARED_MAX]
    assert essence_of(longest) == "audio/webm"
    assert essence_of(longest + "x") is None


def test_endless_parameters_take_linear_time() -> None:
    """Many empty parameters in front of an error are refused at once."""
    assert essence_of("a/b" + " ; " * 80 + "@") is None
    assert essence_of('a/b;x="' + "\\\\" * 120) is None


@each_type
def test_aliases(media: MediaType) -> None:
    """A type is found by each of its names, in any case, with and without parameters."""
    for name in (media.name, *media.aliases):
        for declared in (name, name.upper(), f" {name};charset=utf-8"):
            assert parse_media_type(declared) is media


@each_type
def test_extensions_name_the_type(media: MediaType) -> None:
    """A file without a type, or with an unknown one, gets the type of its extension."""
    for extension in (media.extension, *media.extensions):
        for declared in ("", " ", "application/octet-stream", "binary/octet-stream", "audio/x-unknown", "*/*"):
            expected = {"video/webm"} if extension == "webm" else {media.name}
            assert name_of(declared, f"My.song.{extension.upper()}") in expected


def test_names_are_unique() -> None:
    """Names and extensions are unique, and only those of keys are media extensions."""
    names = [name for media in MEDIA_TYPES for name in (media.name, *media.aliases)]
    extensions = [name for media in MEDIA_TYPES for name in (media.extension, *media.extensions)]
    assert len(names) == len(set(names))
    assert len(extensions) == len(set(extensions))
    assert [name for name in names if is_refused_type(name) or name != name.lower()] == []
    assert set(extensions).isdisjoint(REFUSED_EXTENSIONS)
    assert {name for name in extensions if is_media_extension(name)} == {media.extension for media in MEDIA_TYPES}
    assert not is_media_extension("html")


def test_refused_names_are_unique() -> None:
    """A refused type and a refused extension has one remedy."""
    assert len(REFUSED_TYPES) == len(set(REFUSED_TYPES))
    assert len(REFUSED_EXTENSIONS) == len(set(REFUSED_EXTENSIONS))
    assert all(remedy_for(name, "") for name in REFUSED_TYPES)


@pytest.mark.parametrize("declared", REFUSED_TYPES)
def test_refused_types_are_not_rescued(declared: str) -> None:
    """A declared type that names a refused format is refused with an accepted extension too."""
    assert name_of(declared, "a.mp3") is None
    assert name_of(f"{declared.upper()}; x=y", "a.mp4") is None


@pytest.mark.parametrize("extension", REFUSED_EXTENSIONS)
def test_refused_extensions_have_a_remedy(extension: str) -> None:
    """A file without a type and with a refused extension is refused, with what its user can do."""
    assert name_of("", f"a.{extension}") is None
    assert remedy_for(None, extension)


@pytest.mark.parametrize(
    "declared",
    [
        "text/html",
        "text/plain",
        "image/svg+xml",
        "application/xhtml+xml",
        "application/xml",
        "application/javascript",
        "application/json",
        "application/zip",
        "application/epub+zip",
        "application/x-zip",
        "application/pdf",
        "application/wasm",
        "application/x-msdownload",
        "application/vnd.ms-excel",
        "application/x-php",
        "font/woff2",
        "multipart/form-data; boundary=x",
        "message/rfc822",
    ],
)
def test_other_kinds_are_not_rescued(declared: str) -> None:
    """A declared document, program or archive is refused with an accepted extension too."""
    assert name_of(declared, "a.mp3") is None


@pytest.mark.parametrize(
    ("declared", "filename", "expected"),
    [
        ("application/ogg", "a.ogg", "audio/ogg"),
        ("application/ogg", "a", "audio/ogg"),
        ("video/ogg", "a.ogg", "audio/ogg"),
        ("video/ogg", "a.opus", "audio/ogg"),
        ("video/ogg", "a.ogv", None),
        ("video/ogg", "a", None),
        ("video/ogg", "a.mp4", None),
        ("audio/mp4a-latm", "a.aac", "audio/aac"),
        ("audio/mp4a-latm", "a.m4a", "audio/mp4"),
        ("audio/mp4a-latm", "a", "audio/mp4"),
        ("audio/mp4a-latm", "a.mp3", "audio/mp4"),
        ("application/mp4", "a.m4a", "audio/mp4"),
        ("application/mp4", "a.mp4", "video/mp4"),
        ("application/mp4", "a", "video/mp4"),
        ("video/3gpp", "a.3gp", "video/mp4"),
        ("audio/3gpp", "a.3gp", "audio/mp4"),
        ("audio/vnd.dlna.adts", "a.aac", "audio/aac"),
        ("audio/mpeg", "a.wav", "audio/mpeg"),
        ("image/jpeg", "IMG_1.HEIC", "image/jpeg"),
        ("", "a", None),
        ("", "mp3", None),
        ("", "a.", None),
        ("", "a.mp3.html", None),
        ("", "a.xyz", None),
        ("audio/x-unknown", "a.heic", None),
        ("audio/x-unknown", "a", None),
        ("", ".mp3", "audio/mpeg"),
    ],
)
def test_declared_files(declared: str, filename: str, expected: str | None) -> None:
    """The declared type decides; the extension decides only where the type names no single format."""
    assert name_of(declared, filename) == expected


@pytest.mark.parametrize(
    ("accepted", "declared", "filename", "expected"),
    [
        ("audio/*", "", "a.webm", "audio/webm"),
        ("audio/*", "", "a.mp4", "audio/mp4"),
        ("audio/*", "video/webm", "a.webm", None),
        ("audio/*", "image/png", "a.mp3", None),
        ("image/png", "", "a.mp3", None),
        ("audio/mp3", "audio/mpeg", "a", "audio/mpeg"),
        ("video/mp4", "application/mp4", "a.m4a", "video/mp4"),
        ("audio/aac", "audio/mp4a-latm", "a", None),
    ],
)
def test_narrowed_types(accepted: str, declared: str, filename: str, expected: str | None) -> None:
    """A deployment that accepts fewer types refuses the others, and reads an extension as a type that it accepts."""
    assert name_of(declared, filename, types_of(accepted)) == expected


@pytest.mark.parametrize(
    ("pattern", "types"),
    [
        ("IMAGE/*", {"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"}),
        (" audio/MP3 ", {"audio/mpeg"}),
        ("text/*", set()),
        ("*/*", set()),
        ("*", set()),
        ("audio", set()),
        ("image/heic", set()),
    ],
)
def test_patterns_of_types(pattern: str, types: set[str]) -> None:
    """A pattern stands for all types of a kind, or for one by any of its names."""
    assert types_of(pattern) == types


def test_grouped_names() -> None:
    """Names of types are grouped by kind for a text, in the order of the table."""
    assert grouped({"image/png", "audio/wav", "audio/mpeg"}) == "audio/{mpeg,wav}, image/png"


@each_type
def test_real_files_match(media: MediaType) -> None:
    """An encoded file matches its media type by its first bytes."""
    content = SAMPLES[media.name]()
    assert media.matches(content[:SNIFF_BYTES], len(content))
    assert format_of(content[:SNIFF_BYTES], len(content)) in {media.label, "MP4"}


@each_type
def test_small_files_match_their_type_alone(media: MediaType) -> None:
    """The smallest file of a type matches it, and no type of another container."""
    content = SMALL_FILES[media.name]()
    matching = {other.name for other in MEDIA_TYPES if other.matches(content, len(content))}
    same = {other.name for other in MEDIA_TYPES if other.matches is media.matches}
    assert media.name in matching
    assert matching - {"audio/mp4", "video/mp4", "video/quicktime"} <= same


@each_type
def test_m05_tail_is_accepted(media: MediaType) -> None:
    """M05: a whole valid file in front of an archive or a document is accepted, and served as its type."""
    for tail in (b"PK\x03\x04" + bytes(60), b"<html><script>alert(1)</script></html>"):
        content = SAMPLES[media.name]() + tail
        assert media.matches(content[:SNIFF_BYTES], len(content))


@each_type
@given(st.data())
def test_damaged_heads_raise_nothing(media: MediaType, data: st.DataObject) -> None:
    """A cut or changed head of a valid file is accepted or refused, and raises nothing."""
    content = bytearray(SMALL_FILES[media.name]())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, min(len(content), 80) - 1))] = data.draw(st.integers(0, 255))
    head = bytes(content[: data.draw(st.integers(0, len(content)))])
    size = data.draw(st.sampled_from((len(head), len(content), 2**40)))
    for other in MEDIA_TYPES:
        assert other.matches(head, size) in (True, False)
        assert 0 <= other.content_beyond(head, size) <= size
    assert isinstance(format_of(head, size), str)


@given(st.binary(max_size=2000))
def test_random_bytes_match_nothing(content: bytes) -> None:
    """Random bytes match no media type."""
    assert [media.name for media in MEDIA_TYPES if media.matches(content, len(content))] == []


@given(st.text(max_size=3000).map(lambda text: f"<!doctype html><script>{text}</script>".encode()))
def test_documents_match_nothing(content: bytes) -> None:
    """A document in HTML matches no media type, behind zeros or tags neither."""
    for start in (b"", bytes(900), b"ID3", b"ID3\4\0\0\0\0\0\0", b"TAG" + bytes(125)):
        found = [media.name for media in MEDIA_TYPES if media.matches(start + content, len(start + content))]
        assert found == []


@given(st.text(), st.text(max_size=12))
def test_any_declaration_can_be_resolved(declared: str, filename: str) -> None:
    """Any declared type and file name gives an accepted media type or none."""
    assert parse_media_type(declared) in (None, *MEDIA_TYPES)
    assert resolve_media_type(declared, filename) in (None, *MEDIA_TYPES)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x89PNG\r\n", "PNG"),
        (SMALL_FILES["image/png"](), "PNG"),
        (SMALL_FILES["audio/webm"](), "WebM"),
        (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", "HEIC"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0crx isom", "CR3"),
        (b"\0\0\0\x18ftypiso5\0\0\0\0iso5iso6", "MP4"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
        (b"RIFF\0\0\0\0????", ""),
        (b"MThd\0\0\0\6", "MIDI"),
        (b"caff\0\1", "CAF"),
        (b"  \n<HTML>", "HTML or XML"),
        (b"\xef\xbb\xbf<?xml", "HTML or XML"),
        (b"Hello, world! This is text.", "text"),
        ("<html>".encode("utf-16"), "text"),
        (b"ID3\4\0\0\0\0\0\0<html>", "HTML or XML"),
        (b"ID3\4\0\0\0\0\0\0" + mp3(), "MP3"),
        (b"PK\3\4", "ZIP"),
        (b"", ""),
        (b"\1\2\3\4", ""),
    ],
)
def test_format_names(content: bytes, name: str) -> None:
    """The format of bytes is named by a recogniser, by its signature, or as text."""
    assert format_of(content, len(content)) == name


def test_second_reads_are_for_tagged_types() -> None:
    """Only types before whose content tags of any length may stand need a second read."""
    assert {media.name for media in MEDIA_TYPES if media.has_tags} == {"audio/mpeg", "audio/flac", "audio/aac"}
    assert all(not media.content_beyond(id3(99_999), 200_000) for media in MEDIA_TYPES if not media.has_tags)
