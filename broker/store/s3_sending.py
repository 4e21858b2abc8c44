"""The requests that send content: PutObject and UploadPart with a streamed body."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from broker.core.model import ObjectRef, Part
from broker.http_client.message import BodyStream

from .port import Payload
from .s3_responses import S3Response, sent_etag
from .timeouts import Timeouts, instant_after
from .transport import Call

STREAM_MAX: Final = 86_400.0
"""Seconds after which a streamed call ends in any case. The deadline of the client's request is far shorter."""


class S3Sending:
    """The part of ``S3ObjectStore`` that implements ``SendOperations``."""

    _send: Callable[[Call], Awaitable[S3Response]]
    _timeouts: Timeouts

    async def send_object(self, ref: ObjectRef, payload: Payload, *, headers: Mapping[str, str]) -> None:
        """Send PutObject."""
        sent_etag(await self._send_content(Call("PutObject", "PUT", ref, 0, headers), payload))

    async def send_part(self, ref: ObjectRef, s3_upload_id: str, number: int, payload: Payload) -> Part:
        """Send UploadPart."""
        query = {"partNumber": str(number), "uploadId": s3_upload_id}
        response = await self._send_content(Call("UploadPart", "PUT", ref, 0, query=query), payload)
        return Part(number, payload.size, sent_etag(response))

    async def _send_content(self, call: Call, payload: Payload) -> S3Response:
        """Send a call with its body. A store that stops reading fails it as soon as one that does not respond."""
        patience, is_once = self._timeouts.copy, not payload.is_repeatable
        until = instant_after(STREAM_MAX if is_once else patience)
        stream = BodyStream(payload.size, payload.pieces, patience)
        return await self._send(call._replace(until=until, stream=stream, is_long=True, is_once=is_once))
