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
from broker.errors import IdentityUnavailableError, StorageUnavailableError
from broker.settings import Settings
from broker.store.port import ObjectStore

from . import notes, wire

OPENAPI = Path(__file__).with_name("openapi.yaml")

_LOOK_FOR = 2.0
"""Seconds a look at the store is good for: asking for readiness often costs the store nothing."""


@dataclass(slots=True)
class Operations:
    """The public endpoints of one process."""

    settings: Settings
    store: ObjectStore | None
    keys: Keys
    jwks: Mapping[str, Any]
    _looked: tuple[float, str] = (float("-inf"), "")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return wire.answer({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Whether this process can do its whole job, and if not, which part is missing."""
        checks = {
            "configuration": "ok" if self.store else "storage_not_configured",
            "store": await self._store_state(request),
            "keys": "ok" if self.keys.is_loaded else IdentityUnavailableError.code,
        }
        ready = set(checks.values()) == {"ok"}
        return wire.answer({"status": "ready" if ready else "unready", "checks": checks}, 200 if ready else 503)

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

    async def _store_state(self, request: Request) -> str:
        place = self.settings.store
        if self.store is None or place is None:
            return "storage_not_configured"
        async with self._lock:
            looked_at, state = self._looked
            if time.monotonic() - looked_at < _LOOK_FOR:
                return state
            try:
                for bucket in {place.bucket, place.staging_bucket}:
                    await self.store.ping(bucket)
                state = "ok"
            except StorageUnavailableError as error:
                notes.note(request.scope, "reason", error.reason)
                state = StorageUnavailableError.code
            self._looked = (time.monotonic(), state)
            return state
