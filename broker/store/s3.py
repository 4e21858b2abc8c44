"""The port over Cloudflare R2, or any S3 store that is addressed path-style.

Each method makes a request, and interprets its response: ``transport`` sends the request, ``s3_responses`` and
``s3_documents`` read the response. Every request may safely be sent twice: a copy has a condition on its source, a
part replaces itself, and of a multipart upload that was created twice the bucket's lifecycle rule removes one.
"""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from broker.core.limits import MIB, PUT_MAX
from broker.core.model import CopiedObject, ObjectHead, ObjectRef, OpenMultipart, Part, StoredObject
from broker.crypto.presigner import Presigner
from broker.errors import StorageUnavailableError
from broker.settings.variables import STORE_CONCURRENCY

from .dialect import Dialect
from .ended_call import ObserveCall
from .port import QUICK_COPY_MAX
from .s3_documents import (
    check_completed,
    check_copied_part,
    copied_object,
    created_multipart,
    page_of_multiparts,
    page_of_parts,
    undeleted,
)
from .s3_requests import complete_request, copy_source, delete_request
from .s3_responses import S3Response, bytes_at, is_no_such_key, is_no_such_upload, object_head, stored_object
from .s3_sending import S3Sending
from .s3_state import S3State
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .timeouts import instant_after as _until
from .transport import Call, Transport

PING_KEY: Final = ".broker-ping"
"""A key that is never written: a bucket that reports NoSuchKey for it can be read."""

COPIED_A_SECOND: Final = 4 * MIB
"""Bytes that a store copies in a second at least; the deadline of a copy follows from it."""

CHECKSUMS_REFUSED_FOR: Final = 3600.0
"""Seconds for which no checksum is requested after the store refused to return one."""

_REFUSALS: Final = frozenset({400, 403, 405, 501})  # of x-amz-checksum-mode, which R2 does not document
_LISTING_LIMIT: Final = 1024 * 1024  # bytes of a thousand keys or parts


class S3ObjectStore(S3Sending, S3State):
    """``ObjectStore`` over presigned URLs; ``long_calls`` is the number of concurrent long calls.

    ``observe`` receives each call that was sent.
    """

    def __init__(
        self,
        presigner: Presigner,
        dialect: Dialect,
        *,
        clock: Callable[[], float] = time.time,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        concurrency: int = STORE_CONCURRENCY,
        long_calls: int = 64,
        observe: ObserveCall | None = None,
    ) -> None:
        self._timeouts = timeouts
        self._transport = Transport(
            presigner,
            clock=clock,
            connect_timeout=timeouts.connect,
            concurrency=concurrency,
            long_calls=long_calls,
            observe=observe,
        )
        self._send = self._transport.send
        self.reserve = self._transport.reserve
        self._checksums_from = float("-inf")  # by the loop's clock
        self._copy_condition = dialect.copy_condition
        self._checks_part_source = dialect.checks_part_source

    async def head(self, ref: ObjectRef, *, is_long: bool = False) -> StoredObject | None:
        """Send HeadObject."""
        return await self._head(ref, _until(self._timeouts.total), is_long=is_long)

    async def first_bytes(self, ref: ObjectRef, count: int, *, checksum: bool = False) -> ObjectHead | None:
        """Send a ranged GetObject, and at the same time a HeadObject if the checksum is requested."""
        now = asyncio.get_running_loop().time()
        if not checksum or now < self._checksums_from:
            return await self._ranged_get(ref, count)
        found, response = await asyncio.gather(self._ranged_get(ref, count), self._checksum(ref))
        if response.status in _REFUSALS:
            self._checksums_from = now + CHECKSUMS_REFUSED_FOR
        if found is None or found.stored.content_encoding or response.status != 200:
            return found
        described = stored_object(response)
        if described.etag != found.stored.etag:
            raise StorageUnavailableError("the object changed between GetObject and HeadObject")
        return found._replace(stored=replace(found.stored, sha256=described.sha256))

    async def more_bytes(self, ref: ObjectRef, offset: int, count: int, *, if_match: str) -> bytes | None:
        """Send a ranged GetObject with the condition that the object has not changed."""
        until, span = _until(self._timeouts.total), f"bytes={offset}-{offset + count - 1}"
        call = Call("GetObject", "GET", ref, until, {"range": span, "if-match": f'"{if_match}"'}, limit=count)
        return bytes_at(await self._send(call), offset, count, if_match)

    async def put_empty(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> None:
        """Send PutObject without a body."""
        response = await self._send(Call("PutObject", "PUT", ref, _until(self._timeouts.total), headers))
        if response.status != 200:
            raise response.unexpected()

    async def copy(
        self, source: ObjectRef, target: ObjectRef, *, if_match: str, headers: Mapping[str, str], size: int = PUT_MAX
    ) -> CopiedObject | None:
        """Send CopyObject, with the condition that the target does not exist."""
        conditional = {
            **headers,
            "x-amz-copy-source": copy_source(source),
            "x-amz-copy-source-if-match": f'"{if_match}"',
            "x-amz-metadata-directive": "REPLACE",
            self._copy_condition: "*",  # so that one of two promotions fails
        }
        until, is_long = self._until_copied(size), size > QUICK_COPY_MAX
        response = await self._send(Call("CopyObject", "PUT", target, until, conditional, is_long=is_long))
        if response.status == 412 or is_no_such_key(response):
            return None
        return copied_object(response)

    async def delete(self, ref: ObjectRef) -> None:
        """Send DeleteObject."""
        response = await self._send(Call("DeleteObject", "DELETE", ref, _until(self._timeouts.total)))
        if response.status not in (200, 204) and not is_no_such_key(response):
            raise response.unexpected()

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> dict[str, str]:
        """Send DeleteObjects."""
        if not keys:
            return {}
        body = delete_request(keys)
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        response = await self._send(
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
        return undeleted(response, list(keys))

    async def create_multipart(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> str:
        """Send CreateMultipartUpload."""
        until = _until(self._timeouts.total)
        return created_multipart(
            await self._send(Call("CreateMultipartUpload", "POST", ref, until, headers, {"uploads": ""}))
        )

    async def open_multiparts(self, bucket: str, prefix: str) -> list[OpenMultipart]:
        """Send ListMultipartUploads for each page."""
        ref, until = ObjectRef(bucket, ""), _until(self._timeouts.listing)
        found: list[OpenMultipart] = []
        following: Mapping[str, str] | None = {}
        while following is not None:
            query = {"uploads": "", "prefix": prefix, **following}
            call = Call("ListMultipartUploads", "GET", ref, until, query=query, limit=_LISTING_LIMIT)
            uploads, following = page_of_multiparts(await self._send(call))
            found += uploads
        return sorted(found, key=lambda upload: upload.initiated)

    async def list_parts(self, ref: ObjectRef, s3_upload_id: str) -> list[Part] | None:
        """Send ListParts for each page."""
        until = _until(self._timeouts.listing)
        parts: list[Part] = []
        marker = 0
        while True:
            query = {"uploadId": s3_upload_id, "part-number-marker": str(marker)}
            response = await self._send(Call("ListParts", "GET", ref, until, query=query, limit=_LISTING_LIMIT))
            if is_no_such_upload(response):
                return None
            page, following = page_of_parts(response, after=marker)
            parts += page
            if following is None:
                return parts
            marker = following

    async def copy_part(
        self,
        source: ObjectRef,
        target: ObjectRef,
        s3_upload_id: str,
        number: int,
        *,
        if_match: str,
        first_byte: int,
        size: int,
    ) -> bool:
        """Send UploadPartCopy."""
        headers = {
            "x-amz-copy-source": copy_source(source),
            "x-amz-copy-source-range": f"bytes={first_byte}-{first_byte + size - 1}",
        }
        query = {"partNumber": str(number), "uploadId": s3_upload_id}
        call = Call("UploadPartCopy", "PUT", target, self._until_copied(size), headers, query, is_long=True)
        response = await self._send_with_condition(call, {"x-amz-copy-source-if-match": f'"{if_match}"'})
        if response.status == 412 or is_no_such_upload(response) or is_no_such_key(response):
            return False
        check_copied_part(response)
        return True

    async def complete_multipart(self, ref: ObjectRef, s3_upload_id: str, parts: Sequence[Part]) -> bool:
        """Send CompleteMultipartUpload, with the condition that the object does not exist."""
        # If-None-Match of a completion: developers.cloudflare.com/r2/api/s3/conditional-operations
        headers = {"content-type": "application/xml", "if-none-match": "*"}
        response = await self._send(
            Call(
                "CompleteMultipartUpload",
                "POST",
                ref,
                _until(self._timeouts.copy),
                headers,
                {"uploadId": s3_upload_id},
                complete_request(parts),
                is_long=True,
            )
        )
        if response.status == 412 or is_no_such_upload(response):
            return False
        check_completed(response)
        return True

    async def abort_multipart(self, ref: ObjectRef, s3_upload_id: str) -> None:
        """Send AbortMultipartUpload."""
        until = _until(self._timeouts.total)
        response = await self._send(
            Call("AbortMultipartUpload", "DELETE", ref, until, query={"uploadId": s3_upload_id})
        )
        if response.status not in (200, 204) and not is_no_such_upload(response):
            raise response.unexpected()

    async def ping(self, bucket: str) -> None:
        """Send GetObject for ``PING_KEY``."""
        await self.first_bytes(ObjectRef(bucket, PING_KEY), 1)

    async def _ranged_get(self, ref: ObjectRef, count: int) -> ObjectHead | None:
        until, ranged = _until(self._timeouts.total), {"range": f"bytes=0-{count - 1}"}
        response = await self._send(Call("GetObject", "GET", ref, until, ranged, limit=count))
        if response.status == 416:
            return await self._empty(ref, until, response)
        return None if is_no_such_key(response) else object_head(response, count)

    async def _send_with_condition(self, call: Call, condition: Mapping[str, str]) -> S3Response:
        """Send a copy of a part with a condition on its source, or without it if the store does not implement it.

        Without the condition, a promotion detects a changed source when it reads the source again at its end.
        """
        if self._checks_part_source:
            response = await self._send(call._replace(headers={**call.headers, **condition}))
            if response.status != 501:
                return response
            self._checks_part_source = False
        return await self._send(call)

    async def _checksum(self, ref: ObjectRef) -> S3Response:
        """Send a HeadObject with x-amz-checksum-mode, because a store returns no checksum with a range of an object.

        A 404 and the refusal of a checksum are expected responses (AmazonS3/latest/API/API_HeadObject.html).
        """
        until = _until(self._timeouts.total)
        response = await self._send(Call("HeadObject", "HEAD", ref, until, {"x-amz-checksum-mode": "ENABLED"}))
        if response.status not in (200, 404, *_REFUSALS):
            raise response.unexpected()
        return response

    async def _head(self, ref: ObjectRef, until: float, *, is_long: bool = False) -> StoredObject | None:
        response = await self._send(Call("HeadObject", "HEAD", ref, until, is_long=is_long))
        return None if response.status == 404 else stored_object(response)

    def _until_copied(self, size: int) -> float:
        return _until(min(self._timeouts.copy, self._timeouts.total + size / COPIED_A_SECOND))

    async def _empty(self, ref: ObjectRef, until: float, refusal: S3Response) -> ObjectHead | None:
        """Return an empty object, which has no first byte, after the store's 416 for its first bytes."""
        found = await self._head(ref, until)
        if found and found.size:
            raise refusal.unexpected()
        return ObjectHead(found, b"") if found else None
