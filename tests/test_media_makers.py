"""The media files of the tests: a decoder finds in them what the encoder's name states."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av
import pytest
from av.audio.stream import AudioStream
from av.container import InputContainer
from PIL import Image

from broker.core.media import MEDIA_TYPES

from . import media


@contextmanager
def opened(data: bytes) -> Iterator[InputContainer]:
    """Open ``data`` with a demuxer."""
    with av.open(io.BytesIO(data)) as container:
        assert isinstance(container, InputContainer)
        yield container


def test_every_type_has_a_sample() -> None:
    """Every accepted media type has a sample."""
    assert {kind.name for kind in MEDIA_TYPES} == set(media.SAMPLES)


@pytest.mark.parametrize("name", [name for name in media.SAMPLES if not name.startswith("image/")])
def test_sounds_last_one_second(name: str) -> None:
    """Every audio and video sample has one second of stereo sound."""
    with opened(media.SAMPLES[name]()) as container:
        frames = list(container.decode(audio=0))
    assert sum(frame.samples / frame.sample_rate for frame in frames) == pytest.approx(1.0, abs=0.06)
    assert frames[0].layout.nb_channels == 2


@pytest.mark.parametrize("name", ["video/mp4", "video/webm"])
def test_videos_have_their_frames(name: str) -> None:
    """Every video sample has one second of frames."""
    with opened(media.SAMPLES[name]()) as container:
        assert len(list(container.decode(video=0))) == media.FRAMES_PER_SECOND


@pytest.mark.parametrize("make", [media.png, media.jpeg, media.gif, media.webp])
def test_pictures_have_the_requested_size(make: Callable[..., bytes]) -> None:
    """Every picture has the requested width and height."""
    with Image.open(io.BytesIO(make(width=64, height=48))) as picture:
        picture.load()
        assert picture.size == (64, 48)


@pytest.mark.parametrize(
    ("make", "codec"),
    [(media.ogg_opus, "opus"), (media.ogg_vorbis, "vorbis"), (media.flac, "flac"), (media.m4a, "aac")],
)
def test_containers_hold_their_codec(make: Callable[[], bytes], codec: str) -> None:
    """A file contains the codec that the name of its function states."""
    with opened(make()) as container:
        (stream,) = container.streams
        assert isinstance(stream, AudioStream)
        assert codec == stream.codec_context.name


def test_mp3_starts_with_tag_or_frame() -> None:
    """An MP3 starts with an ID3 tag, or without one with its first frame."""
    assert media.mp3()[:3] == b"ID3"
    assert media.mp3(tagged=False)[:2] == b"\xff\xfb"


def test_mp3_size_follows_the_bit_rate() -> None:
    """The size of an MP3 is its duration times its bit rate."""
    assert len(media.mp3(seconds=120, bit_rate=256_000)) == pytest.approx(120 * 256_000 / 8, rel=0.01)


@pytest.mark.parametrize("make", [media.wav, media.mp3, media.flac, media.ogg_opus, media.webm_audio])
def test_encoding_is_repeatable(make: Callable[[], bytes]) -> None:
    """The same sound is encoded to the same bytes each time."""
    assert make() == make()
