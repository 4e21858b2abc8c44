"""Real media files, encoded on request by real encoders.

The sound is a chord with a period of one second, so a long track costs only the time of the encoder.
"""

import io
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from PIL import Image

AudioPacket: TypeAlias = "Packet[AudioStream]"  # generic in the stubs alone
VideoPacket: TypeAlias = "Packet[VideoStream]"
AnyPacket: TypeAlias = "AudioPacket | VideoPacket"

RATE = 48_000
"""Samples a second; the one rate that every encoder here takes, Opus included."""

FRAMES_PER_SECOND = 24

CHORD = (220, 277, 330)
"""A major, in whole hertz: each voice ends its second where it began it."""


NONE: Mapping[str, str] = MappingProxyType({})


def wav(*, seconds: int = 1) -> bytes:
    """Encode RIFF with 16-bit PCM."""
    return _audio("wav", "pcm_s16le", seconds)


def mp3(*, seconds: int = 1, bit_rate: int = 128_000, tagged: bool = True) -> bytes:
    """Encode MPEG-1 layer III at a constant bit rate. Without its ID3v2 tag the file starts with the first frame."""
    untagged = {"id3v2_version": "0", "write_xing": "0"}
    return _audio(
        "mp3",
        "libmp3lame",
        seconds,
        bit_rate=bit_rate,
        codec_options={"compression_level": "9", "joint_stereo": "0"},  # twice as fast
        container_options=NONE if tagged else untagged,
    )


def flac(*, seconds: int = 1) -> bytes:
    """Encode native FLAC."""
    return _audio("flac", "flac", seconds)


def ogg_opus(*, seconds: int = 1) -> bytes:
    """Encode Opus in Ogg."""
    return _audio("ogg", "libopus", seconds, bit_rate=96_000)


def ogg_vorbis(*, seconds: int = 1) -> bytes:
    """Encode Vorbis in Ogg."""
    return _audio("ogg", "vorbis", seconds, codec_options={"strict": "experimental"})


def m4a(*, seconds: int = 1) -> bytes:
    """Encode AAC-LC in ISO media, as iTunes does."""
    return _audio("ipod", "aac", seconds, bit_rate=128_000)


def aac(*, seconds: int = 1) -> bytes:
    """Encode AAC-LC in ADTS frames."""
    return _audio("adts", "aac", seconds, bit_rate=128_000)


def aiff(*, seconds: int = 1) -> bytes:
    """Encode IFF with 16-bit big-endian PCM."""
    return _audio("aiff", "pcm_s16be", seconds)


def webm_audio(*, seconds: int = 1) -> bytes:
    """Encode Opus in WebM, as MediaRecorder does."""
    return _audio("webm", "libopus", seconds, bit_rate=96_000)


def mp4_video(*, seconds: int = 1) -> bytes:
    """Encode H.264 and AAC in ISO media."""
    return _video("mp4", "libx264", "aac", seconds)


def quicktime(*, seconds: int = 1) -> bytes:
    """Encode H.264 and AAC in QuickTime, as phones record it."""
    return _video("mov", "libx264", "aac", seconds)


def webm_video(*, seconds: int = 1) -> bytes:
    """Encode VP8 and Opus in WebM."""
    return _video("webm", "libvpx", "libopus", seconds)


def png(*, width: int = 320, height: int = 320) -> bytes:
    """Encode a cover as PNG."""
    return _image("PNG", width, height)


def jpeg(*, width: int = 320, height: int = 320) -> bytes:
    """Encode a cover as JPEG."""
    return _image("JPEG", width, height)


def gif(*, width: int = 320, height: int = 320) -> bytes:
    """Encode a cover as GIF."""
    return _image("GIF", width, height)


def webp(*, width: int = 320, height: int = 320) -> bytes:
    """Encode a cover as WebP."""
    return _image("WEBP", width, height)


def avif(*, width: int = 320, height: int = 320) -> bytes:
    """Encode a cover as AVIF."""
    return _image("AVIF", width, height)


SAMPLES: Mapping[str, Callable[[], bytes]] = MappingProxyType(
    {
        "audio/mpeg": cache(mp3),
        "audio/wav": cache(wav),
        "audio/ogg": cache(ogg_opus),
        "audio/flac": cache(flac),
        "audio/mp4": cache(m4a),
        "audio/aac": cache(aac),
        "audio/aiff": cache(aiff),
        "audio/webm": cache(webm_audio),
        "video/mp4": cache(mp4_video),
        "video/webm": cache(webm_video),
        "video/quicktime": cache(quicktime),
        "image/jpeg": cache(jpeg),
        "image/png": cache(png),
        "image/gif": cache(gif),
        "image/webp": cache(webp),
        "image/avif": cache(avif),
    }
)
"""One small file of each accepted type, by its canonical name; each is encoded once."""

UNPLAYABLE = {"chromium": {"audio/aiff"}, "firefox": {"audio/aiff"}, "webkit": set[str]()}
"""Accepted types that an engine cannot show; the demo's page offers their files as downloads only."""


def _audio(
    container: str,
    codec: str,
    seconds: int,
    *,
    bit_rate: int | None = None,
    codec_options: Mapping[str, str] = NONE,
    container_options: Mapping[str, str] = NONE,
) -> bytes:
    def packets(output: OutputContainer) -> Iterator[AudioPacket]:
        return _sound(_audio_stream(output, codec, bit_rate, codec_options), seconds)

    return _muxed(container, packets, container_options)


def _video(container: str, video_codec: str, audio_codec: str, seconds: int) -> bytes:
    def packets(output: OutputContainer) -> Iterator[AnyPacket]:
        video = output.add_stream(video_codec, rate=FRAMES_PER_SECOND, width=320, height=180, pix_fmt="yuv420p")
        assert isinstance(video, VideoStream)
        audio = _audio_stream(output, audio_codec, 96_000)
        return chain(_pictures(video, seconds), _sound(audio, seconds))

    return _muxed(container, packets)


def _muxed(
    container: str,
    packets: Callable[[OutputContainer], Iterable[AnyPacket]],
    options: Mapping[str, str] = NONE,
) -> bytes:
    """Mux a file without the random serial numbers and the version of the muxer."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, container_options={"fflags": "+bitexact", **options}) as output:
        for packet in packets(output):
            output.mux(packet)
    return buffer.getvalue()


def _audio_stream(
    output: OutputContainer, codec: str, bit_rate: int | None, options: Mapping[str, str] = NONE
) -> AudioStream:
    stream = output.add_stream(codec, rate=RATE, layout="stereo", options=dict(options))
    assert isinstance(stream, AudioStream)
    if bit_rate:
        stream.bit_rate = bit_rate
    return stream


def _sound(stream: AudioStream, seconds: int) -> Iterator[AudioPacket]:
    samples = _chord()
    for second in range(seconds):
        frame = av.AudioFrame(format="s16", layout="stereo", samples=RATE)
        frame.planes[0].update(samples)
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), second * RATE
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _pictures(stream: VideoStream, seconds: int) -> Iterator[VideoPacket]:
    picture = _cover(stream.width, stream.height)
    count = seconds * FRAMES_PER_SECOND
    for index in range(count):
        turned = picture.rotate(360 * index / count).convert("RGBA")
        frame = av.VideoFrame.from_bytes(turned.tobytes(), turned.width, turned.height)
        frame.time_base, frame.pts = Fraction(1, FRAMES_PER_SECOND), index
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _image(kind: str, width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    _cover(width, height).save(buffer, kind)
    return buffer.getvalue()


def _cover(width: int, height: int) -> Image.Image:
    across, rings = Image.linear_gradient("L").rotate(90), Image.radial_gradient("L")
    return Image.merge("RGB", (across, rings, Image.linear_gradient("L"))).resize((width, height))


@cache
def _chord() -> bytes:
    """Return one second of the chord: 16 bit, left and right interleaved, the right one an octave higher."""
    step, loudness = 2 * math.pi / RATE, 32_767 / (len(CHORD) + 1)
    return array(
        "h",
        (
            round(loudness * sum(math.sin(step * octave * hertz * at) for hertz in CHORD))
            for at in range(RATE)
            for octave in (1, 2)
        ),
    ).tobytes()
