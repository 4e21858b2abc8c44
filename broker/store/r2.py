"""The port over Cloudflare R2, or any store that speaks S3 and is addressed path-style.

A verb is what it asks and what it makes of the answer: how it is sent is ``transport``'s, what an answer means is
``answers``'. Every verb may safely be sent twice: a copy is conditional on its source, a part replaces itself, and a
multipart upload that was created twice leaves one for the bucket's lifecycle rule.
"""

import asyncio
import base64
import hashlib
import html
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from broker.core.limits import MIB, PUT_MAX
from broker.core.model import Beginning, CopiedObject, ObjectRef, Part, StoredObject
from broker.core.sigv4 import Presigner

from .answers import (
    Answer,
    beginning,
    check_copied_part,
    completed_object,
    copied_object,
    created_multipart,
    open_multiparts,
    page_of_parts,
    says_no_such_key,
    says_no_such_upload,
    stored_object,
    undeleted,
)
from .transport import Call, Transport

PROBE_KEY: Final = ".broker-ping"
"""Never written: a bucket that says it has no such key is a bucket that can be read."""

COPIED_A_SECOND: Final = 4 * MIB
"""Bytes that a store copies in a second at the least: who confirms a small file waits for no copy that hangs."""

_LISTING_LIMIT: Final = 1024 * 1024  # bytes of a thousand keys or parts
_XMLNS: Final = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. ``connect``: one connection. ``copy``: a large copy, or the joining of parts. ``listing``: all pages.

    ``total``: any other whole call. A smaller copy has that, and a second more for each ``COPIED_A_SECOND`` bytes.
    """

    connect: float = 1.0
    total: float = 3.0
    listing: float = 10.0
    copy: float = 60.0


DEFAULT_TIMEOUTS: Final = Timeouts()


class R2ObjectStore:
    """``ObjectStore`` over signed URLs."""

    def __init__(
        self,
        presigner: Presigner,
        *,
        clock: Callable[[], float] = time.time,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        concurrency: int = 32,
        long_calls: int = 32,
    ) -> None:
        self._timeouts = timeouts
        self._transport = Transport(
            presigner,
            clock=clock,
            connect_timeout=timeouts.connect,
            concurrency=concurrency,
            long_calls=long_calls,
        )
        self._ask = self._transport.ask

    async def head(self, ref: ObjectRef) -> StoredObject | None:
        return await self._head(ref, _until(self._timeouts.total))

    async def first_bytes(self, ref: ObjectRef, count: int) -> Beginning | None:
        until = _until(self._timeouts.total)
        ranged = {"range": f"bytes=0-{count - 1}"}
        answer = await self._ask(Call("GetObject", "GET", ref, until, ranged, limit=count))
        if answer.status == 416:
            return await self._empty(ref, until, answer)
        return None if says_no_such_key(answer) else beginning(answer, count)

    async def copy(
        self, source: ObjectRef, target: ObjectRef, *, if_match: str, headers: Mapping[str, str], size: int = PUT_MAX
    ) -> CopiedObject | None:
        conditional = {
            **headers,
            "x-amz-copy-source": _copy_source(source),
            "x-amz-copy-source-if-match": f'"{if_match}"',
            "x-amz-metadata-directive": "REPLACE",
            "cf-copy-destination-if-none-match": "*",  # R2's own: of two promotions one wins
        }
        answer = await self._ask(Call("CopyObject", "PUT", target, self._until_copied(size), conditional, is_long=True))
        if answer.status == 412 or says_no_such_key(answer):
            return None
        return copied_object(answer)

    async def delete(self, ref: ObjectRef) -> None:
        answer = await self._ask(Call("DeleteObject", "DELETE", ref, _until(self._timeouts.total)))
        if answer.status not in (200, 204) and not says_no_such_key(answer):
            raise answer.unclear()

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> frozenset[str]:
        if not keys:
            return frozenset()
        body = _delete_request(keys)
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        answer = await self._ask(
            Call(
                "DeleteObjects",
                "POST",
                ObjectRef(bucket, ""),
                _until(self._timeouts.total),
                headers={"content-md5": base64.b64encode(digest).decode(), "content-type": "application/xml"},
                query={"delete": ""},
                body=body,
                limit=_LISTING_LIMIT,
            )
        )
        return undeleted(answer, keys)

    async def create_multipart(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> str:
        until = _until(self._timeouts.total)
        return created_multipart(
            await self._ask(Call("CreateMultipartUpload", "POST", ref, until, headers, {"uploads": ""}))
        )

    async def open_multiparts(self, ref: ObjectRef) -> list[str]:
        bucket, query = ObjectRef(ref.bucket, ""), {"uploads": "", "prefix": ref.key}
        until = _until(self._timeouts.total)
        call = Call("ListMultipartUploads", "GET", bucket, until, query=query, limit=_LISTING_LIMIT)
        return open_multiparts(await self._ask(call), ref.key)

    async def list_parts(self, ref: ObjectRef, upload_id: str) -> list[Part] | None:
        until = _until(self._timeouts.listing)
        parts: list[Part] = []
        marker = 0
        while True:
            query = {"uploadId": upload_id, "part-number-marker": str(marker)}
            answer = await self._ask(Call("ListParts", "GET", ref, until, query=query, limit=_LISTING_LIMIT))
            if says_no_such_upload(answer):
                return None
            page, following = page_of_parts(answer, after=marker)
            parts += page
            if following is None:
                return parts
            marker = following

    async def copy_part(
        self, source: ObjectRef, target: ObjectRef, upload_id: str, number: int, *, first_byte: int, size: int
    ) -> bool:
        # No condition on the source: R2 does not implement x-amz-copy-source-if-* here (its S3 API compatibility page).
        headers = {
            "x-amz-copy-source": _copy_source(source),
            "x-amz-copy-source-range": f"bytes={first_byte}-{first_byte + size - 1}",
        }
        query = {"partNumber": str(number), "uploadId": upload_id}
        answer = await self._ask(
            Call("UploadPartCopy", "PUT", target, self._until_copied(size), headers, query, is_long=True)
        )
        if says_no_such_upload(answer) or says_no_such_key(answer):
            return False
        check_copied_part(answer)
        return True

    async def complete_multipart(self, ref: ObjectRef, upload_id: str, parts: Sequence[Part]) -> str | None:
        headers = {"content-type": "application/xml"}
        answer = await self._ask(
            Call(
                "CompleteMultipartUpload",
                "POST",
                ref,
                _until(self._timeouts.copy),
                headers,
                {"uploadId": upload_id},
                _complete_request(parts),
                is_long=True,
            )
        )
        return None if says_no_such_upload(answer) else completed_object(answer)

    async def abort_multipart(self, ref: ObjectRef, upload_id: str) -> None:
        until = _until(self._timeouts.total)
        answer = await self._ask(Call("AbortMultipartUpload", "DELETE", ref, until, query={"uploadId": upload_id}))
        if answer.status not in (200, 204) and not says_no_such_upload(answer):
            raise answer.unclear()

    async def ping(self, bucket: str) -> None:
        await self.first_bytes(ObjectRef(bucket, PROBE_KEY), 1)

    async def close(self) -> None:
        await self._transport.close()

    async def _head(self, ref: ObjectRef, until: float) -> StoredObject | None:
        answer = await self._ask(Call("HeadObject", "HEAD", ref, until))
        return None if answer.status == 404 else stored_object(answer)

    def _until_copied(self, size: int) -> float:
        return _until(min(self._timeouts.copy, self._timeouts.total + size / COPIED_A_SECOND))

    async def _empty(self, ref: ObjectRef, until: float, refusal: Answer) -> Beginning | None:
        """An empty object has no first byte, and the store's refusal to send it says nothing else of it."""
        found = await self._head(ref, until)
        if found and found.size:
            raise refusal.unclear()
        return Beginning(found, b"") if found else None


def _until(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _copy_source(ref: ObjectRef) -> str:
    return f"{ref.bucket}/{quote(ref.key)}"


def _delete_request(keys: Sequence[str]) -> bytes:
    objects = "".join(f"<Object><Key>{html.escape(key, quote=False)}</Key></Object>" for key in keys)
    return f'<Delete xmlns="{_XMLNS}">{objects}</Delete>'.encode()


def _complete_request(parts: Sequence[Part]) -> bytes:
    listed = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{html.escape(part.etag)}&quot;</ETag></Part>"
        for part in parts
    )
    return f'<CompleteMultipartUpload xmlns="{_XMLNS}">{listed}</CompleteMultipartUpload>'.encode()
