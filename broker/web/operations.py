"""What operators and verifiers read, without a token: health, readiness, the OpenAPI document, the receipts' keys."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from broker.auth.keys import Keys
from broker.errors import IdentityUnavailableError, StorageNotConfiguredError, StorageUnavailableError
from broker.settings import Settings, StoreSettings
from broker.store.answers import SKEW_HINT, skewed
from broker.store.port import ObjectStore

from . import notes, wire

_PLACES = (Path(__file__).with_name("openapi.yaml"), Path(__file__).parents[2] / "openapi.yaml")
OPENAPI = next(place for place in _PLACES if place.is_file())  # in a wheel, and in a checkout

_LOOK_FOR = 2.0
"""Seconds a look at the store is good for: asking for readiness often costs the store nothing."""


@dataclass(slots=True)
class Operations:
    """The public endpoints of one process.

    ``staging_store`` is the store as the staging bucket's own credentials see it, if it has any.
    """

    settings: Settings
    store: ObjectStore | None
    keys: Keys
    jwks: Mapping[str, Any]
    staging_store: ObjectStore | None = None
    _looked_at: float = float("-inf")
    _found: tuple[str, str] = ("", "")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return wire.answer({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Whether this process can do its whole job, and if not, which part is missing; the log has the reason too."""
        store, reason = await self._store_state()
        checks = {
            "configuration": "ok" if self.store else StorageNotConfiguredError.code,
            "store": store,
            "keys": "ok" if self.keys.is_loaded else IdentityUnavailableError.code,
            "clock": "ok",
        }
        skew = self.store.clock_skew if self.store else None
        if skew is not None and abs(skew) >= SKEW_HINT:
            checks["clock"] = "clock_skewed"
            reason = reason or skewed(skew)
        failed = {name: code for name, code in checks.items() if code != "ok"}
        if failed:
            notes.note(request.scope, "failed", failed)
        if reason:
            notes.note(request.scope, "reason", reason)
        return wire.answer({"status": "unready" if failed else "ready", "checks": checks}, 503 if failed else 200)

    async def status(self, _request: Request) -> Response:
        """JamSync's question whether uploads are possible at all."""
        provider = "cloudflare-r2" if self.store else "none"
        return wire.answer({"r2Configured": self.store is not None, "provider": provider})

    async def jwk_set(self, _request: Request) -> Response:
        """The public keys of the receipts (RFC 7517)."""
        return wire.answer(self.jwks, cache_control=b"public, max-age=300", vary=b"Accept-Encoding")

    async def openapi(self, _request: Request) -> Response:
        """The API's own description."""
        return Response(OPENAPI.read_bytes(), media_type="application/yaml", headers={"Cache-Control": "no-cache"})

    async def _store_state(self) -> tuple[str, str]:
        """The store's state as of a moment ago, and why it is not ``ok``."""
        place = self.settings.store
        if self.store is None or place is None:
            return StorageNotConfiguredError.code, ""
        async with self._lock:
            if time.monotonic() - self._looked_at >= _LOOK_FOR:
                self._found = await _look(self.store, self.staging_store, place)
                self._looked_at = time.monotonic()
            return self._found


async def _look(store: ObjectStore, staging_store: ObjectStore | None, place: StoreSettings) -> tuple[str, str]:
    whose = ""
    try:
        for bucket in {place.bucket, place.staging_bucket}:
            await store.ping(bucket)
        if staging_store:
            whose = "with the staging bucket's credentials: "
            await staging_store.ping(place.staging_bucket)
    except StorageUnavailableError as error:
        return StorageUnavailableError.code, whose + error.reason
    return "ok", ""
