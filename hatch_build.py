"""Build hooks for Hatchling: the files of a distribution, and its description.

Rules of this module
- A distribution contains the files that git tracks, and no others. A folder without ``.git`` is an unpacked source
  distribution and is used as a whole; so is a checkout on a machine without git.
- A wheel contains ``openapi.yaml`` beside the code. A checkout has it in the root folder, without a symbolic link:
  Windows and ZIP downloads replace a symbolic link by a file that contains a path.
- A package index shows README.md without the repository: relative links are replaced by links to the project's home.
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
    """Choose the files of a wheel and of a source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Exclude untracked files. Hatchling itself excludes the files that ``.gitignore`` names."""
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"]["openapi.yaml"] = "broker/web/openapi.yaml"
        if Path(self.root, ".git").exists() and shutil.which("git"):
            self.build_config.target_config["exclude"] = [*map(_pattern, _untracked(self.root))]


class Description(MetadataHookInterface):
    """Set the description to README.md with absolute links."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme``. The links start with ``project.urls.Source``."""
        home = metadata["urls"]["Source"]
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = _RELATIVE_IMAGE.sub(f"{home}/raw/main/", text)
        text = _RELATIVE_LINK.sub(f"{home}/blob/main/", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def _untracked(root: str) -> list[str]:
    """Return the paths, relative to ``root``, of files that git neither tracks nor ignores."""
    trusted = ("-c", "safe.directory=*")  # git refuses the folder of another user otherwise
    words = ("git", *trusted, "ls-files", "--others", "--exclude-standard", "-z")
    listed = subprocess.run(words, cwd=root, check=True, capture_output=True).stdout  # noqa: S603  all words are constants
    return [name for name in listed.decode(errors="surrogateescape").split("\0") if name]


def _pattern(path: str) -> str:
    """Return the gitignore pattern that matches this path alone (gitignore(5), PATTERN FORMAT)."""
    return "/" + re.sub(r"([\\*?\[\] ])", r"\\\1", path)
