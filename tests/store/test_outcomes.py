"""What each kind of answer does to the next call, to the circuit breaker and to the client: the table of outcomes."""

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
    """Each status has one row."""
    assert outcome_of(status)[1:] == (is_retried, is_failure)


@pytest.mark.parametrize("status", [*EDGE, 500, 502, 503, 504, 429])
async def test_e08_a_passing_fault_is_passed_by_one_repetition(status: int) -> None:
    """The caller sees the good answer that follows."""
    async with facing(says(answer(status)), GOOD) as (store, server):
        assert await HEAD.call(store) == HEAD.result
        assert len(server.requests) == 2


@pytest.mark.parametrize("code", ["ServiceUnavailable", "TooManyRequests"])
async def test_seq05_a_throttled_object_says_nothing_of_the_store(code: str) -> None:
    """However often one object is throttled, the circuit breaker stays closed for the others."""
    async with facing(throttled(code=code)) as (store, server):
        for _ in range(4 * FAILURES):
            with pytest.raises(ObjectThrottledError):
                await HEAD.call(store)
        server.acts = (GOOD,)
        assert await HEAD.call(store) == HEAD.result


async def test_seq05_throttled_objects_use_up_no_other_second_attempts() -> None:
    """The retry budget of throttled objects is their own."""
    async with facing(throttled()) as (store, server):
        for _ in range(100):
            with pytest.raises(ObjectThrottledError):
                await HEAD.call(store)
        server.acts = (*(throttled(),) * len(server.requests), keeps(answer(520)), GOOD)
        assert await HEAD.call(store) == HEAD.result


@pytest.mark.parametrize("status", [500, 520, 530])
async def test_a_store_that_fails_opens_the_circuit_and_the_line_says_why(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason of the failure that opened it stands in the log."""
    opens_at_once(monkeypatch, pause=60)
    async with facing(says(error(status, "InternalError"))) as (store, _):
        for _ in range(FAILURES):
            await unavailable(store, HEAD)
    (line,) = (json.loads(record.getMessage()) for record in caplog.records)
    assert line == {"event": "broker.store_circuit_opened", "reason": f"HeadObject returned {status}"}


async def test_a_throttled_probe_leaves_the_next_call_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One user's throttled object does not keep the circuit open."""
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
async def test_the_client_is_told_the_stores_retry_after(field: str, seconds: int) -> None:
    """Seconds or a date, at most a minute; without one that can be read, two seconds."""
    async with facing(says(error(503, "SlowDown", {"Retry-After": field})), timeouts=LATE) as (store, _):
        with pytest.raises(StorageUnavailableError) as refused:
            await HEAD.call(store)
    assert refused.value.retry_after == seconds


async def test_no_call_is_retried_before_the_stores_retry_after() -> None:
    """A wait that does not fit into the deadline is left to the client."""
    async with facing(throttled("5"), GOOD, timeouts=LATE) as (store, server):
        with pytest.raises(ObjectThrottledError) as refused:
            await HEAD.call(store)
        assert len(server.requests) == 1
    assert refused.value.retry_after == 5


async def test_a_throttled_copy_is_told_apart_from_a_store_that_fails() -> None:
    """Its caller looks whether another copy made the object."""
    async with facing(throttled("5"), timeouts=LATE) as (store, _):
        with pytest.raises(ObjectThrottledError):
            await store.copy(REF, TARGET, if_match="abc", headers={})
