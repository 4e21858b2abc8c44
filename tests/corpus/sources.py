"""Media files of public packages, fetched into the cache; nothing of them is committed.

The source distributions of mutagen and Pillow have the files of their own tests; Debian's packages have sounds. The npm
packages music-metadata and file-type ship none.
"""

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SDISTS: Final = ("mutagen", "pillow")
FOLDERS: Final = (Path("/usr/share/sounds"), Path("/usr/share/pixmaps"))
"""Where Debian's sound-theme-freedesktop and alsa-utils install their files."""

EXTENSIONS: Final = (
    "mp3 mp2 m4a m4b m4r ogg oga opus spx flac wav wave bwf aif aiff aifc aac adts mp4 m4v mov 3gp 3g2 webm weba "
    "mkv mka wma ape wv mpc caf mid midi jpg jpeg jpe jfif png apng gif webp avif heic heif bmp tif tiff jp2 ico"
)
FILES_MAX: Final = 400
"""Files of one extension in one package: Pillow alone has 422 PNGs."""


def gather(cache: Path) -> list[Path]:
    """Fetch the packages and return their files."""
    archives = cache / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    for name in SDISTS:
        if not list(archives.glob(f"{name}-*.tar.gz")):
            _run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name, name, "-d", archives)
    found = [path for archive in sorted(archives.iterdir()) for path in _unpacked(archive, cache / "packages")]
    found += [path for folder in FOLDERS for path in sorted(folder.rglob("*")) if _is_wanted(path.name)]
    return [path for path in found if path.is_file()]


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _unpacked(archive: Path, folder: Path) -> Iterator[Path]:
    """Extract the media files of an archive into one flat folder, and yield them."""
    target = folder / archive.name.partition("-")[0]
    if not target.is_dir():
        target.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            members = [member for member in tar if member.isfile() and _is_wanted(member.name)]
            for number, member in enumerate(members):
                content = tar.extractfile(member) or io.BytesIO()
                (target / f"{number:04}-{Path(member.name).name}").write_bytes(content.read())
    counts: dict[str, int] = {}
    for path in sorted(target.iterdir()):
        counts[path.suffix] = counts.get(path.suffix, 0) + 1
        if counts[path.suffix] <= FILES_MAX:
            yield path


def _is_wanted(name: str) -> bool:
    return name.rpartition(".")[2].lower() in EXTENSIONS.split()
