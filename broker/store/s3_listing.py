"""The request that lists objects: ListObjectsV2, page by page."""

from collections.abc import Awaitable, Callable
from typing import Final

from broker.core.limits import MIB
from broker.core.model import ObjectRef

from .port import ObjectPage
from .s3_documents import page_of_objects
from .s3_responses import S3Response
from .timeouts import Timeouts, instant_after
from .transport import Call

_PAGE_MAX: Final = 8 * MIB  # bytes of a thousand entries, whose keys may have 1024 bytes that XML escapes


class S3Listing:
    """The part of ``S3ObjectStore`` that implements ``ListOperations``."""

    _send: Callable[[Call], Awaitable[S3Response]]
    _timeouts: Timeouts

    async def list_objects(self, bucket: str, prefix: str, *, page: str | None = None) -> ObjectPage:
        """Send ListObjectsV2."""
        query = {"list-type": "2", "prefix": prefix, **({"continuation-token": page} if page else {})}
        until = instant_after(self._timeouts.listing)
        call = Call("ListObjectsV2", "GET", ObjectRef(bucket, ""), until, query=query, limit=_PAGE_MAX)
        return page_of_objects(await self._send(call), page)
