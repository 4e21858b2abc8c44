"""The folders of the examples and their index."""

import re

from .conftest import EXAMPLES


def test_each_example_is_in_the_index() -> None:
    """Each folder of the examples has a README and a row in the index."""
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert {path.parent.name for path in EXAMPLES.glob("*/README.md")} == folders
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[([\w-]+)]\(\1/README\.md\)", index, re.MULTILINE)) == folders


def test_locked_packages_name_no_other_registry() -> None:
    """Lock files of the examples have hashes and no address of a registry."""
    for lock in [*EXAMPLES.glob("*/requirements.lock"), *EXAMPLES.glob("*/package-lock.json")]:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in re.sub(
            r'"(?:url|resolved|homepage)": "https://(?:registry\.npmjs\.org|[^"/]*/?)[^"]*"', "", text
        )
        assert "sha256:" in text or "sha512-" in text
