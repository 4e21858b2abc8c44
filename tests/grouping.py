"""Groups of tests that run on one worker of pytest-xdist: those of one file, and in it of one browser engine.

pytest-xdist 3.8 has marks for groups, which pytest 9.2 does not pass on.
"""

import re

from xdist.scheduler import LoadScopeScheduling

_ENGINE = re.compile(r"\[(chromium|firefox|webkit)")


class ByFileAndEngine(LoadScopeScheduling):  # type: ignore[misc]  # the library has no types
    """Sends all tests of a group to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test."""
        engine = _ENGINE.search(nodeid)
        return f"{nodeid.partition('::')[0]} {engine[1] if engine else ''}"
