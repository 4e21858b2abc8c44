"""File descriptors: the limit of a process, and the share of it that is for clients' connections."""

import sys
from contextlib import suppress
from typing import Final

LIMIT_MAX: Final = 65_536
"""Maximum number of file descriptors that a process requests."""

RESERVE: Final = 4096
"""File descriptors kept for the store, the identity service, metrics and files; at most half of all.

One process makes at most three concurrent calls to the store for each of R2_CONCURRENCY.
"""


def raise_limit() -> None:
    """Raise the soft limit to the hard limit, but not above ``LIMIT_MAX`` (setrlimit(2)); do nothing on Windows."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  Windows does not have it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _bounded(hard)
    if _bounded(soft) < wanted:
        with suppress(ValueError, OSError):  # macOS may allow fewer than its hard limit: kern.maxfilesperproc
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_max() -> int | None:
    """Return how many clients may be connected at the same time, or ``None`` if the limit is unknown."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  Windows does not have it

    limit = _bounded(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return limit - min(limit // 2, RESERVE)


def _bounded(limit: int) -> int:
    return LIMIT_MAX if limit < 0 else min(limit, LIMIT_MAX)  # RLIM_INFINITY is negative: docs.python.org, resource
