"""The store over HTTP: every call is a URL that our own signer presigned, sent by aiohttp.

Rules of this module
- A call ends within its deadline: waiting for a slot, connecting, both attempts and reading are inside of it.
- Every verb of the port may safely be sent twice (a copy is conditional on its source), so what may pass is tried
  once more; every other answer is taken as it is.
- It speaks to the store alone: no redirect is followed, no cookie kept, no proxy or netrc read.
"""

import asyncio
import base64
import hashlib
import html
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote

import aiohttp
from yarl import URL

from broker.core.model import CopiedObject, ObjectRef, StoredObject
from broker.core.sigv4 import EMPTY, Presigner
from broker.errors import StorageUnavailableError

from .answers import Answer, beginning, copied_object, says_no_such_key, stored_object, undeleted

PROBE_KEY: Final = ".broker-ping"
"""Never written: a bucket that says it has no such key is a bucket that can be read."""

_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_FAILURES: Final = (aiohttp.ClientError, OSError)  # of which TimeoutError is one
_PAUSE: Final = (0.05, 0.25)
_EXPIRES_IN: Final = 300  # these URLs go to the store alone: as long as a clock some minutes slow needs
_XML_LIMIT: Final = 64 * 1024
_DELETE_RESULT_LIMIT: Final = 1024 * 1024  # a thousand keys, each with its error
_HEADERS: Final = {
    "Accept-Encoding": "identity",  # for anything else Cloudflare may drop the Content-Length
    "User-Agent": "r2-upload-broker",
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: ``connect`` for one connection; ``copy`` for a whole copy, ``total`` for any other whole call."""

    connect: float = 1.0
    total: float = 3.0
    copy: float = 60.0


DEFAULT_TIMEOUTS: Final = Timeouts()


class _Call(NamedTuple):
    operation: str
    method: str
    ref: ObjectRef
    until: float
    headers: Mapping[str, str] = EMPTY
    query: Mapping[str, str] = EMPTY
    body: bytes | None = None
    limit: int = _XML_LIMIT


class R2ObjectStore:
    """``ObjectStore`` over Cloudflare R2, or any store that speaks S3 and is addressed path-style."""

    def __init__(
        self,
        presigner: Presigner,
        *,
        clock: Callable[[], float] = time.time,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        concurrency: int = 32,
    ) -> None:
        self._presigner = presigner
        self._clock = clock
        self._timeouts = timeouts
        self._slots = asyncio.Semaphore(concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def head(self, ref: ObjectRef) -> StoredObject | None:
        return await self._head(ref, self._until(self._timeouts.total))

    async def first_bytes(self, ref: ObjectRef, count: int) -> tuple[str, bytes] | None:
        until = self._until(self._timeouts.total)
        ranged = {"range": f"bytes=0-{count - 1}"}
        answer = await self._ask(_Call("GetObject", "GET", ref, until, ranged, limit=count))
        if answer.status == 416:
            return await self._empty(ref, until, answer)
        return None if says_no_such_key(answer) else beginning(answer)

    async def copy(
        self, source: ObjectRef, target: ObjectRef, *, if_match: str, headers: Mapping[str, str]
    ) -> CopiedObject | None:
        conditional = {
            **headers,
            "x-amz-copy-source": f"{source.bucket}/{quote(source.key)}",
            "x-amz-copy-source-if-match": f'"{if_match}"',
            "x-amz-metadata-directive": "REPLACE",
            "cf-copy-destination-if-none-match": "*",  # R2's own: of two promotions one wins
        }
        answer = await self._ask(_Call("CopyObject", "PUT", target, self._until(self._timeouts.copy), conditional))
        if answer.status == 412 or says_no_such_key(answer):
            return None
        return copied_object(answer)

    async def delete(self, ref: ObjectRef) -> None:
        answer = await self._ask(_Call("DeleteObject", "DELETE", ref, self._until(self._timeouts.total)))
        if answer.status not in (200, 204) and not says_no_such_key(answer):
            raise answer.unclear()

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> frozenset[str]:
        if not keys:
            return frozenset()
        body = _delete_request(keys)
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        answer = await self._ask(
            _Call(
                "DeleteObjects",
                "POST",
                ObjectRef(bucket, ""),
                self._until(self._timeouts.total),
                headers={"content-md5": base64.b64encode(digest).decode(), "content-type": "application/xml"},
                query={"delete": ""},
                body=body,
                limit=_DELETE_RESULT_LIMIT,
            )
        )
        return undeleted(answer, keys)

    async def ping(self, bucket: str) -> None:
        await self.first_bytes(ObjectRef(bucket, PROBE_KEY), 1)

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _head(self, ref: ObjectRef, until: float) -> StoredObject | None:
        answer = await self._ask(_Call("HeadObject", "HEAD", ref, until))
        return None if answer.status == 404 else stored_object(answer)

    async def _empty(self, ref: ObjectRef, until: float, refusal: Answer) -> tuple[str, bytes] | None:
        """An empty object has no first byte, and the store's refusal to send it no ETag."""
        found = await self._head(ref, until)
        if found and found.size:
            raise refusal.unclear()
        return (found.etag, b"") if found else None

    def _until(self, seconds: float) -> float:
        return asyncio.get_running_loop().time() + seconds

    async def _ask(self, call: _Call) -> Answer:
        try:
            async with asyncio.timeout_at(call.until), self._slots:
                return await self._attempts(call)
        except _FAILURES as error:  # their texts hold the endpoint; their names do not
            raise StorageUnavailableError(f"{call.operation} got no answer, {type(error).__name__}") from None

    async def _attempts(self, call: _Call) -> Answer:
        try:
            answer = await self._attempt(call)
            if answer.status not in _TRANSIENT:
                return answer
        except _FAILURES:
            pass
        await asyncio.sleep(random.uniform(*_PAUSE))  # noqa: S311  # jitter is no secret
        return await self._attempt(call)

    async def _attempt(self, call: _Call) -> Answer:
        url = self._presigner.presign(
            call.method,
            call.ref,
            now=int(self._clock()),
            expires_in=_EXPIRES_IN,
            headers=call.headers,
            query=call.query,
        )
        exact = URL(url, encoded=True)  # the bytes that were signed
        request = self._http().request(call.method, exact, headers=call.headers, data=call.body, allow_redirects=False)
        async with request as response:
            limit = call.limit if response.ok else _XML_LIMIT
            body = await _read(response.content, limit)
            return Answer(call.operation, response.status, response.headers, body, self._clock())

    def _http(self) -> aiohttp.ClientSession:
        """The session, made by the first call because it belongs to the running loop."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # the slots are the limit
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                skip_auto_headers=("Accept", "Content-Type"),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect),
                auto_decompress=False,
                trust_env=False,
            )
            self._session._retry_connection = False  # noqa: SLF001  # no public switch; both attempts are ours to make
        return self._session


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    """No more than ``limit`` bytes; the connection of a body that goes on is closed."""
    body = bytearray()
    while len(body) < limit and (chunk := await content.read(limit - len(body))):
        body += chunk
    return bytes(body)


def _delete_request(keys: Sequence[str]) -> bytes:
    objects = "".join(f"<Object><Key>{html.escape(key, quote=False)}</Key></Object>" for key in keys)
    return f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}</Delete>'.encode()
