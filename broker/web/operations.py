"""The endpoints that need no token: health, readiness, the OpenAPI document and the public keys of receipts."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from broker.core.media import MEDIA_TYPES
from broker.errors import IdentityUnavailableError, StorageNotConfiguredError, StorageUnavailableError
from broker.service.assembly import Deployment
from broker.settings import StoreSettings
from broker.store.clock_skew import is_reported, skew_text
from broker.store.port import ObjectStore

from . import request_record, schemas
from .api_description import described
from .responses import json_response
from .static_file import StaticFile

_STATE_LIFETIME: Final = 2.0
"""Seconds for which a state of the store is cached, so that frequent probes do not reach the store."""


@dataclass(slots=True)
class Operations:
    """The public endpoints of one process."""

    deployment: Deployment
    _description: StaticFile = field(init=False)
    _checked_at: float = float("-inf")
    _result: tuple[str, str] = ("", "")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        content = described(self.deployment.settings)
        self._description = StaticFile(content, "application/yaml", {"Cache-Control": "no-cache"})

    async def healthz(self, _request: Request) -> Response:
        """Report that the process responds."""
        return json_response(schemas.Health())

    async def readyz(self, request: Request) -> Response:
        """Report whether this process can do its whole job, and which check fails; the log has the reason too."""
        store_state, reason = await self._store_state()
        store, keys = self.deployment.store, self.deployment.verifier.keys
        checks = {
            "configuration": "ok" if store else StorageNotConfiguredError.code,
            "store": store_state,
            "keys": "ok" if keys.is_loaded else IdentityUnavailableError.code,
            "clock": "ok",
        }
        skew = store.clock_skew if store else None
        if skew is not None and is_reported(skew):
            checks["clock"] = "clock_skewed"
            reason = reason or skew_text(skew)
        failed = {name: code for name, code in checks.items() if code != "ok"}
        if failed:
            request_record.add(request.scope, "failed", failed)
        if reason:
            request_record.add(request.scope, "reason", reason)
        return json_response(schemas.Readiness("unready" if failed else "ready", checks), 503 if failed else 200)

    async def status(self, _request: Request) -> Response:
        """Report whether uploads are possible at all, as JamSync's clients read it, and their limits."""
        is_configured = self.deployment.store is not None
        provider = "cloudflare-r2" if is_configured else "none"
        policy = self.deployment.settings.uploads
        types = [media.name for media in MEDIA_TYPES if media.name in policy.types]
        return json_response(
            schemas.StorageStatus(is_configured, provider, policy.max_bytes, policy.multipart_threshold, types)
        )

    async def jwk_set(self, _request: Request) -> Response:
        """Return the public keys of the receipts (RFC 7517)."""
        receipts = self.deployment.receipts
        jwks = receipts.jwks if receipts else {"keys": []}
        return json_response(jwks, cache_control=b"public, max-age=300", vary=b"Accept-Encoding")

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document with the limits of this deployment, or 304."""
        return await self._description(request)

    async def _store_state(self) -> tuple[str, str]:
        """Return the recent state of the store, and the reason if it is not ``ok``."""
        store, staging_store = self.deployment.store, self.deployment.staging_store
        configured = self.deployment.settings.store
        if store is None or configured is None:
            return StorageNotConfiguredError.code, ""
        async with self._lock:
            if time.monotonic() - self._checked_at >= _STATE_LIFETIME:
                self._result = await _check(store, staging_store, configured)
                self._checked_at = time.monotonic()
            return self._result


async def _check(store: ObjectStore, staging_store: ObjectStore | None, configured: StoreSettings) -> tuple[str, str]:
    """Return ``ok``, or an error code and its reason, after a request for each bucket."""
    prefix = ""
    try:
        for bucket in {configured.bucket, configured.staging_bucket}:
            await store.ping(bucket)
        if staging_store:
            prefix = "with the staging bucket's credentials: "
            await staging_store.ping(configured.staging_bucket)
    except StorageUnavailableError as error:
        return StorageUnavailableError.code, prefix + error.reason
    return "ok", ""
