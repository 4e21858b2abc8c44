"""A failing store, with one test for each row of the catalogue of storage faults."""

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
async def test_a_good_response_needs_one_request(verb: Verb) -> None:
    """An operation that succeeds sends one request."""
    async with facing(says(verb.good)) as (store, server):
        assert await verb.call(store) == verb.result
        assert len(server.requests) == 1


async def test_s01_head_404_is_none() -> None:
    """HeadObject with a 404 returns None."""
    async with facing(says(answer(404))) as (store, _):
        assert await VERBS["head"].call(store) is None


@pytest.mark.parametrize("verb", ["first_bytes", "copy", "delete", "ping"])
async def test_s01_no_such_key_is_none(verb: str) -> None:
    """NoSuchKey is a value."""
    async with facing(says(error(404, "NoSuchKey"))) as (store, server):
        assert await VERBS[verb].call(store) is None
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("verb", "gone"),
    [("list_parts", None), ("complete_multipart", False), ("abort_multipart", None), ("copy_part", False)],
)
async def test_no_such_upload_is_a_value(verb: str, gone: object) -> None:
    """NoSuchUpload is a value."""
    async with facing(says(error(404, "NoSuchUpload"))) as (store, server):
        assert await VERBS[verb].call(store) is gone
        assert len(server.requests) == 1


async def test_a_changed_source_part_is_not_copied() -> None:
    """UploadPartCopy with a failed condition returns False."""
    async with facing(says(error(412, "PreconditionFailed"))) as (store, _):
        assert await VERBS["copy_part"].call(store) is False


async def test_a_completion_onto_an_object_is_a_value() -> None:
    """CompleteMultipartUpload onto an existing object returns False."""
    async with facing(says(error(412, "PreconditionFailed"))) as (store, _):
        assert await VERBS["complete_multipart"].call(store) is False


async def test_a_501_ends_part_conditions() -> None:
    """After a 501 UploadPartCopy is sent without its condition, now and later."""
    async with facing(keeps(error(501, "NotImplemented")), keeps(VERBS["copy_part"].good)) as (store, server):
        for _ in range(2):
            assert await VERBS["copy_part"].call(store) is True
    assert ["if-match" in request for request in server.requests] == [True, False, False]


async def test_a_missing_source_part_is_not_copied() -> None:
    """UploadPartCopy of a missing source returns False."""
    async with facing(says(error(404, "NoSuchKey"))) as (store, _):
        assert await VERBS["copy_part"].call(store) is False


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "head"])
async def test_s01_no_such_bucket_is_an_error(verb: str) -> None:
    """NoSuchBucket is an error with its code, never a missing object."""
    async with facing(says(error(404, "NoSuchBucket"))) as (store, _):
        assert "404, NoSuchBucket" in await unavailable(store, VERBS[verb])


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "head"])
async def test_s01_a_404_of_a_proxy_is_an_error(verb: str) -> None:
    """A 404 without an S3 error, such as a proxy's, is an error."""
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
async def test_s02_s03_a_refusal_is_an_error(verb: Verb, said: bytes) -> None:
    """A refusal is an error, never a missing object, and is not retried."""
    async with facing(says(said)) as (store, server):
        reason = await unavailable(store, verb)
        assert said.split(b" ")[1].decode() in reason
        without_condition = verb is VERBS["copy_part"] and b"501" in said
        assert len(server.requests) == 1 + without_condition


async def test_s02_the_reason_has_the_facts() -> None:
    """The reason has the operation, the status, the error code and the trace ids."""
    said = error(403, "AccessDenied", {"CF-RAY": "8f1c2d3e4f5a6b7c-FRA", "x-amz-request-id": "18EABCECFAEAA9BE"})
    async with facing(says(said)) as (store, _):
        reason = await unavailable(store, VERBS["first_bytes"])
    assert reason == (
        "GetObject returned 403, AccessDenied, cf-ray 8f1c2d3e4f5a6b7c-FRA, x-amz-request-id 18EABCECFAEAA9BE"
    )


async def test_s02_strange_codes_are_not_repeated() -> None:
    """A code or trace id of another form is not in the reason."""
    said = error(403, "http://127.0.0.1/?X-Amz-Signature=0", {"cf-ray": "<script>", "x-amz-request-id": "a b"})
    async with facing(says(said)) as (store, _):
        assert await unavailable(store, VERBS["first_bytes"]) == "GetObject returned 403"


@every_verb
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_s04_passing_errors_are_retried_once(verb: Verb, status: int) -> None:
    """An error that may pass is retried once."""
    async with facing(says(error(status, "SlowDown"))) as (store, server):
        assert str(status) in await unavailable(store, verb)
        assert len(server.requests) == 2


@every_verb
@pytest.mark.parametrize("first", [says(error(503, "SlowDown")), resets(), says(b"")], ids=["503", "reset", "closed"])
async def test_s04_a_successful_retry_hides_the_error(verb: Verb, first: Act) -> None:
    """If the retry succeeds, the caller does not see the error."""
    async with facing(first, says(verb.good)) as (store, server):
        assert await verb.call(store) == verb.result
        assert len(server.requests) == 2


async def test_s04_each_attempt_is_signed_again() -> None:
    """Each attempt has a new signature."""
    async with facing(says(error(503, "SlowDown")), says(VERBS["head"].good)) as (store, server):
        times = iter(range(1_800_000_000, 1_800_000_100, 10))
        store._transport._clock = lambda: next(times)
        await store.head(REF)
        first, second = server.requests
    assert "X-Amz-Date=20270115T080000Z" in first
    assert "X-Amz-Date=20270115T080000Z" not in second


@pytest.fixture
def black_hole() -> Iterator[int]:
    """Open a port whose queue of connections is full, so that a SYN to it gets no response."""
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
async def test_s05_a_connection_that_hangs_ends(verb: Verb, black_hole: int) -> None:
    """A call whose connection is not accepted ends in time."""
    async with store_at(f"http://127.0.0.1:{black_hole}", Timeouts(connect=0.1, total=2, copy=2)) as store:
        reason = await unavailable(store, verb, within=2 * 0.1 + 0.25)
    assert "ConnectionTimeoutError" in reason


@every_verb
async def test_s05_a_silent_server_is_an_error(verb: Verb) -> None:
    """A call to a server that sends nothing ends in time."""
    async with facing(silence, timeouts=TIMEOUTS) as (store, server):
        assert "TimeoutError" in await unavailable(store, verb)
        assert len(server.requests) == 1


@every_verb
async def test_s06_a_dripping_response_ends(verb: Verb) -> None:
    """A response that arrives byte by byte ends at the deadline."""
    async with facing(drips(verb.good, 0.05), timeouts=TIMEOUTS) as (store, _):
        assert "TimeoutError" in await unavailable(store, verb)


@pytest.mark.parametrize(
    ("size", "at_most", "within"), [(1, 60, 0.1), (COPIED_A_SECOND // 2, 60, 0.6), (PUT_MAX, 1, 1.0)]
)
async def test_s06_the_deadline_of_a_copy_grows(size: int, at_most: float, within: float) -> None:
    """The deadline of a copy grows with its size, up to the timeout of copies."""
    async with (
        wire(silence) as server,
        store_at(f"http://127.0.0.1:{server.port}", Timeouts(connect=0.3, total=0.1, copy=at_most)) as store,
    ):
        began = time.monotonic()
        with pytest.raises(StorageUnavailableError):
            await store.copy(REF, TARGET, if_match="abc", headers={}, size=size)
        assert within <= time.monotonic() - began < within + SLACK


async def test_s06_a_copy_has_its_own_deadline() -> None:
    """A copy may take longer than other calls."""
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
async def test_s07_a_broken_response_is_an_error(verb: Verb, act: Act) -> None:
    """A response that breaks off or is not HTTP is an error."""
    async with facing(act) as (store, server):
        await unavailable(store, verb)
        assert len(server.requests) <= 2


@every_verb
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_s09_no_redirect_is_followed(verb: Verb, status: int) -> None:
    """A redirect is an error and is not followed."""
    async with wire(says(verb.good)) as elsewhere:
        away = {"Location": f"http://127.0.0.1:{elsewhere.port}/", "x-amz-bucket-region": "eu-west-1"}
        async with facing(says(error(status, "PermanentRedirect", away))) as (store, server):
            assert str(status) in await unavailable(store, verb)
            assert len(server.requests) == 1
        assert elsewhere.connections == 0


@every_verb
async def test_s11_a_skewed_clock_is_named(verb: Verb) -> None:
    """The reason names a large clock skew."""
    said = error(403, "RequestTimeTooSkewed", {"Date": "Wed, 15 Jan 2025 08:00:00 GMT"})
    async with facing(says(said)) as (store, _):
        assert "our clock is +63072000 s off the store's" in await unavailable(store, verb)


async def test_s11_a_clock_a_minute_off_is_named() -> None:
    """A skew of one minute is named, for example in AccessDenied, which a store returns for URLs of a slow clock."""
    async with facing(says(error(403, "AccessDenied", {"Date": "Fri, 15 Jan 2027 08:01:00 GMT"}))) as (store, _):
        assert "our clock is -60 s off the store's" in await unavailable(store, VERBS["head"])


async def test_s11_a_small_skew_is_not_named() -> None:
    """The reason does not name a small clock skew."""
    async with facing(says(error(403, "AccessDenied", {"Date": "Fri, 15 Jan 2027 08:00:59 GMT"}))) as (store, _):
        assert "clock" not in await unavailable(store, VERBS["head"])


@every_verb
async def test_s12_an_unknown_host_is_an_error(verb: Verb) -> None:
    """A host that does not resolve is an error."""
    async with store_at("http://localhost.invalid:9", TIMEOUTS) as store:
        await unavailable(store, verb)


@every_verb
async def test_s12_a_refused_connection_is_an_error(verb: Verb) -> None:
    """A refused connection is an error."""
    async with store_at("http://127.0.0.1:1") as store:
        assert "ConnectionRefusedError" in await unavailable(store, verb)


async def test_s16_slots_limit_calls_in_flight() -> None:
    """No more calls are in flight than there are slots, and the others end in time."""
    async with facing(silence, timeouts=TIMEOUTS, concurrency=4) as (store, server):
        began = time.monotonic()
        calls = asyncio.gather(*(store.head(REF) for _ in range(100)), return_exceptions=True)
        await asyncio.sleep(TIMEOUTS.total / 2)  # while the first still wait
        assert server.connections == 4
        assert {type(outcome) for outcome in await calls} == {StorageUnavailableError}
        assert time.monotonic() - began < TIMEOUTS.total + SLACK


async def test_s18_a_lost_idle_connection_is_replaced() -> None:
    """A call on a connection that was closed while idle succeeds on a new one."""
    good = VERBS["head"].good
    async with facing(keeps(good), resets(), says(good)) as (store, server):
        assert await store.head(REF) == await store.head(REF) == VERBS["head"].result
        assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize("ends", [resets(), says(b"")], ids=["reset", "closed"])
async def test_s18_lost_connections_cost_no_retries(ends: Act) -> None:
    """However many kept connections a store closes, no call fails."""
    good = VERBS["head"].good
    async with facing(*(keeps(good), ends) * 100, keeps(good)) as (store, server):
        for _ in range(100):
            assert await store.head(REF) == VERBS["head"].result
        assert server.connections == 100


async def test_a_retry_uses_a_new_connection() -> None:
    """A retry uses a new connection, because the old one or its server may be faulty."""
    async with facing(keeps(error(503, "SlowDown")), keeps(VERBS["head"].good)) as (store, server):
        assert await store.head(REF) == VERBS["head"].result
        assert server.connections == 2


async def test_s15_a_recovered_store_is_used_again() -> None:
    """A store that is reachable again is used again."""
    async with wire(says(VERBS["head"].good)) as server:
        port = server.port
        async with store_at(f"http://127.0.0.1:{port}") as store:
            assert await store.head(REF) == VERBS["head"].result
            server.acts = (resets(),)
            await unavailable(store, VERBS["head"])
            server.acts = (says(VERBS["head"].good),)
            assert await store.head(REF) == VERBS["head"].result


async def test_a_closed_store_connects_again() -> None:
    """After its connections were closed, the next call opens a new one."""
    async with facing(keeps(VERBS["head"].good)) as (store, server):
        await store.head(REF)
        await store.close()
        assert await store.head(REF) == VERBS["head"].result
        assert server.connections == 2
