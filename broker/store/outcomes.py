"""What a status of the store means for the object, for the store and for the next call: one table.

A ``Retry-After`` of the store is honoured in every row: no call is repeated before it, and the client is told it.

Sources: developers.cloudflare.com/r2/api/error-codes and /r2/platform/limits (429 concerns one object), and
developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors (520 to 530).
"""

from typing import Final, NamedTuple


class Outcome(NamedTuple):
    """One row. ``is_repeated``: the same call is made once more, for it may succeed a moment later.

    ``is_failure``: whether the circuit breaker counts a failure of the store (True) or a success (False). ``None``: the
    answer says nothing of the store.
    """

    name: str
    is_repeated: bool
    is_failure: bool | None


ANSWERED: Final = Outcome("answered", is_repeated=False, is_failure=False)
OBJECT_THROTTLED: Final = Outcome("object throttled", is_repeated=True, is_failure=None)
EDGE_FAULT: Final = Outcome("edge fault", is_repeated=True, is_failure=True)
STORE_IN_TROUBLE: Final = Outcome("store in trouble", is_repeated=True, is_failure=True)

_BY_STATUS: Final = {
    429: OBJECT_THROTTLED,
    **dict.fromkeys((500, 502, 503, 504), STORE_IN_TROUBLE),
    **dict.fromkeys((*range(520, 527), 530), EDGE_FAULT),
}


def outcome_of(status: int) -> Outcome:
    """The row of a status; every status that is not listed is an answer, whatever it says."""
    return _BY_STATUS.get(status, ANSWERED)
