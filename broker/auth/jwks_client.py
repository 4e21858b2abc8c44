"""The keys of the identity service, fetched as a JWK Set (RFC 7517).

Rules of this module
- A token with a loaded key never waits. Old keys are refreshed in the background, and stay valid for ``max_stale``
  seconds while the identity service is unavailable.
- Requests cause few fetches, failures included: see ``FetchBudget``. So tokens with random ``kid``s cause no flood, and
  a rotation of the keys is seen at once.
- A process that starts without keys fetches them again after ``FIRST_RETRY`` seconds, then after twice as long, and so
  on.
- After a failed fetch or an invalid response, the loaded keys stay.
- Keys are fetched from the configured URL only: no redirects, no proxies, no netrc file, no URL in a token.
- The age of keys is measured by a monotonic clock.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from broker.errors import IdentityUnavailableError, UnauthenticatedError
from broker.http_client.http_errors import HttpError
from broker.http_client.message import Request
from broker.http_client.origin import USER_AGENT, Origin
from broker.settings.token_rules import JwksLocation

from . import jwk_set
from .fetch_budget import COOLDOWN, FetchBudget
from .key_source import UnknownKeyError
from .public_key_signatures import table_checks
from .signatures import SignatureChecks

log = logging.getLogger("broker.auth")

REFRESH_INTERVAL: Final = 300.0
"""Seconds after which loaded keys are refreshed."""

FIRST_RETRY: Final = 1.0
"""Seconds from the first failed fetch to the next, which doubles up to ``REFRESH_INTERVAL``."""

SKIPPED_LINES_MAX: Final = 20
"""Maximum number of log lines for the skipped keys of a set."""

_TIMEOUT: Final = 5.0  # seconds for one fetch, connecting included
_FIELDS: Final = {
    "Accept": "application/json, application/jwk-set+json, */*;q=0.1",  # RFC 7517 section 8.5.2
    "Accept-Encoding": "identity",
    "User-Agent": USER_AGENT,
}

NO_USABLE_KEY: Final = "the JWK Set has no usable key"
"""The rule that a set without usable keys breaks."""

FETCH_ERRORS: Final = (HttpError, OSError, ValueError)
"""The errors of ``fetch``, and of the parser of what it returns."""

CallLater = Callable[[float, Callable[[], object]], object]
"""Calls a function after a number of seconds, as ``loop.call_later`` does."""


def _call_later(seconds: float, function: Callable[[], object]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, function)


class JwksClient:
    """The ``KeySource`` of a JWK Set at a URL. ``clock`` returns seconds; ``call_later`` schedules retries."""

    def __init__(
        self,
        location: JwksLocation,
        *,
        clock: Callable[[], float] = time.monotonic,
        call_later: CallLater = _call_later,
    ) -> None:
        self._location = location
        self._clock = clock
        self._call_later = call_later
        self._budget = FetchBudget(clock)
        self._keys: dict[str, SignatureChecks] = {}
        self._known = 0
        self._skipped: tuple[jwk_set.SkippedKey, ...] = ()
        self._loads = 0
        self._loaded_at = self._refresh_at = float("-inf")
        self._retry_delay = FIRST_RETRY
        self._retry_at: float | None = None
        self._fetching: asyncio.Task[bool] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether keys are loaded and not too old."""
        return bool(self._keys) and self._clock() - self._loaded_at <= self._location.max_stale

    def version(self) -> int:
        """Return the number of loads, or 0 without valid keys; start a refresh of old keys in the background."""
        if self._keys and self._clock() > self._refresh_at and self._budget.wait() <= 0:
            self._refresh_at = self._clock() + COOLDOWN  # the next attempt, if this one fails
            self._start_allowed_fetch()
        return self._loads if self.is_loaded else 0

    def checks(self, kid: Any) -> SignatureChecks:
        """Return the checks of the loaded keys with this ``kid``, without I/O.

        Raises ``UnauthenticatedError`` without a ``kid``, ``UnknownKeyError``, or ``IdentityUnavailableError`` if no
        keys are loaded.
        """
        if kid is None:
            raise UnauthenticatedError("the token has no kid")
        if not self.is_loaded:
            raise IdentityUnavailableError("there are no keys", retry_after=self._wait())
        if kid not in self._keys:
            raise UnknownKeyError("no key has the token's kid")
        return self._keys[kid]

    async def refresh(self) -> bool:
        """Fetch the keys or join the fetch in flight; return whether it succeeded, and false if none is allowed."""
        self._start_allowed_fetch()
        return await asyncio.shield(self._fetching) if self._fetching else False

    def _start_allowed_fetch(self) -> None:
        """Start a fetch, unless one is in flight or the budget for fetches is used up."""
        if self._fetching is None and self._budget.take():
            self._start_fetch()

    def _start_fetch(self) -> None:
        self._fetching = asyncio.create_task(self._load())
        self._fetching.add_done_callback(self._on_fetched)

    def _on_fetched(self, _task: "asyncio.Task[bool]") -> None:
        self._fetching = None
        if not self._keys and self._retry_at is None:
            self._retry_at = self._clock() + self._retry_delay
            self._call_later(self._retry_delay, self._retry)
            self._retry_delay = min(2 * self._retry_delay, REFRESH_INTERVAL)

    def _retry(self) -> None:
        """Fetch the keys if there are still none. Only the time causes this, so it needs no budget."""
        self._retry_at = None
        if not self._keys and self._fetching is None:
            self._start_fetch()

    async def _load(self) -> bool:
        try:
            keys = self._usable(jwk_set.parse(await fetch(self._location.url), self._location.algorithms))
        except FETCH_ERRORS as error:
            line = {"event": "broker.jwks_refresh_failed", "reason": reason_of(error), "known": self._known}
            log.warning(json.dumps(line))
            return False
        self._keys = {kid: table_checks(table) for kid, table in keys.by_kid.items()}
        self._known = keys.key_count
        self._loaded_at = self._clock()
        self._refresh_at = self._loaded_at + REFRESH_INTERVAL
        self._loads += 1
        log.info(json.dumps({"event": "broker.jwks_loaded", "known": keys.key_count, "skipped": len(keys.skipped)}))
        return True

    def _usable(self, keys: jwk_set.JwkSet) -> jwk_set.JwkSet:
        """Log the skipped keys, unless they were logged before, and return the set; raise ``ValueError``."""
        if keys.skipped != self._skipped:
            for key in keys.skipped[:SKIPPED_LINES_MAX]:
                line = {"event": "broker.jwks_key_skipped", "index": key.index, "kid": key.kid, "reason": key.rule}
                log.warning(json.dumps(line))
            self._skipped = keys.skipped
        if not keys.is_usable:
            raise ValueError(NO_USABLE_KEY)
        return keys

    def _wait(self) -> int:
        """Return the seconds until the next fetch is allowed or scheduled, at least 1."""
        retry = float("inf") if self._retry_at is None else self._retry_at - self._clock()
        return round(max(1, min(retry, self._budget.wait())))


async def fetch(url: str) -> bytes:
    """Return the document at ``url``, or one byte more than its maximum size; raise one of ``FETCH_ERRORS``."""
    origin = Origin(url, connect_timeout=_TIMEOUT, fields=_FIELDS)
    try:
        async with asyncio.timeout(_TIMEOUT):
            response = await origin.send(Request("GET", origin.path, limit=jwk_set.JWKS_BYTES_MAX + 1))
    finally:
        await origin.close()
    if response.status != 200 or response.fields.get("content-encoding", "identity") != "identity":
        raise ValueError(f"the response has status {response.status} or a content coding")
    return response.body


def reason_of(error: Exception) -> str:
    """Return the reason of one of ``FETCH_ERRORS``. Of their texts, only our rules never quote a key."""
    return str(error) if type(error) is ValueError else type(error).__name__
