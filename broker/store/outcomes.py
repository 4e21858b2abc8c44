"""The meaning of each status of the store for the circuit breaker and for a retry, as one table.

A ``Retry-After`` of the store counts in every row: no call is retried before it, and the client receives it too.

Sources: developers.cloudflare.com/r2/api/error-codes and /r2/platform/limits (429 concerns one object), and
developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors (520 to 530).
"""

from typing import Final, NamedTuple


class Outcome(NamedTuple):
    """One row of the table.

    - ``is_retried``: the call is sent once more, because it may succeed a moment later.
    - ``is_failure``: whether the circuit breaker records a failure (True) or a success (False); ``None`` for a
      response that does not show the health of the store.
    """

    name: str
    is_retried: bool
    is_failure: bool | None


FINAL: Final = Outcome("final", is_retried=False, is_failure=False)
"""A success, or an error that a retry would not change."""

OBJECT_THROTTLED: Final = Outcome("object throttled", is_retried=True, is_failure=None)
"""Too many concurrent requests for one object; the store itself may be healthy."""

EDGE_ERROR: Final = Outcome("edge error", is_retried=True, is_failure=True)
"""Cloudflare's edge did not reach the store."""

STORE_ERROR: Final = Outcome("store error", is_retried=True, is_failure=True)
"""The store failed or is overloaded."""

_BY_STATUS: Final = {
    429: OBJECT_THROTTLED,
    **dict.fromkeys((500, 502, 503, 504), STORE_ERROR),
    **dict.fromkeys((*range(520, 527), 530), EDGE_ERROR),
}


def outcome_of(status: int) -> Outcome:
    """Return the row of a status; a status that is not listed is final, whether it is a success or an error."""
    return _BY_STATUS.get(status, FINAL)
