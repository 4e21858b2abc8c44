"""The rule for licences of packages."""

import pytest

from .sbom import allowed_licences, refused


@pytest.mark.parametrize(
    ("licence", "is_allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("GPL-3.0-only OR MIT", True),
        ("Apache-2.0 AND BSD-2-Clause", True),
        ("Apache Software License; MIT License", True),
        ("MIT AND GPL-2.0-only", False),
        ("MIT License; GNU General Public License v3 (GPLv3)", False),
        ("(MIT OR GPL-2.0-only) AND AGPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_licence_must_be_allowed(licence: str, is_allowed: bool) -> None:
    """A licence is allowed if one alternative, or every part of several, is in the list."""
    assert refused({"package": licence}, allowed_licences()) == ({} if is_allowed else {"package": licence})
