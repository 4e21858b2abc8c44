"""What a distribution holds, and the description that it carries.

Rules of this module
- A distribution holds what git tracks and nothing else. What has no ``.git`` is an unpacked distribution, and whole;
  where git is not installed, nobody can tell.
- A wheel has the API's description beside the code. In a checkout it is at the top, and not a symbolic link: Windows
  and archives of a checkout turn one into a file that holds a path.
- An index shows README.md with no repository beside it: relative links lead to the project's home.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)(?=[^)\s]+\))")
_RELATIVE_IMAGE = re.compile(r"(?<=\]\()(?![a-z]+:)(?=[^)\s]+\.(?:svg|png)\))")


class Contents(BuildHookInterface[BuilderConfig]):
    """The files of a wheel and of a source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Leave out what git does not track; what it ignores is left out by Hatchling."""
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"]["openapi.yaml"] = "broker/web/openapi.yaml"
        if Path(self.root, ".git").exists() and shutil.which("git"):
            self.build_config.target_config["exclude"] = [*map(_pattern, _untracked(self.root))]


class Description(MetadataHookInterface):
    """README.md as an index shows it."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme``; the links are below ``project.urls.Source``."""
        home = metadata["urls"]["Source"]
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = _RELATIVE_IMAGE.sub(f"{home}/raw/main/", text)
        text = _RELATIVE_LINK.sub(f"{home}/blob/main/", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def _untracked(root: str) -> list[str]:
    """What git neither tracks nor ignores, by its path below ``root``."""
    trusted = ("-c", "safe.directory=*")  # whoever owns the folder: to build it is to run its code
    words = ("git", *trusted, "ls-files", "--others", "--exclude-standard", "-z")
    listed = subprocess.run(words, cwd=root, check=True, capture_output=True).stdout  # noqa: S603  no word is given
    return [name for name in listed.decode(errors="surrogateescape").split("\0") if name]


def _pattern(path: str) -> str:
    """The pattern that fits this path alone (gitignore, PATTERN FORMAT)."""
    return "/" + re.sub(r"([\\*?\[\] ])", r"\\\1", path)
