"""File descriptors: the limit of a process, and how many of them are left to clients' connections."""

import sys
from contextlib import suppress
from typing import Final

LIMIT_MAX: Final = 65_536
"""File descriptors that a process asks for, where the system allows more."""

RESERVE: Final = 4096
"""File descriptors kept for the store, the identity service, metrics and files; at most half of all.

The calls of the store that one process makes at the same time are at most three for each of R2_CONCURRENCY.
"""


def raise_limit() -> None:
    """Raise the soft limit to the hard one, to ``LIMIT_MAX`` at most (setrlimit(2)). Windows has no such limit."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  Windows does not have it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _counted(hard)
    if _counted(soft) < wanted:
        with suppress(ValueError, OSError):  # macOS may allow fewer than its hard limit: kern.maxfilesperproc
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_max() -> int | None:
    """Return how many clients may be connected at the same time, or ``None`` where no limit is known."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  Windows does not have it

    limit = _counted(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return limit - min(limit // 2, RESERVE)


def _counted(limit: int) -> int:
    return LIMIT_MAX if limit < 0 else min(limit, LIMIT_MAX)  # RLIM_INFINITY is negative: docs.python.org, resource
