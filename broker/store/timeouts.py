"""The timeouts of calls to the store."""

import asyncio
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds.

    - ``connect``: one connection.
    - ``copy``: a large copy, or CompleteMultipartUpload.
    - ``listing``: all pages of a listing.
    - ``total``: any other call. A smaller copy has that and more time for its size.
    """

    connect: float = 1.0
    total: float = 3.0
    listing: float = 10.0
    copy: float = 60.0


DEFAULT_TIMEOUTS: Final = Timeouts()
"""The timeouts of a deployment."""


def instant_after(seconds: float) -> float:
    """Return the instant of the event loop's clock that is ``seconds`` from now."""
    return asyncio.get_running_loop().time() + seconds
