"""What the adapter makes of a store that fails, one test for each row of the catalogue of storage faults."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from broker.core.limits import PUT_MAX
from broker.errors import StorageUnavailableError
from broker.store.s3 import COPIED_A_SECOND
from broker.store.timeouts import Timeouts
from tests.patience import SLACK

from .calls import REF, TARGET, TIMEOUTS, VERBS, Verb, every_verb, facing, store_at, unavailable
from .wire import Act, answer, drips, error, keeps, resets, says, silence, silence_then, wire


@every_verb
async def test_a_good_answer_needs_one_request(verb: Verb) -> None:
    async with facing(says(verb.good)) as (store, server):
        assert await verb.call(store) == verb.result
        assert len(server.requests) == 1


async def test_s01_head_404_is_none() -> None:
    async with facing(says(answer(404))) as (store, _):
        assert await VERBS["head"].call(store) is None


@pytest.mark.parametrize("verb", ["first_bytes", "copy", "delete", "ping"])
async def test_s01_no_such_key_is_none(verb: str) -> None:
    async with facing(says(error(404, "NoSuchKey"))) as (store, server):
        assert await VERBS[verb].call(store) is None
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("verb", "gone"),
    [("list_parts", None), ("complete_multipart", False), ("abort_multipart", None), ("copy_part", False)],
)
async def test_a_multipart_upload_that_is_gone_is_a_value(verb: str, gone: object) -> None:
    async with facing(says(error(404, "NoSuchUpload"))) as (store, server):
        assert await VERBS[verb].call(store) is gone
        assert len(server.requests) == 1


async def test_a_range_of_another_version_is_not_copied() -> None:
    async with facing(says(error(412, "PreconditionFailed"))) as (store, _):
        assert await VERBS["copy_part"].call(store) is False


async def test_a_completion_onto_an_object_is_a_value() -> None:
    async with facing(says(error(412, "PreconditionFailed"))) as (store, _):
        assert await VERBS["complete_multipart"].call(store) is False


async def test_a_store_without_conditions_of_ranges_is_asked_without_them() -> None:
    """Cloudflare's local R2 does not implement them; the promotion's last look at its source remains."""
    async with facing(keeps(error(501, "NotImplemented")), keeps(VERBS["copy_part"].good)) as (store, server):
        for _ in range(2):
            assert await VERBS["copy_part"].call(store) is True
    assert ["if-match" in request for request in server.requests] == [True, False, False]


async def test_a_range_of_a_source_that_is_gone_is_not_copied() -> None:
    async with facing(says(error(404, "NoSuchKey"))) as (store, _):
        assert await VERBS["copy_part"].call(store) is False


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "head"])
async def test_s01_no_such_bucket_is_an_operators_error(verb: str) -> None:
    async with facing(says(error(404, "NoSuchBucket"))) as (store, _):
        assert "404, NoSuchBucket" in await unavailable(store, VERBS[verb])


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "head"])
async def test_s01_a_404_that_is_not_the_stores_says_nothing(verb: str) -> None:
    page = answer(404, {"Content-Type": "text/html"}, b"<html><body>Not found: NoSuchKey</body></html>")
    async with facing(says(page)) as (store, _):
        await unavailable(store, VERBS[verb])


@every_verb
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(error(401, "Unauthorized"), id="S02 unknown key"),
        pytest.param(error(403, "SignatureDoesNotMatch"), id="S02 wrong secret"),
        pytest.param(error(403, "AccessDenied"), id="S02 wrong permission"),
        pytest.param(error(400, "ExpiredRequest"), id="S03 expired"),
        pytest.param(error(400, "InvalidObjectName"), id="S03 bad key"),
        pytest.param(error(400, "AuthorizationHeaderMalformed"), id="S10 wrong region"),
        pytest.param(error(501, "NotImplemented"), id="not implemented"),
    ],
)
async def test_s02_s03_a_refusal_is_never_not_uploaded_and_is_not_asked_for_again(verb: Verb, said: bytes) -> None:
    async with facing(says(said)) as (store, server):
        reason = await unavailable(store, verb)
        assert said.split(b" ")[1].decode() in reason
        without_condition = verb is VERBS["copy_part"] and b"501" in said
        assert len(server.requests) == 1 + without_condition


async def test_s02_the_reason_has_operation_status_code_and_trace_ids() -> None:
    said = error(403, "AccessDenied", {"CF-RAY": "8f1c2d3e4f5a6b7c-FRA", "x-amz-request-id": "18EABCECFAEAA9BE"})
    async with facing(says(said)) as (store, _):
        reason = await unavailable(store, VERBS["first_bytes"])
    assert reason == (
        "GetObject returned 403, AccessDenied, cf-ray 8f1c2d3e4f5a6b7c-FRA, x-amz-request-id 18EABCECFAEAA9BE"
    )


async def test_s02_a_code_or_a_trace_id_that_reads_as_none_is_not_repeated() -> None:
    said = error(403, "http://127.0.0.1/?X-Amz-Signature=0", {"cf-ray": "<script>", "x-amz-request-id": "a b"})
    async with facing(says(said)) as (store, _):
        assert await unavailable(store, VERBS["first_bytes"]) == "GetObject returned 403"


@every_verb
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_s04_what_may_pass_is_tried_twice(verb: Verb, status: int) -> None:
    async with facing(says(error(status, "SlowDown"))) as (store, server):
        assert str(status) in await unavailable(store, verb)
        assert len(server.requests) == 2


@every_verb
@pytest.mark.parametrize("first", [says(error(503, "SlowDown")), resets(), says(b"")], ids=["503", "reset", "closed"])
async def test_s04_what_passed_is_not_seen(verb: Verb, first: Act) -> None:
    async with facing(first, says(verb.good)) as (store, server):
        assert await verb.call(store) == verb.result
        assert len(server.requests) == 2


async def test_s04_each_attempt_is_signed_anew() -> None:
    async with facing(says(error(503, "SlowDown")), says(VERBS["head"].good)) as (store, server):
        times = iter(range(1_800_000_000, 1_800_000_100, 10))
        store._transport._clock = lambda: next(times)
        await store.head(REF)
        first, second = server.requests
    assert "X-Amz-Date=20270115T080000Z" in first
    assert "X-Amz-Date=20270115T080000Z" not in second


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port whose queue of connections is full: a SYN to it gets no answer."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@every_verb
async def test_s05_no_answer_to_a_syn(verb: Verb, black_hole: int) -> None:
    async with store_at(f"http://127.0.0.1:{black_hole}", Timeouts(connect=0.1, total=2, copy=2)) as store:
        reason = await unavailable(store, verb, within=2 * 0.1 + 0.25)
    assert "ConnectionTimeoutError" in reason


@every_verb
async def test_s05_a_server_that_says_nothing(verb: Verb) -> None:
    async with facing(silence, timeouts=TIMEOUTS) as (store, server):
        assert "TimeoutError" in await unavailable(store, verb)
        assert len(server.requests) == 1


@every_verb
async def test_s06_a_dripping_header_and_a_dripping_body_end_at_the_deadline(verb: Verb) -> None:
    async with facing(drips(verb.good, 0.05), timeouts=TIMEOUTS) as (store, _):
        assert "TimeoutError" in await unavailable(store, verb)


@pytest.mark.parametrize(
    ("size", "at_most", "within"), [(1, 60, 0.1), (COPIED_A_SECOND // 2, 60, 0.6), (PUT_MAX, 1, 1.0)]
)
async def test_s06_a_copy_that_hangs_is_waited_for_the_longer_the_larger_it_is(
    size: int, at_most: float, within: float
) -> None:
    async with (
        wire(silence) as server,
        store_at(f"http://127.0.0.1:{server.port}", Timeouts(connect=0.3, total=0.1, copy=at_most)) as store,
    ):
        began = time.monotonic()
        with pytest.raises(StorageUnavailableError):
            await store.copy(REF, TARGET, if_match="abc", headers={}, size=size)
        assert within <= time.monotonic() - began < within + SLACK


async def test_s06_a_copy_has_a_deadline_of_its_own() -> None:
    async with (
        wire(silence_then(VERBS["copy"].good)) as server,
        store_at(f"http://127.0.0.1:{server.port}", Timeouts(connect=0.3, total=0.1, copy=5)) as store,
    ):
        assert await VERBS["copy"].call(store) == VERBS["copy"].result


@every_verb
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(resets(), id="reset before the header"),
        pytest.param(resets(b"HTTP/1.1 200 O"), id="reset inside the header"),
        pytest.param(resets(answer(200, {"Content-Length": "900"})), id="reset inside the body"),
        pytest.param(says(b""), id="closed"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Le"), id="closed inside the header"),
        pytest.param(says(answer(200, {"Content-Length": "900"}, b"<")), id="closed inside the body"),
        pytest.param(says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), id="another protocol"),
        pytest.param(says(bytes(range(256)) * 4), id="garbage"),
        pytest.param(says(answer(200, {f"X-{n}": "1" for n in range(300)})), id="300 headers"),
        pytest.param(says(answer(200, {"X-Long": "1" * 100_000})), id="a header of 100 kB"),
    ],
)
async def test_s07_a_broken_answer_is_no_answer(verb: Verb, act: Act) -> None:
    async with facing(act) as (store, server):
        await unavailable(store, verb)
        assert len(server.requests) <= 2


@every_verb
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_s09_no_redirect_is_followed(verb: Verb, status: int) -> None:
    async with wire(says(verb.good)) as elsewhere:
        away = {"Location": f"http://127.0.0.1:{elsewhere.port}/", "x-amz-bucket-region": "eu-west-1"}
        async with facing(says(error(status, "PermanentRedirect", away))) as (store, server):
            assert str(status) in await unavailable(store, verb)
            assert len(server.requests) == 1
        assert elsewhere.connections == 0


@every_verb
async def test_s11_a_skewed_clock_is_named(verb: Verb) -> None:
    said = error(403, "RequestTimeTooSkewed", {"Date": "Wed, 15 Jan 2025 08:00:00 GMT"})
    async with facing(says(said)) as (store, _):
        assert "our clock is +63072000 s off the store's" in await unavailable(store, verb)


async def test_s11_a_clock_a_minute_off_is_named() -> None:
    """URLs of a slow clock are refused as AccessDenied, long before the store names the clock."""
    async with facing(says(error(403, "AccessDenied", {"Date": "Fri, 15 Jan 2027 08:01:00 GMT"}))) as (store, _):
        assert "our clock is -60 s off the store's" in await unavailable(store, VERBS["head"])


async def test_s11_a_clock_that_agrees_is_not_named() -> None:
    async with facing(says(error(403, "AccessDenied", {"Date": "Fri, 15 Jan 2027 08:00:59 GMT"}))) as (store, _):
        assert "clock" not in await unavailable(store, VERBS["head"])


@every_verb
async def test_s12_a_name_that_does_not_resolve(verb: Verb) -> None:
    async with store_at("http://localhost.invalid:9", TIMEOUTS) as store:
        await unavailable(store, verb)


@every_verb
async def test_s12_a_refused_connection(verb: Verb) -> None:
    async with store_at("http://127.0.0.1:1") as store:
        assert "ConnectionRefusedError" in await unavailable(store, verb)


async def test_s16_no_more_calls_are_in_flight_than_slots_and_the_rest_ends_in_time() -> None:
    async with facing(silence, timeouts=TIMEOUTS, concurrency=4) as (store, server):
        began = time.monotonic()
        calls = asyncio.gather(*(store.head(REF) for _ in range(100)), return_exceptions=True)
        await asyncio.sleep(TIMEOUTS.total / 2)  # while the first still wait
        assert server.connections == 4
        assert {type(outcome) for outcome in await calls} == {StorageUnavailableError}
        assert time.monotonic() - began < TIMEOUTS.total + SLACK


async def test_s18_a_connection_that_died_while_idle_is_not_seen() -> None:
    good = VERBS["head"].good
    async with facing(keeps(good), resets(), says(good)) as (store, server):
        assert await store.head(REF) == await store.head(REF) == VERBS["head"].result
        assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize("ends", [resets(), says(b"")], ids=["reset", "closed"])
async def test_s18_lost_connections_cost_no_second_attempts(ends: Act) -> None:
    """However many kept connections a store closes, no call fails for it."""
    good = VERBS["head"].good
    async with facing(*(keeps(good), ends) * 100, keeps(good)) as (store, server):
        for _ in range(100):
            assert await store.head(REF) == VERBS["head"].result
        assert server.connections == 100


async def test_a_second_attempt_goes_on_a_fresh_connection() -> None:
    """What is wrong may be the connection, or the one machine that it leads to."""
    async with facing(keeps(error(503, "SlowDown")), keeps(VERBS["head"].good)) as (store, server):
        assert await store.head(REF) == VERBS["head"].result
        assert server.connections == 2


async def test_s15_a_store_that_is_back_is_used_again() -> None:
    async with wire(says(VERBS["head"].good)) as server:
        port = server.port
        async with store_at(f"http://127.0.0.1:{port}") as store:
            assert await store.head(REF) == VERBS["head"].result
            server.acts = (resets(),)
            await unavailable(store, VERBS["head"])
            server.acts = (says(VERBS["head"].good),)
            assert await store.head(REF) == VERBS["head"].result


async def test_a_closed_store_opens_again_for_the_next_call() -> None:
    async with facing(keeps(VERBS["head"].good)) as (store, server):
        await store.head(REF)
        await store.close()
        assert await store.head(REF) == VERBS["head"].result
        assert server.connections == 2
