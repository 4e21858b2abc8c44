"""Requests to the store as clients send them, by presigned URLs, also such as the store must refuse.

The URL signs the header fields that it should; the request may have others. There is no retry and no circuit breaker:
an examination must see each response.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from broker.core.model import ObjectRef
from broker.crypto.presigner import EMPTY, Presigner
from broker.http_client.http_errors import HttpError
from broker.http_client.message import Request
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
        origin = Origin(endpoint, connect_timeout=TIMEOUT, fields=_FIELDS)
        try:
            async with asyncio.timeout(TIMEOUT):
                response = await origin.send(Request(method, url[len(endpoint) :], headers, body, _BODY_MAX))
        except (HttpError, OSError) as error:
            raise NoResponseError(type(error).__name__) from None
        finally:
            await origin.close()
        return S3Response(operation, response.status, response.fields, response.body, self.clock())


def text_of(response: S3Response) -> str:
    """Return the operation, the status and the store's error code of a response."""
    code = error_code(response)
    return f"{response.operation} returned {response.status}" + (f", {code}" if code else "")
