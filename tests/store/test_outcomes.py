"""The effect of each status on a retry, on the circuit breaker and on the client."""

import asyncio
import json

import pytest

from broker.errors import ObjectThrottledError, StorageUnavailableError
from broker.store.circuit_breaker import FAILURES
from broker.store.outcomes import outcome_of

from .calls import DATE, LATE, REF, TARGET, VERBS, facing, opens_at_once, unavailable
from .wire import Act, answer, error, keeps, says

HEAD = VERBS["head"]
GOOD = keeps(HEAD.good)
EDGE = (520, 521, 522, 523, 524, 525, 526, 530)


def throttled(retry_after: str | None = None, code: str = "ServiceUnavailable") -> Act:
    """R2's answer to too many concurrent requests for one object."""
    return keeps(error(429, code, {"Retry-After": retry_after} if retry_after else None))


@pytest.mark.parametrize(
    ("status", "is_retried", "is_failure"),
    [
        (429, True, None),
        *((status, True, True) for status in (500, 502, 503, 504, *EDGE)),
        *((status, False, False) for status in (200, 206, 204, 301, 400, 401, 403, 404, 412, 416, 501, 505, 527, 599)),
    ],
)
def test_the_table(status: int, is_retried: bool, is_failure: bool | None) -> None:
    """Each status has the retry and the effect on the circuit breaker that the table names."""
    assert outcome_of(status)[1:] == (is_retried, is_failure)


@pytest.mark.parametrize("status", [*EDGE, 500, 502, 503, 504, 429])
async def test_e08_a_passing_fault_is_retried(status: int) -> None:
    """After a passing fault the caller receives the good response of the retry."""
    async with facing(says(answer(status)), GOOD) as (store, server):
        assert await HEAD.call(store) == HEAD.result
        assert len(server.requests) == 2


@pytest.mark.parametrize("code", ["ServiceUnavailable", "TooManyRequests"])
async def test_seq05_a_throttled_object_opens_no_circuit(code: str) -> None:
    """However often one object is throttled, the circuit stays closed for the others."""
    async with facing(throttled(code=code)) as (store, server):
        for _ in range(4 * FAILURES):
            with pytest.raises(ObjectThrottledError):
                await HEAD.call(store)
        server.acts = (GOOD,)
        assert await HEAD.call(store) == HEAD.result


async def test_seq05_throttled_objects_have_their_own_retries() -> None:
    """Throttled objects have their own retry budget."""
    async with facing(throttled()) as (store, server):
        for _ in range(100):
            with pytest.raises(ObjectThrottledError):
                await HEAD.call(store)
        server.acts = (*(throttled(),) * len(server.requests), keeps(answer(520)), GOOD)
        assert await HEAD.call(store) == HEAD.result


@pytest.mark.parametrize("status", [500, 520, 530])
async def test_the_log_has_the_reason_of_opening(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log line of an opened circuit has the reason of the last failure."""
    opens_at_once(monkeypatch, pause=60)
    async with facing(says(error(status, "InternalError"))) as (store, _):
        for _ in range(FAILURES):
            await unavailable(store, HEAD)
    (line,) = (json.loads(record.getMessage()) for record in caplog.records)
    assert line == {"event": "broker.store_circuit_opened", "reason": f"HeadObject returned {status}"}


async def test_a_throttled_probe_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a throttled probe the next call is a probe at once."""
    opens_at_once(monkeypatch, pause=0.2)
    async with facing(says(answer(500)), timeouts=LATE) as (store, server):
        for _ in range(FAILURES):
            await unavailable(store, HEAD)
        await asyncio.sleep(0.25)  # past the pause
        server.acts = (throttled("5"),)
        with pytest.raises(ObjectThrottledError):
            await HEAD.call(store)
        server.acts = (GOOD,)
        assert await HEAD.call(store) == HEAD.result


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("5", 5),
        ("0", 0),
        ("86400", 60),
        ("Fri, 15 Jan 2027 08:00:07 GMT", 7),
        (DATE, 0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("soon", 2),
        ("-1", 2),
        ("1.5", 2),
        ("", 2),
    ],
)
async def test_retry_after_is_passed_on(field: str, seconds: int) -> None:
    """The error has the store's Retry-After, at most a minute, and two seconds if there is no valid one."""
    async with facing(says(error(503, "SlowDown", {"Retry-After": field})), timeouts=LATE) as (store, _):
        with pytest.raises(StorageUnavailableError) as refused:
            await HEAD.call(store)
    assert refused.value.retry_after == seconds


async def test_retry_after_is_honoured() -> None:
    """A call whose Retry-After is beyond the deadline is not retried, and the client receives the value."""
    async with facing(throttled("5"), GOOD, timeouts=LATE) as (store, server):
        with pytest.raises(ObjectThrottledError) as refused:
            await HEAD.call(store)
        assert len(server.requests) == 1
    assert refused.value.retry_after == 5


async def test_a_throttled_copy_has_its_own_error() -> None:
    """A throttled copy raises ObjectThrottledError."""
    async with facing(throttled("5"), timeouts=LATE) as (store, _):
        with pytest.raises(ObjectThrottledError):
            await store.copy(REF, TARGET, if_match="abc", headers={})
