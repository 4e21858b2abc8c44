"""What operators and verifiers read, without a token: health, readiness, the OpenAPI document, the receipts' keys."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from broker.errors import IdentityUnavailableError, StorageNotConfiguredError, StorageUnavailableError
from broker.service.assembly import Deployment
from broker.settings import StoreSettings
from broker.store.port import ObjectStore
from broker.store.s3_responses import SKEW_HINT, skew_text

from . import request_record, schemas

_PLACES = (Path(__file__).with_name("openapi.yaml"), Path(__file__).parents[2] / "openapi.yaml")
OPENAPI = next(place for place in _PLACES if place.is_file())  # in a wheel, and in a checkout

_LOOK_FOR = 2.0
"""Seconds a look at the store is good for: asking for readiness often costs the store nothing."""


@dataclass(slots=True)
class Operations:
    """The public endpoints of one process."""

    deployment: Deployment
    _looked_at: float = float("-inf")
    _found: tuple[str, str] = ("", "")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return schemas.json_response({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Whether this process can do its whole job, and if not, which part is missing; the log has the reason too."""
        store, reason = await self._store_state()
        own_store, keys = self.deployment.store, self.deployment.verifier.keys
        checks = {
            "configuration": "ok" if own_store else StorageNotConfiguredError.code,
            "store": store,
            "keys": "ok" if keys.is_loaded else IdentityUnavailableError.code,
            "clock": "ok",
        }
        skew = own_store.clock_skew if own_store else None
        if skew is not None and abs(skew) >= SKEW_HINT:
            checks["clock"] = "clock_skewed"
            reason = reason or skew_text(skew)
        failed = {name: code for name, code in checks.items() if code != "ok"}
        if failed:
            request_record.note(request.scope, "failed", failed)
        if reason:
            request_record.note(request.scope, "reason", reason)
        return schemas.json_response(
            {"status": "unready" if failed else "ready", "checks": checks}, 503 if failed else 200
        )

    async def status(self, _request: Request) -> Response:
        """JamSync's question whether uploads are possible at all."""
        is_configured = self.deployment.store is not None
        provider = "cloudflare-r2" if is_configured else "none"
        return schemas.json_response({"r2Configured": is_configured, "provider": provider})

    async def jwk_set(self, _request: Request) -> Response:
        """The public keys of the receipts (RFC 7517)."""
        receipts = self.deployment.receipts
        jwks = receipts.jwks if receipts else {"keys": []}
        return schemas.json_response(jwks, cache_control=b"public, max-age=300", vary=b"Accept-Encoding")

    async def openapi(self, _request: Request) -> Response:
        """The API's own description."""
        return Response(OPENAPI.read_bytes(), media_type="application/yaml", headers={"Cache-Control": "no-cache"})

    async def _store_state(self) -> tuple[str, str]:
        """The store's state as of a moment ago, and why it is not ``ok``."""
        store, staging_store = self.deployment.store, self.deployment.staging_store
        place = self.deployment.settings.store
        if store is None or place is None:
            return StorageNotConfiguredError.code, ""
        async with self._lock:
            if time.monotonic() - self._looked_at >= _LOOK_FOR:
                self._found = await _look(store, staging_store, place)
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
