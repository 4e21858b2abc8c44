"""Calls to the store over HTTP: every one is a URL that our own signer presigned, sent by our own client.

Rules of this module
- A call ends within its deadline: waiting for a slot, connecting, both attempts and reading are inside of it.
- The wait for a slot is short beside the call. Past the store's capacity some calls are refused early, and the others
  have the time that they need: work that ends too late is work for nobody.
- Calls that belong together may hold one place for all of them (``place``): then none of them waits for a slot.
- Every call may safely be sent twice. What the table of ``outcomes`` repeats is sent once more while that is seldom,
  on a fresh connection and never before the store's Retry-After; every other answer is taken as it is.
- A kept connection that was lost costs nothing: the call goes on a fresh one at once.
- A circuit breaker keeps calls from a store that fails.
- Long calls have slots of their own: slow copies keep no quick call waiting. One user has a share of both.
- It speaks to the store alone.
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
from broker.http_client.message import Request
from broker.http_client.origin import Origin

from .circuit_breaker import CircuitBreaker, RetryBudget
from .clock_skew import ClockSkew
from .outcomes import OBJECT_THROTTLED
from .s3_responses import Answer, skewed
from .slots import CALLER, Slots

log = logging.getLogger("broker.store")

_FAILURES: Final = (HttpError, OSError)  # of which TimeoutError is one
PLACE_WAIT: Final = 1.0
"""Seconds to wait for a place. The calls that follow have deadlines of their own."""

_SLOT_WAIT: Final = 6  # the part of a call's time that it may wait for a slot: one sixth
_PAUSE: Final = (0.05, 0.25)
_EXPIRES_IN: Final = 300  # these URLs go to the store alone: as long as a clock some minutes slow needs
_FIELDS: Final = {
    "Accept-Encoding": "identity",  # for anything else Cloudflare may drop the Content-Length
    "User-Agent": "r2-upload-broker",
}


_PLACED: Final[ContextVar["Transport | None"]] = ContextVar("PLACED", default=None)


class Call(NamedTuple):
    """One call: ``until`` is by the loop's clock, ``limit`` the bytes of a good answer's body that are read.

    ``is_long``: the store has much to do, and may take longer than a caller of other calls would wait.
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


class Transport:
    """At most ``concurrency`` places and as many other quick calls at once, and ``long_calls`` long ones.

    ``connect_timeout`` is the seconds one connection may take to be made.
    """

    def __init__(
        self,
        presigner: Presigner,
        *,
        clock: Callable[[], float],
        connect_timeout: float,
        concurrency: int,
        long_calls: int,
    ) -> None:
        self._presigner = presigner
        self._clock = clock
        self._places = Slots(concurrency)
        self._slots = Slots(concurrency)
        self._long_slots = Slots(long_calls)
        self._breaker = CircuitBreaker()
        self._retries = RetryBudget()
        self._throttled_retries = RetryBudget()  # one user's throttled objects leave others theirs
        self._origin = Origin(presigner.endpoint, connect_timeout=connect_timeout, fields=_FIELDS)
        self.skew = ClockSkew()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for the quick calls of this task; raises ``StorageUnavailableError`` when there is none soon."""
        user = CALLER.get()
        await _taken(self._places, user, asyncio.get_running_loop().time() + PLACE_WAIT, "The request")
        token = _PLACED.set(self)
        try:
            yield
        finally:
            _PLACED.reset(token)
            self._places.give_back(user)

    async def ask(self, call: Call) -> Answer:
        """The store's answer, whatever it says; raises ``StorageUnavailableError`` when there is none in time."""
        if not call.is_long and _PLACED.get() is self:
            return await self._watched(call)
        slots = self._long_slots if call.is_long else self._slots
        user = CALLER.get()
        now = asyncio.get_running_loop().time()
        await _taken(slots, user, now + (call.until - now) / _SLOT_WAIT, call.operation)
        try:
            return await self._watched(call)
        finally:
            slots.give_back(user)

    async def close(self) -> None:
        """Let go of connections."""
        await self._origin.close()

    async def _watched(self, call: Call) -> Answer:
        """The answer, with the breaker told how it went. A cancelled caller says nothing of the store."""
        now = asyncio.get_running_loop().time
        if wait := self._breaker.wait(now(), may_probe=not call.is_long):
            raise StorageUnavailableError(
                f"{call.operation} was not sent: the circuit breaker is open", retry_after=math.ceil(wait)
            )
        try:
            async with asyncio.timeout_at(call.until):
                answer = await self._attempts(call)
        except _FAILURES as error:
            reason = _unanswered(call, error)
            self._failed(now(), reason)
            raise StorageUnavailableError(reason) from None
        self._record(answer, now())
        return answer

    def _record(self, answer: Answer, now: float) -> None:
        if answer.outcome.is_failure:
            self._failed(now, answer.unclear().reason)
        elif answer.outcome.is_failure is None:
            self._breaker.inconclusive(now)
        elif self._breaker.succeeded():
            log.warning(json.dumps({"event": "broker.store_circuit_closed"}))

    def _failed(self, now: float, reason: str) -> None:
        if self._breaker.failed(now):
            log.warning(json.dumps({"event": "broker.store_circuit_opened", "reason": reason}))

    async def _attempts(self, call: Call) -> Answer:
        self._retries.earn()
        self._throttled_retries.earn()
        pause = 0
        try:
            answer = await self._first_attempt(call)
            if not answer.outcome.is_repeated:
                return answer
            pause = answer.retry_after or 0
            if not self._may_repeat(answer, call.until - pause):
                return answer
        except _FAILURES:
            if not self._retries.spend():
                raise
        await asyncio.sleep(max(pause, random.uniform(*_PAUSE)))  # noqa: S311  # jitter is no secret
        return await self._attempt(call, is_fresh=True)

    async def _first_attempt(self, call: Call) -> Answer:
        try:
            return await self._attempt(call)
        except KeptConnectionLostError:
            return await self._attempt(call, is_fresh=True)

    def _may_repeat(self, answer: Answer, latest: float) -> bool:
        """Whether there is time for a second attempt, and a budget."""
        budget = self._throttled_retries if answer.outcome is OBJECT_THROTTLED else self._retries
        return asyncio.get_running_loop().time() < latest and budget.spend()

    async def _attempt(self, call: Call, *, is_fresh: bool = False) -> Answer:
        sent_at = self._clock()
        url = self._presigner.presign(
            call.method,
            call.ref,
            now=int(sent_at),
            expires_in=_EXPIRES_IN,
            headers=call.headers,
            query=call.query,
        )
        target = url[len(self._presigner.endpoint) :]  # the bytes that were signed
        request = Request(call.method, target, call.headers, call.body, call.limit)
        response = await self._origin.send(request, is_fresh=is_fresh)
        received_at = self._clock()
        if self.skew.observe(response.fields.get("date", ""), sent_at, received_at):
            log.warning(json.dumps({"event": "broker.clock_skew_changed", "reason": skewed(self.skew.seconds or 0)}))
        return Answer(call.operation, response.status, response.fields, response.body, received_at)


async def _taken(slots: Slots, user: str | None, until: float, what: str) -> None:
    """Return once ``what`` has a slot; raises ``StorageUnavailableError``."""
    try:
        await slots.take(user, until)
    except TimeoutError:
        raise StorageUnavailableError(f"{what} found no free slot") from None


def _unanswered(call: Call, error: Exception) -> str:
    """Why there is no answer. The texts of an ``OSError`` hold the endpoint; its name, and our own texts, do not."""
    words = f": {error}" if isinstance(error, HttpError) and str(error) else ""
    return f"{call.operation} got no answer, {type(error).__name__}{words}"
