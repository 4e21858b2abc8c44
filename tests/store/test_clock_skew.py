"""The difference between our clock and the store's, by the dates of its responses."""

import json

import pytest

from broker.store.clock_skew import ClockSkew

from .calls import NOW, VERBS, facing
from .wire import answer, keeps

HEAD = VERBS["head"]
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"  # NOW


@pytest.mark.parametrize(
    ("sent_at", "received_at", "seconds"),
    [
        (NOW, NOW, 0),
        (NOW + 0.9, NOW + 0.9, 0),
        (NOW - 30, NOW + 30, 0),
        (NOW + 61, NOW + 62, 60),
        (NOW - 62, NOW - 61, -61),
        (NOW - 60, NOW + 3600, 0),
    ],
)
def test_the_duration_of_a_call_is_not_skew(sent_at: float, received_at: float, seconds: float) -> None:
    """The skew is the difference that the duration of the call and the cut to whole seconds do not explain."""
    skew = ClockSkew()
    assert skew.seconds is None
    skew.observe(DATE, sent_at, received_at)
    assert skew.seconds == seconds


def test_a_change_is_reported_once() -> None:
    """A skew of more than a minute is reported once, and so is its end."""
    skew = ClockSkew()
    seen = [skew.observe(DATE, NOW + ahead, NOW + ahead) for ahead in (0, 60, 61, 300, 60, 0, 0)]
    assert seen == [False, False, True, False, True, False, False]


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 15 Jan 2027 08:00:00 CET"])
def test_a_response_without_date_changes_nothing(date: str) -> None:
    """A response without a valid Date does not change the skew."""
    skew = ClockSkew()
    skew.observe(DATE, NOW + 101, NOW + 101)
    assert not skew.observe(date, NOW, NOW)
    assert skew.seconds == 100


async def test_a_successful_response_shows_the_skew(caplog: pytest.LogCaptureFixture) -> None:
    """A fast clock is logged by the dates of successful responses."""
    dated = answer(200, {"ETag": '"abc"', "Last-Modified": DATE, "Content-Length": "11", "Date": DATE})
    early = dated.replace(b"Date: Fri, 15 Jan 2027 08:00:00", b"Date: Fri, 15 Jan 2027 07:55:00")
    async with facing(keeps(early), keeps(early), keeps(dated)) as (store, _):
        for _ in range(2):
            await HEAD.call(store)
            assert store.clock_skew == 299
        await HEAD.call(store)
        assert store.clock_skew == 0
    assert [json.loads(record.getMessage()) for record in caplog.records] == [
        {"event": "broker.clock_skew_changed", "reason": "our clock is +299 s off the store's"},
        {"event": "broker.clock_skew_changed", "reason": "our clock is +0 s off the store's"},
    ]
