"""The port over Cloudflare R2, or any store that speaks S3 and is addressed path-style.

A verb is a request and the meaning of its answer: ``transport`` sends it, ``answers`` and ``documents`` read the
answer. Every verb may safely be sent twice: a copy is conditional on its source, a part replaces itself, and a
multipart upload that was created twice leaves one for the bucket's lifecycle rule.
"""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from broker.core.limits import MIB, PUT_MAX
from broker.core.model import CopiedObject, ObjectHead, ObjectRef, OpenMultipart, Part, StoredObject
from broker.crypto.presigner import Presigner
from broker.errors import StorageUnavailableError
from broker.settings.variables import STORE_CONCURRENCY

from .dialect import Dialect
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
from .s3_responses import Answer, object_head, says_no_such_key, says_no_such_upload, stored_object
from .transport import Call, Transport

PROBE_KEY: Final = ".broker-ping"
"""Never written: a bucket that says it has no such key is a bucket that can be read."""

COPIED_A_SECOND: Final = 4 * MIB
"""Bytes that a store copies in a second at the least: who confirms a small file waits for no copy that hangs."""

CHECKSUMS_REFUSED_FOR: Final = 3600.0
"""Seconds for which a store that refused to return a checksum is not asked for one again."""

_REFUSALS: Final = frozenset({400, 403, 405, 501})  # of x-amz-checksum-mode; R2 does not document it
_LISTING_LIMIT: Final = 1024 * 1024  # bytes of a thousand keys or parts


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


class S3ObjectStore:
    """``ObjectStore`` over signed URLs."""

    def __init__(
        self,
        presigner: Presigner,
        dialect: Dialect,
        *,
        clock: Callable[[], float] = time.time,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        concurrency: int = STORE_CONCURRENCY,
        long_calls: int = 64,
    ) -> None:
        self._dialect = dialect
        self._timeouts = timeouts
        self._transport = Transport(
            presigner,
            clock=clock,
            connect_timeout=timeouts.connect,
            concurrency=concurrency,
            long_calls=long_calls,
        )
        self._ask = self._transport.ask
        self.place = self._transport.place
        self._checksums_from = float("-inf")  # by the loop's clock
        self._checks_part_source = dialect.checks_part_source

    @property
    def clock_skew(self) -> float | None:
        return self._transport.skew.seconds

    async def head(self, ref: ObjectRef, *, is_long: bool = False) -> StoredObject | None:
        return await self._head(ref, _until(self._timeouts.total), is_long=is_long)

    async def first_bytes(self, ref: ObjectRef, count: int, *, checksum: bool = False) -> ObjectHead | None:
        now = asyncio.get_running_loop().time()
        if not checksum or now < self._checksums_from:
            return await self._beginning(ref, count)
        found, answer = await asyncio.gather(self._beginning(ref, count), self._checksum(ref))
        if answer.status in _REFUSALS:
            self._checksums_from = now + CHECKSUMS_REFUSED_FOR
        if found is None or found.stored.content_encoding or answer.status != 200:
            return found
        described = stored_object(answer)
        if described.etag != found.stored.etag:
            raise StorageUnavailableError("the object changed between GetObject and HeadObject")
        return found._replace(stored=replace(found.stored, sha256=described.sha256))

    async def put_empty(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> None:
        answer = await self._ask(Call("PutObject", "PUT", ref, _until(self._timeouts.total), headers))
        if answer.status != 200:
            raise answer.unclear()

    async def copy(
        self, source: ObjectRef, target: ObjectRef, *, if_match: str, headers: Mapping[str, str], size: int = PUT_MAX
    ) -> CopiedObject | None:
        conditional = {
            **headers,
            "x-amz-copy-source": copy_source(source),
            "x-amz-copy-source-if-match": f'"{if_match}"',
            "x-amz-metadata-directive": "REPLACE",
            self._dialect.copy_condition: "*",  # so that one of two promotions fails
        }
        until, is_long = self._until_copied(size), size > QUICK_COPY_MAX
        answer = await self._ask(Call("CopyObject", "PUT", target, until, conditional, is_long=is_long))
        if answer.status == 412 or says_no_such_key(answer):
            return None
        return copied_object(answer)

    async def delete(self, ref: ObjectRef) -> None:
        answer = await self._ask(Call("DeleteObject", "DELETE", ref, _until(self._timeouts.total)))
        if answer.status not in (200, 204) and not says_no_such_key(answer):
            raise answer.unclear()

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> dict[str, str]:
        if not keys:
            return {}
        body = delete_request(keys)
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
        return undeleted(answer, list(keys))

    async def create_multipart(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> str:
        until = _until(self._timeouts.total)
        return created_multipart(
            await self._ask(Call("CreateMultipartUpload", "POST", ref, until, headers, {"uploads": ""}))
        )

    async def open_multiparts(self, bucket: str, prefix: str) -> list[OpenMultipart]:
        ref, until = ObjectRef(bucket, ""), _until(self._timeouts.listing)
        found: list[OpenMultipart] = []
        following: Mapping[str, str] | None = {}
        while following is not None:
            query = {"uploads": "", "prefix": prefix, **following}
            call = Call("ListMultipartUploads", "GET", ref, until, query=query, limit=_LISTING_LIMIT)
            uploads, following = page_of_multiparts(await self._ask(call))
            found += uploads
        return sorted(found, key=lambda upload: upload.initiated)

    async def list_parts(self, ref: ObjectRef, s3_upload_id: str) -> list[Part] | None:
        until = _until(self._timeouts.listing)
        parts: list[Part] = []
        marker = 0
        while True:
            query = {"uploadId": s3_upload_id, "part-number-marker": str(marker)}
            answer = await self._ask(Call("ListParts", "GET", ref, until, query=query, limit=_LISTING_LIMIT))
            if says_no_such_upload(answer):
                return None
            page, following = page_of_parts(answer, after=marker)
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
        headers = {
            "x-amz-copy-source": copy_source(source),
            "x-amz-copy-source-range": f"bytes={first_byte}-{first_byte + size - 1}",
        }
        query = {"partNumber": str(number), "uploadId": s3_upload_id}
        call = Call("UploadPartCopy", "PUT", target, self._until_copied(size), headers, query, is_long=True)
        answer = await self._ask_on_condition(call, {"x-amz-copy-source-if-match": f'"{if_match}"'})
        if answer.status == 412 or says_no_such_upload(answer) or says_no_such_key(answer):
            return False
        check_copied_part(answer)
        return True

    async def complete_multipart(self, ref: ObjectRef, s3_upload_id: str, parts: Sequence[Part]) -> bool:
        # developers.cloudflare.com/r2/api/s3/conditional-operations has If-None-Match of a completion
        headers = {"content-type": "application/xml", "if-none-match": "*"}
        answer = await self._ask(
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
        if answer.status == 412 or says_no_such_upload(answer):
            return False
        check_completed(answer)
        return True

    async def abort_multipart(self, ref: ObjectRef, s3_upload_id: str) -> None:
        until = _until(self._timeouts.total)
        answer = await self._ask(Call("AbortMultipartUpload", "DELETE", ref, until, query={"uploadId": s3_upload_id}))
        if answer.status not in (200, 204) and not says_no_such_upload(answer):
            raise answer.unclear()

    async def ping(self, bucket: str) -> None:
        await self.first_bytes(ObjectRef(bucket, PROBE_KEY), 1)

    async def close(self) -> None:
        await self._transport.close()

    async def _beginning(self, ref: ObjectRef, count: int) -> ObjectHead | None:
        until = _until(self._timeouts.total)
        ranged = {"range": f"bytes=0-{count - 1}"}
        answer = await self._ask(Call("GetObject", "GET", ref, until, ranged, limit=count))
        if answer.status == 416:
            return await self._empty(ref, until, answer)
        return None if says_no_such_key(answer) else object_head(answer, count)

    async def _ask_on_condition(self, call: Call, condition: Mapping[str, str]) -> Answer:
        """The answer to a copy of a range with a condition, or without it where the store does not implement it.

        R2 honours it, although its S3 API compatibility page says that it does not; its local emulator answers 501.
        A store without it loses nothing that the promotion's last look at its source does not find.
        """
        if self._checks_part_source:
            answer = await self._ask(call._replace(headers={**call.headers, **condition}))
            if answer.status != 501:
                return answer
            self._checks_part_source = False
        return await self._ask(call)

    async def _checksum(self, ref: ObjectRef) -> Answer:
        """A HeadObject that asks for checksums: a store returns none with a part of an object.

        docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html; a 404 and a refusal are answers, too.
        """
        until = _until(self._timeouts.total)
        answer = await self._ask(Call("HeadObject", "HEAD", ref, until, {"x-amz-checksum-mode": "ENABLED"}))
        if answer.status not in (200, 404, *_REFUSALS):
            raise answer.unclear()
        return answer

    async def _head(self, ref: ObjectRef, until: float, *, is_long: bool = False) -> StoredObject | None:
        answer = await self._ask(Call("HeadObject", "HEAD", ref, until, is_long=is_long))
        return None if answer.status == 404 else stored_object(answer)

    def _until_copied(self, size: int) -> float:
        return _until(min(self._timeouts.copy, self._timeouts.total + size / COPIED_A_SECOND))

    async def _empty(self, ref: ObjectRef, until: float, refusal: Answer) -> ObjectHead | None:
        """An empty object has no first byte, and the store's refusal to send it says nothing else of it."""
        found = await self._head(ref, until)
        if found and found.size:
            raise refusal.unclear()
        return ObjectHead(found, b"") if found else None


def _until(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds
