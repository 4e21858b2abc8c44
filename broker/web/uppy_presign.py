"""``POST /s3/presign``: the URLs of the requests that Uppy 6 sends with its option ``signRequest``.

Rules of this module
- A PUT goes to the store. Create, list, complete and abort of an upload in parts go to the broker (``uppy_xml``), at a
  URL with a capability for this upload alone: Uppy sends them without a bearer token.
- Uppy proposes a key, whose last segment is the file's name, behind a UUID and a hyphen if the application has no
  ``generateObjectKey``. A key that begins with a number and a slash declares the size.
- The upload in parts is created here, so that its errors have a text that Uppy shows, and a repeated request to the
  returned URL does not create it again.
"""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from broker.core.model import Principal, Upload
from broker.error_texts import Rule
from broker.service.assembly import Services
from broker.service.companion import WantedFile

from .body import convert, read_json
from .query import invalid, parameters
from .responses import json_response
from .uppy_endpoints import base_url, create_in_parts, create_put
from .uppy_files import fields_named
from .uppy_schemas import UppyRequest, UppySigned

_PROPOSED: Final = re.compile(
    r"(?:([0-9]{1,16})/)?(?:.*/)?(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-)?([^/]+)", re.ASCII | re.DOTALL
)
_SUFFIXES: Final = {"GET": "", "POST": "/complete", "DELETE": ""}
_POINTERS: Final = {"/filename": "/key"}


async def presign(services: Services, request: Request, principal: Principal) -> Response:
    """Return the URL of one request."""
    parameters(request)
    wanted = convert(await read_json(request), UppyRequest)
    signed = await (_new if wanted.upload_id is None else _of_upload)(services, request, principal, wanted)
    return json_response(signed)


async def _new(services: Services, request: Request, principal: Principal, wanted: UppyRequest) -> UppySigned:
    """Create an upload, as a whole or in parts."""
    if wanted.method not in ("PUT", "POST") or wanted.part_number is not None:
        raise invalid("method", Rule.OPERATION)
    with fields_named(_POINTERS):
        file = _file(wanted)
        if wanted.method == "PUT":
            created, put = await create_put(services, principal, file)
            key = services.companion.key_of(created.upload)
            return UppySigned(url=put.url, key=key, upload_id=created.upload_id, headers=put.headers)
        created = await create_in_parts(services, principal, file)
    return _control(services, request, created.upload, created.upload_id, "/create")


async def _of_upload(services: Services, request: Request, principal: Principal, wanted: UppyRequest) -> UppySigned:
    """Return the URL of a part, or of a request to the broker about an upload."""
    upload_id = wanted.upload_id or ""
    upload = services.companion.open(principal, upload_id, wanted.key)
    if wanted.method == "PUT" and wanted.part_number is not None:
        signed = services.companion.presign_parts(principal, upload_id, wanted.key, [wanted.part_number])
        return UppySigned(url=signed.parts[0].url, key=wanted.key, upload_id=upload_id, headers={})
    if wanted.method not in _SUFFIXES or wanted.part_number is not None:
        raise invalid("method", Rule.OPERATION)
    return _control(services, request, upload, upload_id, _SUFFIXES[wanted.method])


def _file(wanted: UppyRequest) -> WantedFile:
    match = _PROPOSED.fullmatch(wanted.key)
    size, name = match.groups() if match else (None, wanted.key)
    return WantedFile(
        filename=name,
        content_type=wanted.content_type or "",
        size=int(size) if wanted.size is None and size else wanted.size,
        sha256=wanted.sha256,
        md5=wanted.md5,
        part_size=wanted.part_size,
        in_parts=wanted.method == "POST",
        size_rule=Rule.UPPY_KEY_SIZE.format(),
    )


def _control(services: Services, request: Request, upload: Upload, upload_id: str, suffix: str) -> UppySigned:
    capability, key = services.companion.capability_of(upload), services.companion.key_of(upload)
    url = f"{base_url(request)}/c/{capability}/s3/xml/{upload_id}{suffix}"
    return UppySigned(url=url, key=key, upload_id=upload_id, headers={})
