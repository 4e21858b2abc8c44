"""Files that encoders make: each container, codec, rate and tag that people send, and the damage that tools leave."""

import io
import random
import struct
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from PIL import Image

SINE: Final = "-f lavfi -i sine=frequency=440:duration=1.5"
PICTURE: Final = "-f lavfi -i testsrc=duration=1:size=160x120:rate=12"
FFMPEG: Final = "ffmpeg -hide_banner -loglevel error -nostdin -y"
VIDEO: Final = f"{FFMPEG} {PICTURE} {SINE} -shortest"

AUDIO: Final = {
    "aac-{0}.aac": ("-c:a aac -b:a {0}k", (32, 64, 128, 256)),
    "adts-{0}.adts": ("-c:a aac -ar {0} -f adts", (8000, 22050, 48000)),
    "tagged-{0}.aac": ("-c:a aac -write_id3v2 1 -metadata title={0} -f adts", ("x",)),
    "alac-{0}.m4a": ("-c:a alac -ac {0}", (1, 2)),
    "aac-{0}.m4a": ("-c:a aac -movflags {0}", ("+faststart", "frag_keyframe+empty_moov", "+dash", "disable_chpl")),
    "book-{0}.m4b": ("-c:a aac -f ipod -metadata title={0}", ("x",)),
    "ring-{0}.m4r": ("-c:a aac -f ipod -metadata title={0}", ("x",)),
    "aac-{0}.3gp": ("-c:a aac -ar {0} -ac 1", (8000, 44100)),
    "aac-{0}.3g2": ("-c:a aac -ar {0} -ac 1", (44100,)),
    "sound-{0}.mov": ("-c:a {0}", ("aac", "pcm_s16le", "pcm_s24be", "alac")),
    "sound-{0}.mp4": ("-c:a {0}", ("aac", "libmp3lame", "ac3", "flac", "libopus")),
    "pcm-{0}.wav": (
        "-c:a {0}",
        (
            "pcm_u8",
            "pcm_s16le",
            "pcm_s24le",
            "pcm_s32le",
            "pcm_f32le",
            "pcm_f64le",
            "pcm_alaw",
            "adpcm_ms",
            "adpcm_ima_wav",
        ),
    ),
    "mp3-{0}.wav": ("-c:a libmp3lame -b:a {0}k", (128,)),
    "rf64-{0}.wav": ("-rf64 {0}", ("always",)),
    "bext-{0}.bwf": ("-write_bext 1 -metadata description={0} -f wav", ("x",)),
    "many-{0}.wave": ("-ac {0} -f wav", (1, 6)),
    "pcm-{0}.aiff": ("-c:a {0}", ("pcm_s8", "pcm_s16be", "pcm_s24be", "pcm_s32be")),
    "tagged-{0}.aif": ("-write_id3v2 1 -metadata title={0} -f aiff", ("x",)),
    "comp-{0}.aifc": ("-c:a {0} -f aiff", ("pcm_s16le", "pcm_alaw", "adpcm_ima_qt")),
    "level-{0}.flac": ("-compression_level {0}", (0, 5, 12)),
    "rate-{0}.flac": ("-ar {0}", (8000, 96000, 192000)),
    "vorbis-{0}.ogg": ("-c:a libvorbis -q:a {0}", (0, 5, 10)),
    "opus-{0}.opus": ("-c:a libopus -b:a {0}k", (16, 64, 256)),
    "flac-{0}.oga": ("-c:a flac -ac {0} -f ogg", (1, 2)),
    "speex-{0}.spx": ("-c:a libspeex -ar {0} -ac 1 -f ogg", (8000, 16000)),
    "opus-{0}.webm": ("-c:a libopus -b:a {0}k", (32, 128)),
    "vorbis-{0}.weba": ("-c:a libvorbis -q:a {0} -f webm", (3,)),
    "live-{0}.webm": ("-c:a libopus -live {0} -f webm", (1,)),
    "opus-{0}.mka": ("-c:a libopus -b:a {0}k", (64,)),
    "wma-{0}.wma": ("-c:a wmav2 -b:a {0}k", (128,)),
    "ac3-{0}.ac3": ("-b:a {0}k", (192,)),
    "core-{0}.caf": ("-c:a {0}", ("pcm_s16le", "alac")),
    "au-{0}.au": ("-ac {0}", (1,)),
    "wv-{0}.wv": ("-ac {0}", (2,)),
    "tta-{0}.tta": ("-ac {0}", (2,)),
    "layer2-{0}.mp2": ("-c:a mp2 -b:a {0}k", (128,)),
    "named-{0}.mp3": ("-c:a mp2 -b:a {0}k -f mp2", (192,)),
    "w64-{0}.w64": ("-ac {0}", (2,)),
}
VIDEOS: Final = {
    "h264-{0}.mp4": ("-c:v libx264 -c:a aac -movflags {0}", ("+faststart", "frag_keyframe+empty_moov", "disable_chpl")),
    "h264-{0}.m4v": ("-c:v libx264 -c:a aac -f {0}", ("mp4", "ipod")),
    "mpeg4-{0}.mp4": ("-c:v mpeg4 -c:a {0}", ("aac", "libmp3lame")),
    "h264-{0}.mov": ("-c:v libx264 -c:a aac -movflags {0}", ("+faststart", "disable_chpl")),
    "other-{0}.mov": ("-c:v {0} -c:a pcm_s16le", ("mjpeg", "prores", "qtrle")),
    "h263-{0}.3gp": ("-c:v h263 -s 176x144 -c:a aac -ar {0}", (8000,)),
    "vp8-{0}.webm": ("-c:v libvpx -c:a {0}", ("libvorbis", "libopus")),
    "vp9-{0}.webm": ("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a {0}", ("libopus",)),
    "silent-{0}.webm": ("-c:v libvpx -an -f {0}", ("webm",)),
    "h264-{0}.mkv": ("-c:v libx264 -c:a {0}", ("aac", "flac")),
    "vp8-{0}.mkv": ("-c:v libvpx -c:a {0}", ("libopus",)),
    "mpeg4-{0}.avi": ("-c:v mpeg4 -c:a {0}", ("libmp3lame",)),
    "theora-{0}.ogv": ("-c:v libtheora -c:a libvorbis -q:v {0}", (5,)),
    "mpeg-{0}.mpg": ("-c:v mpeg{0}video -c:a mp2 -r 25", (1, 2)),
    "h264-{0}.ts": ("-c:v libx264 -c:a {0}", ("aac", "libmp3lame")),
    "flash-{0}.flv": ("-c:v flv1 -c:a libmp3lame -ar {0}", (44100,)),
    "wmv-{0}.wmv": ("-c:v wmv2 -c:a {0}", ("wmav2",)),
}
LAME: Final = {
    **{f"cbr-{rate}.mp3": f"-b {rate} --cbr" for rate in (32, 64, 96, 128, 192, 256, 320)},
    **{f"vbr-{quality}.mp3": f"-V {quality}" for quality in range(10)},
    **{f"rate-{rate}.mp3": f"--resample {rate}" for rate in (8, 11.025, 12, 16, 22.05, 24, 32, 48)},
    **{f"free-{rate}.mp3": f"--freeformat -b {rate}" for rate in (240, 330, 410)},
    **{f"mode-{mode}.mp3": f"-m {mode}" for mode in "sjfm"},
    "no-xing.mp3": "-t",
    "crc.mp3": "-p",
    "id3v1.mp3": "--id3v1-only --tt x",
    "id3v2.mp3": "--id3v2-only --tt x",
    "padded.mp3": "--pad-id3v2-size 30000 --tt x",
    "padded-little.mp3": "--pad-id3v2-size 600 --tt x",
    "emphasis.mp3": "-e 5",
}
TOOLS: Final = {
    "twolame.mp2": "twolame -b 128 {wav} {out}",
    "twolame-named.mp3": "twolame -b 192 {wav} {out}",
    "opusenc.opus": "opusenc --quiet {wav} {out}",
    "opusenc-low.opus": "opusenc --quiet --bitrate 12 --comment TITLE=x {wav} {out}",
    "oggenc.ogg": "oggenc -Q -o {out} {wav}",
    "oggenc-skeleton.ogg": "oggenc -Q -k -o {out} {wav}",
    "speexenc.spx": "speexenc --quiet {wav} {out}",
    "flac.flac": "flac -s -f -o {out} {wav}",
    "flac-padding.flac": "flac -s -f --padding=20000 -o {out} {wav}",
    "flac-no-padding.flac": "flac -s -f --no-padding --no-seektable -o {out} {wav}",
    "flac-ogg.oga": "flac -s -f --ogg -o {out} {wav}",
    **{f"sox-{kind}.{kind}": "sox {wav} {out}" for kind in ("wav", "aiff", "aifc", "flac", "ogg", "mp3", "au", "caf")},
    **{f"sox-{bits}.wav": f"sox {{wav}} -b {bits} {{out}}" for bits in (8, 24, 32)},
    "sox-float.wav": "sox {wav} -e floating-point {out}",
    "sox-gsm.wav": "sox {wav} -e gsm-full-rate -r 8000 -c 1 {out}",
    "sox-ulaw.wav": "sox {wav} -e mu-law {out}",
}


def commands(wav: Path, folder: Path) -> dict[Path, str]:
    """Return the command that makes each file."""
    made = {}
    for prefix, table in ((f"{FFMPEG} {SINE}", AUDIO), (VIDEO, VIDEOS)):
        for name, (options, values) in table.items():
            for value in values:
                label = str(value).replace("+", "").replace("_", "-")
                path = folder / name.format(label)
                made[path] = f"{prefix} {options.format(value)} {path}"
    made |= {
        folder / f"lame-{name}": f"lame --quiet {options} {wav} {folder}/lame-{name}" for name, options in LAME.items()
    }
    return made | {folder / name: command.format(wav=wav, out=folder / name) for name, command in TOOLS.items()}


def encode(cache: Path) -> list[Path]:
    """Make the files that are not in the cache yet, and return all of them."""
    folder = cache / "made"
    folder.mkdir(parents=True, exist_ok=True)
    wav = cache / "source.wav"
    subprocess.run(f"{FFMPEG} {SINE} -ar 44100 -ac 2 {wav}".split(), check=True)
    missing = {path: command for path, command in commands(wav, folder).items() if not path.exists()}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_make, missing.values()))
    for name, content in (*damaged(folder), *pictures()):
        (folder / name).write_bytes(content)
    return sorted(path for path in folder.iterdir() if path.stat().st_size)


def _make(command: str) -> None:
    subprocess.run(command.split(), check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def damaged(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield MP3 and AAC as cutters, taggers and recorders of radio streams leave them; all of them play."""
    mp3, tagged = ((folder / f"lame-{name}").read_bytes() for name in ("cbr-128.mp3", "id3v2.mp3"))
    aac = (folder / "aac-128.aac").read_bytes()
    noise = random.Random(1).randbytes
    icy = b"ICY 200 OK\r\nicy-name:Radio\r\nicy-br:128\r\nContent-Type:audio/mpeg\r\n\r\n"
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 32 + 8, 1, 0xA0000000) + bytes(8)
    for name, start in {
        "zeros-731": bytes(731),
        "zeros-9000": bytes(9000),
        "id3v1-first": b"TAG" + b"x" * 124 + b"\xff",
        "apev2-first": ape + b"\0" * 8,
        "two-tags": id3(300) + id3(5000),
        "large-tag": id3(446_000),
        "large-tag-zeros": id3(60_000) + bytes(2000),
        "tag-12k": id3(12_000),
        "tag-15k": id3(15_900),
        "tag-footer": id3(500, footer=True),
        "tag-v22": id3(700, version=2),
        "stream-title": b"\x02StreamTitle='x';" + bytes(17),
    }.items():
        yield f"{name}.mp3", start + mp3
        yield f"{name}.aac", start + aac
    yield "icy.mp3", icy + mp3
    yield "tag-and-zeros.mp3", tagged[: tagged.index(b"\xff\xfb")] + bytes(731) + mp3
    for cut in (1, 57, 200, 400, 1000, 3333):
        yield f"cut-{cut}.mp3", mp3[cut:]
        yield f"cut-{cut}.aac", aac[cut:]
    yield "noise.mp3", b"\x13" + noise(900) + mp3
    yield "tail-html.mp3", mp3 + b"<html><script>alert(1)</script>"
    flac = (folder / "flac.flac").read_bytes()
    yield "tagged.flac", id3(800) + flac
    yield "tagged-long.flac", id3(90_000) + flac


def id3(length: int, *, version: int = 4, footer: bool = False) -> bytes:
    """Return an ID3v2 tag of ``length`` bytes of padding."""
    size = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    flags = bytes((0x10 if footer else 0,))
    end = b"3DI" + bytes((version, 0)) + flags + size if footer else b""
    return b"ID3" + bytes((version, 0)) + flags + size + bytes(length) + end


def pictures() -> Iterator[tuple[str, bytes]]:
    """Yield pictures in each mode and variant of their formats."""
    base = Image.radial_gradient("L").resize((120, 90))
    frames = [base.rotate(angle) for angle in (0, 30, 60)]
    exif = Image.Exif()
    exif[0x010E] = "x" * 30_000
    variants: dict[str, tuple[str, dict[str, object]]] = {
        "plain.jpg": ("RGB", {}),
        "progressive.jpeg": ("RGB", {"progressive": True}),
        "gray.jpe": ("L", {"quality": 5}),
        "cmyk.jpg": ("CMYK", {}),
        "exif-long.jpg": ("RGB", {"exif": exif}),
        "icc.jfif": ("RGB", {"icc_profile": bytes(40_000)}),
        "comment.jpg": ("RGB", {"comment": b"x" * 20_000}),
        "plain.png": ("RGB", {}),
        "alpha.png": ("RGBA", {}),
        "palette.png": ("P", {}),
        "bits.png": ("1", {}),
        "deep.png": ("I;16", {}),
        "moving.apng": ("RGB", {"save_all": True, "append_images": [f.convert("RGB") for f in frames]}),
        "plain.gif": ("P", {}),
        "moving.gif": ("L", {"save_all": True, "append_images": frames, "loop": 0}),
        "plain.webp": ("RGB", {}),
        "lossless.webp": ("RGBA", {"lossless": True}),
        "moving.webp": ("RGB", {"save_all": True, "append_images": [f.convert("RGB") for f in frames]}),
        "exif.webp": ("RGB", {"exif": exif}),
        "plain.avif": ("RGB", {}),
        "alpha.avif": ("RGBA", {}),
        "moving.avif": ("RGB", {"save_all": True, "append_images": [f.convert("RGB") for f in frames]}),
        "plain.bmp": ("RGB", {}),
        "plain.tiff": ("RGB", {}),
        "plain.jp2": ("RGB", {}),
        "plain.ico": ("RGB", {}),
    }
    kinds = {"jpg": "JPEG", "jpeg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "apng": "PNG", "jp2": "JPEG2000"}
    for name, (mode, options) in variants.items():
        kind = name.rpartition(".")[2]
        buffer = io.BytesIO()
        base.convert(mode).save(buffer, kinds.get(kind, kind.upper()), **options)
        yield f"picture-{name}", buffer.getvalue()
