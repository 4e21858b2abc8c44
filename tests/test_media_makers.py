"""The makers of media: what they make is what its decoder says it is."""

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
    """``data`` as a demuxer sees it."""
    with av.open(io.BytesIO(data)) as container:
        assert isinstance(container, InputContainer)
        yield container


def test_there_is_a_sample_of_every_accepted_type() -> None:
    assert {kind.name for kind in MEDIA_TYPES} == set(media.SAMPLES)


@pytest.mark.parametrize("name", [name for name in media.SAMPLES if not name.startswith("image/")])
def test_every_sound_plays_for_the_second_it_promises(name: str) -> None:
    with opened(media.SAMPLES[name]()) as container:
        frames = list(container.decode(audio=0))
    assert sum(frame.samples / frame.sample_rate for frame in frames) == pytest.approx(1.0, abs=0.06)
    assert frames[0].layout.nb_channels == 2


@pytest.mark.parametrize("name", ["video/mp4", "video/webm"])
def test_every_video_shows_its_pictures(name: str) -> None:
    with opened(media.SAMPLES[name]()) as container:
        assert len(list(container.decode(video=0))) == media.FRAMES_PER_SECOND


@pytest.mark.parametrize("make", [media.png, media.jpeg, media.gif, media.webp])
def test_every_picture_has_the_size_that_was_asked_for(make: Callable[..., bytes]) -> None:
    with Image.open(io.BytesIO(make(width=64, height=48))) as picture:
        picture.load()
        assert picture.size == (64, 48)


@pytest.mark.parametrize(
    ("make", "codec"),
    [(media.ogg_opus, "opus"), (media.ogg_vorbis, "vorbis"), (media.flac, "flac"), (media.m4a, "aac")],
)
def test_a_container_holds_the_codec_in_its_makers_name(make: Callable[[], bytes], codec: str) -> None:
    with opened(make()) as container:
        (stream,) = container.streams
        assert isinstance(stream, AudioStream)
        assert codec == stream.codec_context.name


def test_an_mp3_begins_with_its_tag_or_with_its_first_frame() -> None:
    assert media.mp3()[:3] == b"ID3"
    assert media.mp3(tagged=False)[:2] == b"\xff\xfb"


def test_a_track_of_two_minutes_has_the_bytes_of_its_bit_rate() -> None:
    assert len(media.mp3(seconds=120, bit_rate=256_000)) == pytest.approx(120 * 256_000 / 8, rel=0.01)


@pytest.mark.parametrize("make", [media.wav, media.mp3, media.flac, media.ogg_opus, media.webm_audio])
def test_a_sound_made_twice_is_the_same_file(make: Callable[[], bytes]) -> None:
    assert make() == make()
