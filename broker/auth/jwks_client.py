"""The keys of the identity service, fetched as a JWK Set (RFC 7517).

Rules of this module
- A token with a loaded key never waits. Old keys are refreshed in the background, and stay valid for ``max_stale``
  seconds while the identity service is unavailable.
- At most one fetch starts in ``COOLDOWN`` seconds, failures included, so tokens with random ``kid``s cause no flood.
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
from .key_source import UnknownKeyError
from .signatures import SignatureChecks, signature_checks

log = logging.getLogger("broker.auth")

COOLDOWN: Final = 30.0
"""Minimum seconds between the starts of two fetches."""

REFRESH_INTERVAL: Final = 300.0
"""Seconds after which loaded keys are refreshed."""

_TIMEOUT: Final = 5.0  # seconds for one fetch, connecting included
_FIELDS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}


class JwksClient:
    """The ``KeySource`` of a JWK Set at a URL. ``clock`` returns seconds."""

    def __init__(self, location: JwksLocation, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._location = location
        self._clock = clock
        self._keys: dict[str, SignatureChecks] = {}
        self._loads = 0
        self._loaded_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[bool] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether keys are loaded and not too old."""
        return bool(self._keys) and self._age() <= self._location.max_stale

    def version(self) -> int:
        """Return the number of loads, or 0 without valid keys; start a refresh of old keys in the background."""
        if self._keys and self._age() > REFRESH_INTERVAL:
            self._start_fetch()
        return self._loads if self.is_loaded else 0

    def checks(self, kid: Any) -> SignatureChecks:
        """Return the checks of the loaded key with this ``kid``, without I/O.

        Raises ``UnknownKeyError``, ``IdentityUnavailableError`` if no keys are loaded, or ``UnauthenticatedError``.
        """
        if not isinstance(kid, str):
            raise UnauthenticatedError("the token has no kid")
        if not self.is_loaded:
            raise IdentityUnavailableError("there are no keys", retry_after=self._wait())
        if kid not in self._keys:
            raise UnknownKeyError("no key has the token's kid")
        return self._keys[kid]

    async def refresh(self) -> bool:
        """Fetch the keys or join the fetch in flight; return whether it succeeded, and false during the cooldown."""
        self._start_fetch()
        return await asyncio.shield(self._fetching) if self._fetching else False

    def _start_fetch(self) -> None:
        """Start a fetch, unless one is in flight or the last one started less than ``COOLDOWN`` ago."""
        if self._fetching is None and self._clock() - self._tried_at >= COOLDOWN:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._load())
            self._fetching.add_done_callback(self._on_fetched)

    def _on_fetched(self, _task: "asyncio.Task[bool]") -> None:
        self._fetching = None

    async def _load(self) -> bool:
        try:
            keys = jwk_set.parse(await self._fetch(), self._location.algorithms)
        except (HttpError, OSError, ValueError) as error:  # of these texts, only our rules never quote a key
            rule = str(error) if type(error) is ValueError else type(error).__name__
            log.warning(json.dumps({"event": "broker.jwks_refresh_failed", "reason": rule, "known": len(self._keys)}))
            return False
        self._keys = {kid: signature_checks(key) for kid, key in keys.items()}
        self._loaded_at = self._clock()
        self._loads += 1
        log.info(json.dumps({"event": "broker.jwks_loaded", "known": len(self._keys)}))
        return True

    async def _fetch(self) -> bytes:
        """Return the document, or one byte more than its maximum size."""
        origin = Origin(self._location.url, connect_timeout=_TIMEOUT, fields=_FIELDS)
        try:
            async with asyncio.timeout(_TIMEOUT):
                response = await origin.send(Request("GET", origin.path, limit=jwk_set.JWKS_BYTES_MAX + 1))
        finally:
            await origin.close()
        if response.status != 200 or response.fields.get("content-encoding", "identity") != "identity":
            raise ValueError(f"the response has status {response.status} or a content coding")
        return response.body

    def _age(self) -> float:
        return self._clock() - self._loaded_at

    def _wait(self) -> int:
        """Return the seconds until the next fetch may start, at least 1."""
        return max(1, round(self._tried_at + COOLDOWN - self._clock())) if self._tried_at > float("-inf") else 1
