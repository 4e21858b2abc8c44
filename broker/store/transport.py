"""Calls to the store over HTTP, each of which is a presigned URL.

Rules of this module
- A call ends within its deadline, which includes the wait for a slot, the connection, a retry and the response body.
- The wait for a slot is short compared with the call. Beyond the store's capacity some calls are refused early, so
  that the others have enough time.
- The quick calls of one request may share a reserved slot (``reserve``): then none of them waits for another.
- Every call may safely be sent twice. A response that the table in ``outcomes`` marks for a retry is retried once
  within the retry budget, on a new connection and not before the store's Retry-After.
- If a kept connection was lost, the call is sent again at once on a new connection.
- A circuit breaker stops calls to a failing store.
- Long calls have their own slots, so that slow copies do not delay quick calls. One user has a share of both.
- A call with a body that arrives from a client is sent once, on a new connection, and takes no slot: it lasts as long
  as the client needs, and the use case limits the number of such clients.
"""

import asyncio
import json
import logging
import math
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from broker.core.model import ObjectRef
from broker.crypto.presigner import EMPTY, Presigner
from broker.errors import StorageUnavailableError
from broker.http_client.http_errors import HttpError, KeptConnectionLostError
from broker.http_client.message import BodyStream, Request
from broker.http_client.origin import USER_AGENT, Origin

from .circuit_breaker import CircuitBreaker, RetryBudget
from .clock_skew import ClockSkew, skew_text
from .ended_call import EndedCall, ObserveCall
from .outcomes import OBJECT_THROTTLED
from .s3_responses import S3Response
from .slots import CALLER, Slots

log = logging.getLogger("broker.store")

RESERVATION_WAIT: Final = 1.0
"""Seconds to wait for a reserved slot. The calls that use it have their own deadlines."""

_FAILURES: Final = (HttpError, OSError)  # a TimeoutError is an OSError

_SLOT_WAIT_DIVISOR: Final = 6
"""A call waits for a slot for at most one sixth of its time."""

_RETRY_PAUSE: Final = (0.05, 0.25)
"""The shortest and the longest pause before a retry, in seconds."""

_EXPIRES_IN: Final = 300
"""Seconds: enough for a clock that is some minutes slow. Only the store receives these URLs."""

_FIELDS: Final = {
    "Accept-Encoding": "identity",  # otherwise Cloudflare may leave out the Content-Length
    "User-Agent": USER_AGENT,
}

_RESERVED: Final[ContextVar["Transport | None"]] = ContextVar("RESERVED", default=None)
"""The client at which the running task has reserved a slot."""


class Call(NamedTuple):
    """One call.

    - ``until``: the deadline, an instant of the event loop's clock.
    - ``limit``: the largest body of a successful response, in bytes.
    - ``is_long``: the store may need longer than other calls, and the call takes a slot of long calls.
    - ``stream``: the body, in place of ``body``. ``is_once``: the stream cannot be produced a second time.
    """

    operation: str
    method: str
    ref: ObjectRef
    until: float
    headers: Mapping[str, str] = EMPTY
    query: Mapping[str, str] = EMPTY
    body: bytes | None = None
    limit: int = 64 * 1024
    is_long: bool = False
    stream: BodyStream | None = None
    is_once: bool = False


class Transport:
    """A client of one store.

    ``concurrency`` slots can be reserved, as many are for other quick calls, and ``long_calls`` are for long calls.
    ``connect_timeout`` is the time for one connection, in seconds. ``observe`` receives each call that was sent.
    """

    def __init__(
        self,
        presigner: Presigner,
        *,
        clock: Callable[[], float],
        connect_timeout: float,
        concurrency: int,
        long_calls: int,
        observe: ObserveCall | None = None,
    ) -> None:
        self._presigner = presigner
        self._clock = clock
        self._reservations = Slots(concurrency)
        self._slots = Slots(concurrency)
        self._long_slots = Slots(long_calls)
        self.breaker = CircuitBreaker()
        self._retries = RetryBudget()
        self._throttled_retries = RetryBudget()  # so that one user's throttled objects do not use up the other budget
        self._connect_timeout = connect_timeout
        self._observe = observe
        self._origins: dict[str, Origin] = {}  # one, or one for each bucket that has a host of its own
        self.skew = ClockSkew()

    @asynccontextmanager
    async def reserve(self) -> AsyncIterator[None]:
        """Hold a slot for the quick calls of this task; raise ``StorageUnavailableError`` if none is free in time."""
        user = CALLER.get()
        await _acquire(self._reservations, user, asyncio.get_running_loop().time() + RESERVATION_WAIT, "The request")
        token = _RESERVED.set(self)
        try:
            yield
        finally:
            _RESERVED.reset(token)
            self._reservations.release(user)

    async def send(self, call: Call) -> S3Response:
        """Return the store's response, of any status; raise ``StorageUnavailableError`` if there is none in time."""
        if call.is_once or (not call.is_long and _RESERVED.get() is self):
            return await self._send_now(call)
        slots = self._long_slots if call.is_long else self._slots
        user = CALLER.get()
        now = asyncio.get_running_loop().time()
        await _acquire(slots, user, now + (call.until - now) / _SLOT_WAIT_DIVISOR, call.operation)
        try:
            return await self._send_now(call)
        finally:
            slots.release(user)

    async def close(self) -> None:
        """Close all connections."""
        for origin in self._origins.values():
            await origin.close()

    async def _send_now(self, call: Call) -> S3Response:
        """Return the response; record it for the circuit breaker and the observer. A cancelled call is not recorded."""
        now = asyncio.get_running_loop().time
        if wait := self.breaker.wait(now(), may_probe=not (call.is_long or call.is_once)):
            raise StorageUnavailableError(
                f"{call.operation} was not sent: the circuit breaker is open", retry_after=math.ceil(wait)
            )
        started_at = now()
        try:
            async with asyncio.timeout_at(call.until):
                response = await self._attempts(call)
        except _FAILURES as error:
            if self._observe:
                self._observe(_ended(call, 0, now() - started_at))
            reason = _no_response(call, error)
            if not call.is_once:  # the client may have been too slow for the store
                self._failed(now(), reason)
            raise StorageUnavailableError(reason) from None
        if self._observe:
            self._observe(_ended(call, response.status, now() - started_at))
        self._record(response, now())
        return response

    def _record(self, response: S3Response, now: float) -> None:
        if response.outcome.is_failure:
            self._failed(now, response.unexpected().reason)
        elif response.outcome.is_failure is None:
            self.breaker.record_inconclusive(now)
        elif self.breaker.record_success():
            log.warning(json.dumps({"event": "broker.store_circuit_closed"}))

    def _failed(self, now: float, reason: str) -> None:
        if self.breaker.record_failure(now):
            log.warning(json.dumps({"event": "broker.store_circuit_opened", "reason": reason}))

    async def _attempts(self, call: Call) -> S3Response:
        if call.is_once:
            return await self._attempt(call, is_fresh=True)
        self._retries.earn()
        self._throttled_retries.earn()
        pause = 0
        try:
            response = await self._first_attempt(call)
            if not response.outcome.is_retried:
                return response
            pause = response.retry_after or 0
            if not self._may_retry(response, call.until - pause):
                return response
        except _FAILURES:
            if not self._retries.spend():
                raise
        await asyncio.sleep(max(pause, random.uniform(*_RETRY_PAUSE)))  # noqa: S311  # jitter is not a secret
        return await self._attempt(call, is_fresh=True)

    async def _first_attempt(self, call: Call) -> S3Response:
        try:
            return await self._attempt(call)
        except KeptConnectionLostError:
            return await self._attempt(call, is_fresh=True)

    def _may_retry(self, response: S3Response, latest: float) -> bool:
        """Return whether there is time, and a budget, for a retry."""
        budget = self._throttled_retries if response.outcome is OBJECT_THROTTLED else self._retries
        return asyncio.get_running_loop().time() < latest and budget.spend()

    async def _attempt(self, call: Call, *, is_fresh: bool = False) -> S3Response:
        sent_at = self._clock()
        url = self._presigner.presign(
            call.method,
            call.ref,
            now=int(sent_at),
            expires_in=_EXPIRES_IN,
            headers=call.headers,
            query=call.query,
        )
        endpoint = self._presigner.endpoint_of(call.ref.bucket)
        target = url[len(endpoint) :]  # the bytes that were signed
        request = Request(call.method, target, call.headers, call.body, call.limit, call.stream)
        origin = self._origins.get(endpoint) or self._origin(endpoint)
        response = await origin.send(request, is_fresh=is_fresh)
        received_at = self._clock()
        if self.skew.observe(response.fields.get("date", ""), sent_at, received_at):
            log.warning(json.dumps({"event": "broker.clock_skew_changed", "reason": skew_text(self.skew.seconds or 0)}))
        return S3Response(call.operation, response.status, response.fields, response.body, received_at)

    def _origin(self, endpoint: str) -> Origin:
        origin = self._origins[endpoint] = Origin(endpoint, connect_timeout=self._connect_timeout, fields=_FIELDS)
        return origin


def _ended(call: Call, status: int, seconds: float) -> EndedCall:
    return EndedCall(call.operation, call.ref.bucket, status, seconds, is_paced=call.is_once)


async def _acquire(slots: Slots, user: str | None, until: float, name: str) -> None:
    """Acquire a slot for the call or request ``name``; raise ``StorageUnavailableError`` if none is free in time."""
    try:
        await slots.acquire(user, until)
    except TimeoutError:
        raise StorageUnavailableError(f"{name} got no free slot") from None


def _no_response(call: Call, error: Exception) -> str:
    """Return why there is no response, without the text of an ``OSError``, which has the endpoint."""
    text = f": {error}" if isinstance(error, HttpError) and str(error) else ""
    return f"{call.operation} got no response, {type(error).__name__}{text}"
