"""The recognisers of formats: valid variants are accepted, and signatures without their structure are refused."""

import random

import pytest

from broker.core.containers import is_aiff, is_avif, is_iso_media, is_ogg, is_quicktime, is_wav, is_webm
from broker.core.frames import CONTENT_MIN, behind_tags, content_beyond, is_adts, is_flac, is_mpeg_audio
from broker.core.media import MEDIA_TYPES, SNIFF_BYTES
from broker.core.pictures import is_gif, is_jpeg, is_png, is_webp
from tests.corpus.disguises import disguises
from tests.small_files import (
    FRAME,
    IHDR,
    MOOV,
    SOF,
    adts,
    aiff,
    avif,
    box,
    chunk,
    flac,
    ftyp,
    gif,
    id3,
    iso_media,
    jpeg,
    mp3,
    ogg,
    page,
    png,
    png_chunk,
    segment,
    wav,
    webm,
    webp,
)

APE = b"APETAGEX" + bytes.fromhex("d0070000 28000000 01000000 000000a0") + bytes(8) + bytes(40)
NOISE = random.Random(1).randbytes(900)
FREE = (b"\xff\xfb\x00\x64" + b"\x55" * 496) * 2 + b"\xff\xfb\x02\x64" + b"\x55" * 497 + b"\xff\xfb\x00\x64"
DISGUISES = list(disguises())
PCM = b"\xae\x80\x86\x90A_PCM/FLOAT/IEEE"


def accepts(recogniser: object, content: bytes) -> bool:
    """Return whether a recogniser accepts a whole file by its first bytes."""
    assert callable(recogniser)
    return bool(recogniser(content[:SNIFF_BYTES], len(content)))


@pytest.mark.parametrize(
    "content",
    [
        mp3(),
        mp3(96),
        mp3(24),
        mp3(48) + b"TAG" + bytes(125),
        id3(500) + mp3(),
        id3(500, version=2) + mp3(),
        id3(500, version=3) + mp3(),
        id3(500, footer=True) + mp3(),
        id3(100) + id3(200) + mp3(),
        bytes(731) + mp3(),
        id3(50) + bytes(731) + mp3(),
        b"TAG" + b"x" * 125 + mp3(),
        APE + mp3(),
        b"\x13" + NOISE + mp3(300),
        mp3(300)[17:],
        b"ICY 200 OK\r\nicy-name: Radio\r\n\r\n" + mp3(300),
        b"\x02StreamTitle='x';" + mp3(300),
        b"ID3\4\0\x0f\0\0\0\0" + mp3(),  # reserved flags
        b"ID3\1\0\0\0\0\0\0" + mp3(),  # a reserved version
        b"ID3\4\0\0\x80\0\0\0" + mp3(),  # a length that is not synchsafe
        FREE,
        id3(50) + FREE,
    ],
)
def test_mpeg_audio_is_recognised(content: bytes) -> None:
    """Layer III is recognised behind tags, zeros, remnants of a frame, and in free format."""
    assert accepts(is_mpeg_audio, content)


@pytest.mark.parametrize(
    "header",
    [
        "fffb9000",  # MPEG-1
        "fffa9000",  # with a CRC
        "fffb9264",  # with padding
        "fff34000",  # MPEG-2
        "ffe34000",  # MPEG-2.5
        "fffbe800",  # 320 kbit/s, 32 kHz: the longest frame
        "fffb9001",  # 50/15 microseconds of emphasis
    ],
)
def test_mpeg_versions(header: str) -> None:
    """Frames of each version lead to each other by the length that their headers state."""
    start = bytes.fromhex(header)
    lengths = [length for length in range(4, 1500) if is_mpeg_audio(start.ljust(length, b"\x55") + start, 10**6)]
    assert len(lengths) == 1


@pytest.mark.parametrize(
    "header",
    [
        "ffea9000",  # a reserved version
        "fffd9000",  # layer II
        "ffff9000",  # layer I
        "fff99000",  # ADTS
        "fffbf000",  # a reserved bit rate
        "fffb9c00",  # a reserved sampling frequency
        "fffb9002",  # a reserved emphasis
        "fefb9000",
        "ff1b9000",
    ],
)
def test_reserved_mpeg_headers(header: str) -> None:
    """A header with a reserved value, or of another layer, is not a frame, whatever follows it."""
    start = bytes.fromhex(header)
    assert not any(is_mpeg_audio(start.ljust(length, b"\x55") * 4, 10**6) for length in range(4, 1500, 1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ID3",
        id3(500),
        id3(10) + b"<html>" * 20,
        b"ID3\4\0\x0f\0\0\0\0" + FRAME,  # reserved flags
        b"ID3\1\0\0\0\0\0\0" + FRAME,  # a reserved version
        b"ID3\4\0\0\x80\0\0\0" + FRAME,  # a length that is not synchsafe
        FRAME,
        FRAME + b"<html>" * 20,
        mp3(23),
        b"<html>" + mp3(),
        b"\0\0<html>" + mp3(),
        b"\x01" * 40 + b"<script>" + mp3(),
        b"The quick brown fox" + mp3(),
        b"PK\3\4" + mp3(),
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + mp3(),
        b"\0\0\1\xba" + mp3(),
        bytes(5000),
        mp3(24) + b"\xff\xf3\x18\xc4" + bytes(60),  # another sampling frequency
        b"\x13" + b"\xff\xf3" * 300,
        b"\xff\xfb\x00\x64" * 4 + bytes(5000),  # free format without equal distances
        b"\xff\xfb\x00\x64" + bytes(50) + b"\xff\xfb\x00\x64" + bytes(500),
    ],
)
def test_other_bytes_are_not_mpeg_audio(content: bytes) -> None:
    """Tags, single frames, and frames behind another format or text are refused."""
    assert not accepts(is_mpeg_audio, content)


@pytest.mark.parametrize(
    "content",
    [adts(), adts(1), id3(40) + adts(), bytes(300) + adts(), b"\x13" + NOISE + adts(4), adts(4)[9:], adts(2) + b"TAG"],
)
def test_adts_is_recognised(content: bytes) -> None:
    """AAC in ADTS is recognised behind tags, zeros and remnants of a frame."""
    assert accepts(is_adts, content)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xf1\x50\x80\x05\x1f\xfc" + b"<html>" * 20,
        bytes.fromhex("fff17480051ffc") * 8,  # the sampling index 13
        bytes.fromhex("fff15080001ffc") * 8,  # a length below 7
        bytes.fromhex("fff35080051ffc") * 8,
        adts(1) + bytes(50),
        id3(40) + mp3(),
        b"<html>" + adts(),
        b"ADIF" + adts(),
        b"",
    ],
)
def test_other_bytes_are_not_adts(content: bytes) -> None:
    """A header that leads to no frame, and MPEG audio behind a tag, are refused."""
    assert not accepts(is_adts, content)


COMMENT = b"\x04\0\0\x10" + bytes(16)
PICTURE = b"\x86\x04\0\0"


@pytest.mark.parametrize("content", [flac(), flac(COMMENT), id3(90) + flac(COMMENT), flac(PICTURE) + bytes(300_000)])
def test_flac_is_recognised(content: bytes) -> None:
    """Native FLAC is recognised, behind a tag too, with a frame or more metadata behind STREAMINFO."""
    assert accepts(is_flac, content)


@pytest.mark.parametrize(
    "content",
    [
        b"fLaC",
        b"fLaC<html>" + bytes(100),
        flac()[:42],
        flac()[:42] + b"<html>" * 9,
        flac(b"<htm" + bytes(60)),
        flac(PICTURE),  # longer than the file
        flac().replace(b"\0\0\x22", b"\0\0\x23"),
        flac().replace(b"\x10\0\x10\0", b"\0\0\0\0"),
        flac().replace(b"\x10\0\x10\0", b"\x10\0\0\x10"),
        flac().replace(bytes.fromhex("0ac442"), bytes(3)),
        id3(90) + mp3(),
    ],
)
def test_other_bytes_are_not_flac(content: bytes) -> None:
    """FLAC without a valid STREAMINFO, or without a block or frame behind it, is refused."""
    assert not accepts(is_flac, content)


@pytest.mark.parametrize(
    ("data", "size", "offset"),
    [
        (id3(20_000)[:SNIFF_BYTES], 50_000, 20_010),
        (id3(16_000) + mp3(374), 50_000, 16_010),  # too little content behind the tag
        (id3(16_000) + mp3(374), SNIFF_BYTES, 0),  # and no more in the file
        (id3(SNIFF_BYTES - 10 - CONTENT_MIN) + mp3(CONTENT_MIN), 50_000, 0),
        (id3(SNIFF_BYTES - 9 - CONTENT_MIN) + mp3(CONTENT_MIN - 1), 50_000, SNIFF_BYTES - CONTENT_MIN + 1),
        (bytes(SNIFF_BYTES), 50_000, SNIFF_BYTES),
        (id3(60_000)[:SNIFF_BYTES], 50_000, 0),  # a tag beyond the end
        (b"APETAGEX" + b"\xff" * 24 + bytes(SNIFF_BYTES - 32), 50_000, 0),
        (mp3(SNIFF_BYTES), 50_000, 0),
        (b"TAG" + bytes(125) + mp3(SNIFF_BYTES - 128), 50_000, 0),
        (id3(500) + mp3(), 610, 0),
    ],
)
def test_second_reads(data: bytes, size: int, offset: int) -> None:
    """A second read is needed only if a tag leaves too little of the content in the first bytes."""
    assert content_beyond(data, size) == offset


def test_tags_are_bounded() -> None:
    """At most 16 tags are skipped."""
    assert behind_tags(id3(0) * 16 + mp3()) == 160
    assert behind_tags(id3(0) * 99 + mp3()) == 160


@pytest.mark.parametrize(
    "content",
    [
        wav(),
        wav(form=b"RF64"),
        wav(form=b"BW64"),
        wav(chunk(b"JUNK", bytes(28)), chunk(b"bext", bytes(603))),
        wav(chunk(b"LIST", bytes(7))[:-1]),  # without the byte that pads it
        wav(chunk(b"JUNK", bytes(30_000))),
        wav()[:24] + wav()[24:].replace(b"data@\0\0\0", b"data\xff\xff\xff\xff"),
    ],
)
def test_wav_is_recognised(content: bytes) -> None:
    """WAV is recognised with chunks before its format, and as RF64 and BW64."""
    assert accepts(is_wav, content)


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF<!--WAVE-->" + b"<html>" * 20,
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + b"<html>" * 20,
        wav().replace(b"RIFF", b"RIFX"),
        wav().replace(b"WAVE", b"WEBP"),
        wav(chunk(b"<!--", bytes(8))),
        wav()[:36],
        wav()[:24],
        wav(chunk(b"JUNK", b"")[:4] + b"\xff\xff\xff\x7f"),
        wav().replace(b"\x10\0\0\0\1\0\2\0", b"\x10\0\0\0\1\0\0\0"),
        wav().replace(b"\x10\0\0\0\1\0\2\0", b"\x0d\0\0\0\1\0\2\0"),
        wav(*[chunk(b"JUNK", b"")] * 64),
    ],
)
def test_other_bytes_are_not_wav(content: bytes) -> None:
    """RIFX, a form without a valid format, and text between the signatures are refused."""
    assert not accepts(is_wav, content)


@pytest.mark.parametrize(
    "content",
    [aiff(), aiff(form=b"AIFC"), aiff(chunk(b"FVER", bytes(4), ">")), aiff(chunk(b"SSND", bytes(30_000), ">"))],
)
def test_aiff_is_recognised(content: bytes) -> None:
    """AIFF and AIFF-C are recognised, with chunks before COMM."""
    assert accepts(is_aiff, content)


@pytest.mark.parametrize(
    "content", [b"FORM\0\0\0\0AIFF", b"FORM<!--AIFF-->" + b"<html>" * 9, aiff(form=b"8SVX"), aiff()[:30], wav()]
)
def test_other_bytes_are_not_aiff(content: bytes) -> None:
    """A form without COMM, and other forms, are refused."""
    assert not accepts(is_aiff, content)


@pytest.mark.parametrize(
    "first",
    [b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC"],
)
def test_ogg_codecs(first: bytes) -> None:
    """Ogg with each codec of audio is recognised, also behind a skeleton or beside an unknown stream."""
    packet = first.ljust(30, b"\1")
    assert accepts(is_ogg, ogg(packet))
    assert accepts(is_ogg, ogg(b"fishead\0".ljust(64, b"\0"), packet))
    assert accepts(is_ogg, ogg(packet, b"another stream"))


@pytest.mark.parametrize(
    "content",
    [
        b"OggS",
        b"OggS" + b"<html>" * 20,
        page(b"OpusHead", flags=2),
        page(b"OpusHead", flags=2) + b"<html>" * 20,
        page(b"OpusHead"),
        ogg(b"\x80theora".ljust(40, b"\1")),
        ogg(b"\x01vorbis".ljust(30, b"\1"), b"\x80theora".ljust(40, b"\1")),
        ogg(b"unknown"),
        ogg().replace(b"OggS\0\2", b"OggS\1\2"),
        ogg().replace(b"OggS\0\2", b"OggS\0\x0a"),
        page(b"OpusHead", flags=2) * 70,
    ],
)
def test_other_bytes_are_not_ogg(content: bytes) -> None:
    """Single pages, video, unknown codecs, and text behind a page are refused."""
    assert not accepts(is_ogg, content)


def test_long_ogg_header_reaches_beyond_the_first_bytes() -> None:
    """A valid first page is accepted if the second one is not among the bytes that were read."""
    content = page(b"OpusHead", flags=2) + ogg()
    assert is_ogg(content[: len(page(b"OpusHead"))], len(content))


@pytest.mark.parametrize(
    "content",
    [
        iso_media(),
        iso_media(b"M4A ", b"M4A ", b"mp42", b"isom"),
        iso_media(b"3gp4"),
        iso_media(b"dash", b"iso6"),
        iso_media(b"isom", b"isom", b"mif1"),
        ftyp(b"isom") + box(b"free", b"") + MOOV,
        ftyp(b"isom") + box(b"mdat", bytes(30_000)) + MOOV,
        ftyp(b"isom") + b"\0\0\0\1mdat" + (16 + 64).to_bytes(8, "big") + bytes(64) + MOOV,
    ],
)
def test_iso_media_is_recognised(content: bytes) -> None:
    """ISO media is recognised with each brand of audio or video, and with its data before its description."""
    assert accepts(is_iso_media, content)
    assert accepts(is_quicktime, content)
    assert not accepts(is_avif, content)


@pytest.mark.parametrize(
    "brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"jp2 ", b"jpx ", b"crx ", b"jxl "]
)
def test_m02_pictures_are_not_iso_media(brand: bytes) -> None:
    """M02: HEIC, AVIF, JPEG 2000 and CR3 are refused as audio or video."""
    for content in (iso_media(brand), iso_media(brand, b"isom", b"mp42"), ftyp(brand) + box(b"meta", bytes(9)) + MOOV):
        assert not accepts(is_iso_media, content)
        assert not accepts(is_quicktime, content)


@pytest.mark.parametrize(
    "content",
    [
        b"<!--ftyp--><script>alert(1)</script>",  # M01
        b"x=1;ftyp=2;alert(1)" * 9,
        b"Thisftyp is text." * 9,
        ftyp(b"isom"),
        ftyp(b"isom") + b"<html>" * 20,
        ftyp(b"isom") + box(b"free", b"<html>" * 9),
        ftyp(b"isom") + box(b"mdat", bytes(64)),
        ftyp(b"isom") + box(b"mdat", b"<script>alert(1)</script>") + MOOV,
        ftyp(b"isom") + box(b"moov", b"<html>" * 9),
        ftyp(b"isom") + b"\0\0\0\0moov" + MOOV[8:],
        ftyp(b"isom") + box(b"<!--", b"") + MOOV,
        ftyp(b"isom") + box(b"free", b"") * 70 + MOOV,
        ftyp(b"\1\2\3\4") + MOOV,
        b"\0\0\0\x0cftypisom" + MOOV,
        b"\0\0\0\x12ftypisom" + bytes(6) + MOOV,
        b"\0\0\x10\x04ftypisom" + bytes(5000) + MOOV,
        b"\0\0\1\0ftypisom",
    ],
)
def test_other_bytes_are_not_iso_media(content: bytes) -> None:
    """A file type box of another size, and boxes that lead to no description, are refused (M01)."""
    assert not accepts(is_iso_media, content)
    assert not accepts(is_quicktime, content)
    assert not accepts(is_avif, content)


@pytest.mark.parametrize(
    "content",
    [
        MOOV,
        box(b"wide", b"") + box(b"mdat", bytes(40)) + MOOV,
        box(b"mdat", bytes(30_000)) + MOOV,
        box(b"skip", bytes(4)) + box(b"free", b"") + MOOV,
        iso_media(b"qt  "),
    ],
)
def test_quicktime_is_recognised(content: bytes) -> None:
    """QuickTime is recognised with and without a file type box."""
    assert accepts(is_quicktime, content)


@pytest.mark.parametrize(
    "content", [b"\0\0\1\0mdat" + b"<html>" * 90, b"\0\0\0\x40moov" + b"x" * 60, b"\0\0\0\x08free"]
)
def test_other_bytes_are_not_quicktime(content: bytes) -> None:
    """The name of a box without its structure is refused."""
    assert not accepts(is_quicktime, content)


@pytest.mark.parametrize(
    "content",
    [avif(), avif(b"avis"), avif(b"mif1", b"mif1", b"avif"), ftyp(b"avis", b"avif") + MOOV],
)
def test_avif_is_recognised(content: bytes) -> None:
    """A picture or a sequence in AVIF is recognised by its brands."""
    assert accepts(is_avif, content)


@pytest.mark.parametrize(
    "content",
    [avif(b"heic"), avif(b"mif1", b"heic"), ftyp(b"avif") + b"<html>" * 9, ftyp(b"avif"), avif(b"isom", b"avif")],
)
def test_other_bytes_are_not_avif(content: bytes) -> None:
    """HEIC, and the brand of AVIF without a picture, are refused."""
    assert not accepts(is_avif, content)


@pytest.mark.parametrize(
    "content",
    [
        webm(),
        webm(b"webm\0\0"),
        webm().replace(b"\x18\x53\x80\x67", b"\xec\x82\0\0\x18\x53\x80\x67"),
        webm() + bytes(40),
        webm(b"matroska", after=b"\x4d\x80\x86Chrome\x57\x41\x86Chrome"),
        webm(b"matroska", after=PCM),
    ],
)
def test_webm_is_recognised(content: bytes) -> None:
    """WebM is recognised, and Matroska as browsers record it."""
    assert accepts(is_webm, content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x1a\x45\xdf\xa3",
        b"\x1a\x45\xdf\xa3\0" + b"<html>" * 9,
        b"\x1a\x45\xdf\xa3" + b"<html>" * 9,
        webm()[:15],
        webm()[:20],
        webm().replace(b"\x15\x49\xa9\x66", b"<htm"),
        webm().replace(b"\x18\x53\x80\x67\x01", b"\x18\x53\x80\x67\0"),
        webm().replace(b"\x18\x53\x80\x67", b"<htm"),
        webm(b"matroska"),
        webm(b"matroska", after=b"\x4d\x80\x8dLavf59.27.100"),
        webm(b"matroska", after=PCM + b"\x86\x8fV_MPEG4/ISO/AVC"),
        webm(b"docs"),
        webm().replace(b"\x42\x82", b"\x42\x83"),
        b"\x1a\x45\xdf\xa3\x83\x42\x82\xff" + b"\x18\x53\x80\x67" + bytes(40),
    ],
)
def test_other_bytes_are_not_webm(content: bytes) -> None:
    """The signature alone, Matroska of other programs, and other document types are refused."""
    assert not accepts(is_webm, content)


EXIF = segment(0xE1, b"Exif\0\0" + bytes(200))


@pytest.mark.parametrize(
    "content",
    [
        jpeg(),
        jpeg(EXIF),
        jpeg(b"\xff\xff\xff" + EXIF, b"\xff\xff" + EXIF),
        jpeg(segment(0xE1, b"Exif\0\0" + bytes(40_000))),
        jpeg(EXIF, segment(0xFE, bytes(40_000))),
        jpeg(EXIF, b"junk", EXIF),
        jpeg(b"\xff\x01", EXIF),
        jpeg(segment(0xDB, bytes(65))),
    ],
)
def test_jpeg_is_recognised(content: bytes) -> None:
    """JPEG is recognised with long segments, fill bytes, and a few bytes of garbage."""
    assert accepts(is_jpeg, content)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff" + b"<html>" * 9,
        b"\xff\xd8\xff\xe0" + b"<html>" * 9,
        b"\xff\xd8\xff\xe0\0\1" + bytes(40),
        jpeg()[:20] + b"<html>" * 20,
        jpeg(segment(0xE1, b"no identifier" + bytes(40_000)).replace(b"r\0", b"\n\n")),
        jpeg(segment(0xFE, bytes(40_000))),
        b"\xff\xd8\xff\xd9" + bytes(40),
        b"\xff\xd8" + EXIF + b"\xff\xd9" + bytes(40),
        b"\xff\xd8" + SOF.replace(b"\x01\x01\x11", b"\x00\x01\x11"),
        b"\xff\xd8" + SOF.replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x09") + bytes(9),
        b"\xff\xd8" + EXIF * 70 + SOF,
        png(),
    ],
)
def test_other_bytes_are_not_jpeg(content: bytes) -> None:
    """A signature, and segments that lead to no frame header, are refused."""
    assert not accepts(is_jpeg, content)


@pytest.mark.parametrize("content", [png(), png(png_chunk(b"CgBI", b"\x50\0\x20\x06"))])
def test_png_is_recognised(content: bytes) -> None:
    """PNG is recognised, and Apple's variant of it."""
    assert accepts(is_png, content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + b"<html>" * 9,
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + b"<html>" * 9,
        b"\x89PNG\r\n\x1a\n" + IHDR,
        b"\x89PNG\r\n\x1a\n" + IHDR + b"<html>" * 9,
        png(png_chunk(b"tEXt", b"a")),
        png(b"\x7f\xff\xff\xffCgBI"),
        gif(),
    ],
)
def test_other_bytes_are_not_png(content: bytes) -> None:
    """PNG without a valid header, or without a chunk behind it, is refused."""
    assert not accepts(is_png, content)


@pytest.mark.parametrize(
    "content",
    [
        gif(),
        gif(table=True),
        gif().replace(b"89a", b"87a"),
        gif(b",\0\0\0\0\1\0\1\0\x80" + bytes(6) + b"\2"),
        gif(b"!\xf9\4\0\0\0\0\0,"),
        gif(b"!\xff\x0bNETSCAPE2.0"),
        gif(b"!\xfe\5hello\0,"),
    ],
)
def test_gif_is_recognised(content: bytes) -> None:
    """GIF is recognised by the image or the extension behind its colour table."""
    assert accepts(is_gif, content)


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a",
        b"GIF89a" + b"<html>" * 9,
        b"GIF89a/*" + b" " * 40 + b"*/=1;alert(1)",
        b"GIF89a\1\0\1\0\0\0\0;",
        b"GIF88a" + gif()[6:],
        gif(b",\0\0\0\0\1\0\1\0\0\x63"),
        gif(b"!doctype html"),
        gif()[:14],
    ],
)
def test_other_bytes_are_not_gif(content: bytes) -> None:
    """A signature in front of text, and a picture without an image, are refused."""
    assert not accepts(is_gif, content)


@pytest.mark.parametrize(
    "content",
    [
        webp(),
        webp(chunk(b"VP8L", b"\x2f\0\0\0\x10" + bytes(20))),
        webp(chunk(b"VP8X", b"\x10" + bytes(9)) + bytes(20)),
    ],
)
def test_webp_is_recognised(content: bytes) -> None:
    """WebP is recognised by each of its first chunks."""
    assert accepts(is_webp, content)


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF\0\0\0\0WEBP",
        b"RIFF\0\0\0\0WEBPVP8 " + b"<html>" * 9,
        webp(chunk(b"VP8L", b"\x30" + bytes(20))),
        webp(chunk(b"VP8X", bytes(11)) + bytes(20)),
        webp(chunk(b"ALPH", bytes(20))),
        wav(),
    ],
)
def test_other_bytes_are_not_webp(content: bytes) -> None:
    """The signature without a valid first chunk is refused."""
    assert not accepts(is_webp, content)


@pytest.mark.parametrize(("label", "content"), DISGUISES, ids=[label for label, _ in DISGUISES])
def test_m03_m04_disguises_are_refused(label: str, content: bytes) -> None:
    """M03 and M04: documents, programs and archives are refused as each type, behind each signature."""
    for media in MEDIA_TYPES:
        at = media.content_beyond(content[:SNIFF_BYTES], len(content))
        head = content[at : at + SNIFF_BYTES]
        assert not media.matches(head, len(content) - at), f"{label} as {media.name}"
