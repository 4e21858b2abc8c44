"""Requests to the store as clients send them, by presigned URLs, also such as the store must refuse.

The URL signs the header fields that it should; the request may have others. No failure is retried, and there is no
circuit breaker: an examination must see each response.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from broker.core.model import ObjectRef
from broker.crypto.presigner import EMPTY, Presigner
from broker.http_client.http_errors import HttpError, KeptConnectionLostError
from broker.http_client.message import Request, Response
from broker.http_client.origin import USER_AGENT, Origin
from broker.store.s3_responses import S3Response, error_code

TIMEOUT: Final = 10.0
"""Seconds for one request."""

EXPIRES_IN: Final = 300
"""Seconds for which a URL of an examination is valid."""

_BODY_MAX: Final = 1024 * 1024
_FIELDS: Final = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}


class NoResponseError(Exception):
    """The store did not respond. The text is the name of the failure, such as ``ConnectionRefusedError``."""


class Wire:
    """Sends requests to one store, signed with one access key. ``clock`` returns the seconds since the epoch."""

    def __init__(self, presigner: Presigner, clock: Callable[[], float]) -> None:
        self.presigner: Final = presigner
        self.clock: Final = clock
        self._origins: dict[str, Origin] = {}

    async def call(
        self,
        operation: str,
        method: str,
        ref: ObjectRef,
        *,
        headers: Mapping[str, str] = EMPTY,
        query: Mapping[str, str] = EMPTY,
    ) -> S3Response:
        """Send a correct request without a body; raise ``NoResponseError``."""
        now = int(self.clock())
        url = self.presigner.presign(method, ref, now=now, expires_in=EXPIRES_IN, headers=headers, query=query)
        return await self.send(operation, method, url, headers)

    async def send(
        self, operation: str, method: str, url: str, headers: Mapping[str, str] = EMPTY, body: bytes | None = None
    ) -> S3Response:
        """Send a request with exactly these header fields, Host and Content-Length; raise ``NoResponseError``."""
        endpoint = "/".join(url.split("/", 3)[:3])
        if endpoint not in self._origins:
            self._origins[endpoint] = Origin(endpoint, connect_timeout=TIMEOUT, fields=_FIELDS)
        request = Request(method, url[len(endpoint) :], headers, body, _BODY_MAX)
        try:
            async with asyncio.timeout(TIMEOUT):
                response = await _send(self._origins[endpoint], request)
        except (HttpError, OSError) as error:
            raise NoResponseError(type(error).__name__) from None
        return S3Response(operation, response.status, response.fields, response.body, self.clock())

    async def close(self) -> None:
        """Close all connections."""
        for origin in self._origins.values():
            await origin.close()


async def _send(origin: Origin, request: Request) -> Response:
    """Send a request; if the store has closed a kept connection, send it on a new one."""
    try:
        return await origin.send(request)
    except KeptConnectionLostError:
        return await origin.send(request, is_fresh=True)


def text_of(response: S3Response) -> str:
    """Return the operation, the status and the store's error code of a response."""
    code = error_code(response)
    return f"{response.operation} returned {response.status}" + (f", {code}" if code else "")
