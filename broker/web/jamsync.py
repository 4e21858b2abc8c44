"""JamSync's endpoints for forms: ``/api/v1/uploads/media`` and ``/api/v1/uploads/media/batch``.

Its clients read ``error`` and ``message`` of a refusal, which every problem document has.
"""

import asyncio
from contextlib import aclosing
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from broker.core.model import Principal
from broker.error_texts import Detail
from broker.errors import MalformedRequestError, UnauthenticatedError
from broker.service.assembly import Services
from broker.service.proxied_uploads import Reception, StoredMedia
from broker.service.rate_limit import Cost

from .authentication import PublicHandler
from .form import Form
from .jamsync_documents import (
    InvalidTokenError,
    NoFileError,
    NoFilesError,
    NoTokenError,
    UploadedMediaBatch,
    uploaded_media,
)
from .query import parameters
from .responses import json_response

FILES_MAX: Final = 10
"""Maximum number of files of a batch."""

_FILE: Final = "file"
_FILES: Final = "files"


async def upload(services: Services, request: Request, principal: Principal) -> Response:
    """Store the file of a form."""
    stored = await _receive(services, request, principal, _FILE, files_max=1)
    if not stored:
        raise NoFileError(_FILE)
    location = f"{request.scope['path'].removesuffix('/uploads/media')}/objects/{stored[0].key}"
    return json_response(uploaded_media(stored[0]), 201, (b"location", location.encode()))


async def upload_batch(services: Services, request: Request, principal: Principal) -> Response:
    """Store the files of a form: all of them, or none."""
    stored = await _receive(services, request, principal, _FILES, files_max=FILES_MAX)
    if not stored:
        raise NoFilesError(_FILES)
    documents = [*map(uploaded_media, stored)]
    return json_response(UploadedMediaBatch(documents, len(documents)), 201)


def with_its_titles(handler: PublicHandler) -> PublicHandler:
    """Return ``handler`` with JamSync's two titles for requests that are not authenticated."""

    async def titled(request: Request) -> Response:
        try:
            return await handler(request)
        except UnauthenticatedError as error:
            kind = InvalidTokenError if "authorization" in request.headers else NoTokenError
            raise kind(error.reason) from None

    return titled


async def _receive(
    services: Services, request: Request, principal: Principal, field: str, *, files_max: int
) -> list[StoredMedia]:
    """Receive a form and store its files. If the client is gone at the end, nothing is stored."""
    parameters(request, "createTrack")  # creating tracks is the business of JamSync's backend
    await services.rate_limit.spend_more(principal, Cost.PROXIED_UPLOAD)
    form = Form(request, field, files_max=files_max, file_max=services.proxied_uploads.policy.max_bytes)
    async with services.proxied_uploads.receive(principal) as reception, aclosing(form.files()) as files:
        count = 0
        async for file in files:
            if count:
                await services.rate_limit.spend_more(principal, 1 + Cost.PROXIED_UPLOAD)
            count += 1
            await reception.add(file, alone=files_max == 1)
        return await _finish(reception, request) if count else []


async def _finish(reception: Reception, request: Request) -> list[StoredMedia]:
    """Store the files; raise ``MalformedRequestError`` if the client is gone, because it will never learn the keys."""
    is_gone = asyncio.ensure_future(request.receive())  # behind the body there is only the end of the connection
    try:
        await asyncio.sleep(0)  # receives what is known already
        stored = [] if is_gone.done() else await reception.finish()
        if is_gone.done():
            raise MalformedRequestError(Detail.BODY_INCOMPLETE)
    finally:
        is_gone.cancel()
    return stored
