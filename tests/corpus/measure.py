"""What the broker decides about the corpus: at create by the name, at confirm by the first bytes."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from timeit import repeat
from typing import Final

from broker.core.media import MEDIA_TYPES, SNIFF_BYTES, MediaType, resolve_media_type

from .disguises import disguises
from .truth import Truth

DECLARED: Final = {  # as Chromium, Firefox, Windows and Android pickers name files; "" where they do not know the type
    "mp3": ("audio/mpeg", "audio/mp3"),
    "wav": ("audio/wav", "audio/x-wav", "audio/vnd.wave"),
    "ogg": ("audio/ogg", "application/ogg", "video/ogg"),
    "oga": ("audio/ogg",),
    "opus": ("audio/ogg", "audio/x-opus+ogg"),
    "spx": ("audio/ogg", "audio/x-speex+ogg", ""),
    "flac": ("audio/flac", "audio/x-flac"),
    "m4a": ("audio/x-m4a", "audio/mp4", "audio/mp4a-latm"),
    "m4b": ("audio/x-m4b", "audio/mp4"),
    "m4r": ("audio/x-m4r",),
    "aac": ("audio/aac", "audio/vnd.dlna.adts", "audio/x-hx-aac-adts"),
    "adts": ("audio/aac", "audio/vnd.dlna.adts"),
    "aif": ("audio/x-aiff", "audio/aiff"),
    "aiff": ("audio/x-aiff", "audio/aiff"),
    "aifc": ("audio/x-aifc", "audio/x-aiff"),
    "weba": ("audio/webm",),
    "webm": ("video/webm", "audio/webm;codecs=opus"),
    "mp4": ("video/mp4", "application/mp4"),
    "m4v": ("video/mp4", "video/x-m4v"),
    "mov": ("video/quicktime",),
    "3gp": ("video/3gpp", "audio/3gpp"),
    "3g2": ("video/3gpp2",),
    "jpg": ("image/jpeg", "image/pjpeg"),
    "png": ("image/png",),
    "apng": ("image/png", "image/apng"),
    "gif": ("image/gif",),
    "webp": ("image/webp",),
    "avif": ("image/avif",),
}
UNNAMED: Final = ("", "application/octet-stream", "binary/octet-stream")


@dataclass
class Findings:
    """The decisions about a corpus."""

    refused_at_create: list[str] = field(default_factory=list)
    refused_at_confirm: list[str] = field(default_factory=list)
    accepted_wrongly: list[str] = field(default_factory=list)
    accepted_disguises: list[str] = field(default_factory=list)
    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    good: int = 0
    pairs: int = 0
    wrong_pairs: int = 0
    disguise_pairs: int = 0
    second_reads: int = 0
    confirms: int = 0


def is_recognised(media: MediaType, content: bytes) -> tuple[bool, bool]:
    """Return whether the broker accepts a file as ``media``, and whether it needs a second read, as at confirm."""
    at = media.content_beyond(content[:SNIFF_BYTES], len(content))
    return media.matches(content[at : at + SNIFF_BYTES], len(content) - at), at > 0


def measure(truths: dict[Path, Truth]) -> Findings:
    """Return what the broker decides about each file under each type."""
    found = Findings()
    for path, truth in truths.items():
        content = path.read_bytes()
        if truth.name != "other" and truth.is_good:
            _measure_good(found, path, truth, content)
        for media in MEDIA_TYPES:
            accepted, _ = is_recognised(media, content)
            if accepted:
                found.table[truth.name, media.name] += 1
            if media.name not in truth.names:
                found.wrong_pairs += 1
                if accepted:
                    found.accepted_wrongly.append(f"{path.parent.name}/{path.name} ({truth.name}) as {media.name}")
    for label, content in disguises():
        for media in MEDIA_TYPES:
            found.disguise_pairs += 1
            if is_recognised(media, content)[0]:
                found.accepted_disguises.append(f"{label} as {media.name}")
    return found


def _measure_good(found: Findings, path: Path, truth: Truth, content: bytes) -> None:
    found.good += 1
    extension = path.suffix[1:].lower()
    named = resolve_media_type("", path.name)
    if named is None or named.name not in truth.names:
        declared: tuple[str, ...] = (truth.name,)  # a file with the extension of another format
    else:
        declared = (*DECLARED.get(extension, ()), *UNNAMED, f"{named.name}; charset=binary")
    for text in declared:
        media = resolve_media_type(text, path.name)
        if media is None or media.name not in truth.names:
            found.refused_at_create.append(f"{path.name} as {text!r}")
            continue
        accepted, twice = is_recognised(media, content)
        found.pairs += 1
        found.confirms += 1
        found.second_reads += twice
        if not accepted:
            found.refused_at_confirm.append(f"{path.parent.name}/{path.name} as {media.name}")


def microseconds(files: list[Path]) -> float:
    """Return the time of one decision in microseconds: each file under each type, the fastest of several runs."""
    heads = [(content[:SNIFF_BYTES], len(content)) for content in (path.read_bytes() for path in files)]

    def decide() -> None:
        for head, size in heads:
            for media in MEDIA_TYPES:
                media.matches(head, size)

    return min(repeat(decide, number=1, repeat=5)) / (len(heads) * len(MEDIA_TYPES)) * 1e6
