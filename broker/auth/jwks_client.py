"""The identity service's keys by JWKS (RFC 7517): fetched early, seldom and by one request at a time.

Rules of this module
- A token with a known key never waits: keys that have grown old are replaced in the background, and are good until
  ``max_stale`` when the identity service is away.
- At most one fetch in ``COOLDOWN`` seconds, failures included: tokens with random ``kid``s cause no flood.
- Whatever is wrong with an answer, the keys that are known stay.
- It speaks to the configured URL alone: no redirect is followed, no proxy or netrc read, nothing a token says is used.
- Age is by a monotonic clock.
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
from broker.http_client.origin import Origin
from broker.settings.token_rules import JwksLocation

from . import jwk_set
from .key_source import UnknownKeyError
from .signatures import SignatureChecks, signature_checks

log = logging.getLogger("broker.auth")

COOLDOWN: Final = 30.0
"""Seconds between the beginnings of two fetches."""

LIFESPAN: Final = 300.0
"""Seconds after which keys are asked for again."""

_TIMEOUT: Final = 5.0
_FIELDS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "r2-upload-broker"}


class JwksClient:
    """``KeySource`` at a URL."""

    def __init__(self, location: JwksLocation, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._location = location
        self._clock = clock
        self._known: dict[str, SignatureChecks] = {}
        self._loads = 0
        self._loaded_at = self._tried_at = float("-inf")
        self._flight: asyncio.Task[bool] | None = None

    @property
    def is_loaded(self) -> bool:
        return bool(self._known) and self._age() <= self._location.max_stale

    def version(self) -> int:
        if self._known and self._age() > LIFESPAN:
            self._begin()
        return self._loads if self.is_loaded else 0

    def checks(self, kid: Any) -> SignatureChecks:
        if not isinstance(kid, str):
            raise UnauthenticatedError("the token names no key")
        if not self.is_loaded:
            raise IdentityUnavailableError("there are no keys", retry_after=self._wait())
        if kid not in self._known:
            raise UnknownKeyError("no key has the token's kid")
        return self._known[kid]

    async def refresh(self) -> bool:
        self._begin()
        return await asyncio.shield(self._flight) if self._flight else False

    def _begin(self) -> None:
        """Fetch, unless that is going on or was tried a moment ago."""
        if self._flight is None and self._clock() - self._tried_at >= COOLDOWN:
            self._tried_at = self._clock()
            self._flight = asyncio.create_task(self._load())
            self._flight.add_done_callback(self._land)

    def _land(self, _flight: "asyncio.Task[bool]") -> None:
        self._flight = None

    async def _load(self) -> bool:
        try:
            keys = jwk_set.parse(await self._fetch(), self._location.algorithms)
        except (HttpError, OSError, ValueError) as error:  # their texts may quote a key; ours are rules
            rule = str(error) if type(error) is ValueError else type(error).__name__
            log.warning(json.dumps({"event": "jwks", "outcome": "failed", "reason": rule, "known": len(self._known)}))
            return False
        self._known = {kid: signature_checks(key) for kid, key in keys.items()}
        self._loaded_at = self._clock()
        self._loads += 1
        log.info(json.dumps({"event": "jwks", "outcome": "loaded", "known": len(self._known)}))
        return True

    async def _fetch(self) -> bytes:
        """The document; no more is read of it than one may have."""
        origin = Origin(self._location.url, connect_timeout=_TIMEOUT, fields=_FIELDS)
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await origin.ask(Request("GET", origin.path, limit=jwk_set.BYTES_MAX + 1))
        finally:
            await origin.close()
        if answer.status != 200 or answer.fields.get("content-encoding", "identity") != "identity":
            raise ValueError(f"was answered with {answer.status}, or compressed")
        return answer.body

    def _age(self) -> float:
        return self._clock() - self._loaded_at

    def _wait(self) -> int:
        """Seconds until it is worth asking again."""
        return max(1, round(self._tried_at + COOLDOWN - self._clock())) if self._tried_at > float("-inf") else 1
