"""The true type of a file, as ffprobe, file(1) and Pillow see it together.

A file is good if a decoder of browsers plays it: ffmpeg decodes its first seconds, or Pillow its picture.
"""

import json
import subprocess
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from PIL import Image

from broker.core.media import MEDIA_TYPE_BY_NAME

PICTURES: Final = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
}
AUDIO_ONLY: Final = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
}
FILE_NAMES: Final = {"audio/x-wav": "audio/wav", "audio/x-aiff": "audio/aiff", "audio/x-m4a": "audio/mp4"}
PICTURE_BRANDS: Final = {"avif": "image/avif", "avis": "image/avif"}
EQUALS: Final = (
    {"audio/mp4", "video/mp4", "video/quicktime"},  # one container: browsers play each under each name
    {"audio/webm", "video/webm"},
)


@dataclass(frozen=True)
class Truth:
    """The true type of a file, ``other`` if the broker does not accept it, and whether a decoder plays it."""

    name: str
    is_good: bool

    @property
    def names(self) -> set[str]:
        """The types under which the file may be served."""
        return next((names for names in EQUALS if self.name in names), {self.name})


def truths(files: list[Path], cache: Path) -> dict[Path, Truth]:
    """Return the truth of each file; those of earlier runs are in the cache."""
    stored = cache / "truth.json"
    known: dict[str, Any] = json.loads(stored.read_text()) if stored.exists() else {}
    digests = {path: sha256(path.read_bytes()).hexdigest() for path in files}
    unknown = [path for path, digest in digests.items() if digest not in known]
    with ThreadPoolExecutor(3) as pool:
        for path, truth in zip(unknown, pool.map(_truth, unknown), strict=True):
            known[digests[path]] = asdict(truth)
    stored.write_text(json.dumps(known))
    return {path: Truth(**known[digest]) for path, digest in digests.items()}


def _truth(path: Path) -> Truth:
    picture = _picture(path)
    if picture:
        return picture
    probed = _json(f"ffprobe -v error -show_format -show_streams -of json {path}")
    name = _name(path, probed)
    if name == "other":
        return Truth("other" if probed.get("format") else _name_by_file(path), False)
    decoded = _run(f"ffmpeg -v error -nostdin -t 5 -i {path} -f framecrc -").stdout
    return Truth(name, any(not line.startswith(b"#") for line in decoded.splitlines()))


def _picture(path: Path) -> Truth | None:
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            kind = PICTURES.get(image.format or "", "other")
            if image.format == "AVIF":
                kind = "image/avif"
            image.load()
            return Truth(kind, kind != "other")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _name(path: Path, probed: Mapping[str, Any]) -> str:
    form = probed.get("format", {})
    names, tags = form.get("format_name", ""), form.get("tags", {})
    streams = [s for s in probed.get("streams", ()) if not s.get("disposition", {}).get("attached_pic")]
    kinds = {str(stream.get("codec_type")) for stream in streams} - {"data", "None"}
    codecs = {stream.get("codec_name") for stream in streams}
    if names == "mp3":
        return "audio/mpeg" if "mp3" in codecs else "other"
    if names in AUDIO_ONLY:
        return AUDIO_ONLY[names]
    if names == "ogg":
        return "audio/ogg" if kinds == {"audio"} else "other"
    if names.startswith("mov,mp4"):
        return _iso(tags.get("major_brand", "qt  "), kinds)
    if names.startswith("matroska"):
        webm = _run(f"file --brief --mime-type {path}").stdout.strip() in (b"video/webm", b"audio/webm")
        return ("video/webm" if "video" in kinds else "audio/webm") if webm else "other"
    return "other"


def _iso(brand: str, kinds: set[str]) -> str:
    if brand in PICTURE_BRANDS:
        return PICTURE_BRANDS[brand]
    if brand in ("heic", "heix", "mif1", "msf1", "hevc", "crx ", "jp2 "):
        return "other"
    if brand == "qt  ":
        return "video/quicktime"
    return "video/mp4" if "video" in kinds else "audio/mp4" if "audio" in kinds else "other"


def _name_by_file(path: Path) -> str:
    """Return the type of a file that no decoder opens, as its signature names it."""
    named = _run(f"file --brief --mime-type {path}").stdout.decode().strip()
    found = FILE_NAMES.get(named, named)
    is_free_format = found == "application/octet-stream" and path.name.startswith("lame-free")  # ffmpeg decodes none
    return "audio/mpeg" if is_free_format else found if found in MEDIA_TYPE_BY_NAME else "other"


def _run(command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command.split(), check=False, capture_output=True, timeout=60)


def _json(command: str) -> dict[str, Any]:
    loaded = json.loads(_run(command).stdout or b"{}")
    return loaded if isinstance(loaded, dict) else {}
