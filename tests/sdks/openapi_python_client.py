"""A generated Python client (openapi-python-client) uploads."""

import os
import sys
import time
from pathlib import Path

import httpx
from broker_client import AuthenticatedClient
from broker_client.api.uploads import (
    abort_upload,
    confirm_upload,
    confirm_uploads,
    create_upload,
    create_uploads,
    sign_parts,
)
from broker_client.models import (
    ConfirmResultStatus,
    CreateResultHeaders,
    NewUpload,
    NewUploads,
    SignedPartHeaders,
    SignParts,
    UploadIds,
)

BROKER, TOKEN = os.environ["BROKER"], os.environ["TOKEN"]
SONG, STEMS = (Path(name).read_bytes() for name in sys.argv[1:3])


def put(url: str, headers: CreateResultHeaders | SignedPartHeaders, content: bytes) -> None:
    """Send bytes to the store; 412 means that they are already there."""
    response = httpx.put(url, headers=headers.to_dict(), content=content, timeout=60)
    assert response.status_code in (200, 412), response.status_code


# begin
client = AuthenticatedClient(BROKER, TOKEN)
file = NewUpload(filename="song.mp3", content_type="audio/mpeg", size=len(SONG))
upload = create_upload.sync(client=client, body=file)
put(upload.url, upload.headers, SONG)
track = confirm_upload.sync(upload.upload_id, client=client)
# end
print("put", track.key)

large = NewUpload(filename="stems.wav", content_type="audio/wav", size=len(STEMS), multipart=True)
parts = create_upload.sync(client=client, body=large)
signed = sign_parts.sync(parts.upload_id, client=client, body=SignParts(from_=1, to=parts.part_count))
for part in signed.parts:
    start = (part.part_number - 1) * parts.part_size
    put(part.url, part.headers, STEMS[start : start + part.size])
promoting = 0
while (whole := confirm_upload.sync(parts.upload_id, client=client)).status == ConfirmResultStatus.PROMOTING:
    promoting += 1
    time.sleep(1)  # the Retry-After of a promotion
print("parts", whole.key, str(promoting > 0).lower())

problem = create_upload.sync(client=client, body=NewUpload(filename="a.html", content_type="text/html", size=1))
print("problem", problem.status, problem.code, problem.errors[0].pointer)

batch = create_uploads.sync(client=client, body=NewUploads([file, file])).uploads
put(batch[0].url, batch[0].headers, SONG)
results = confirm_uploads.sync(client=client, body=UploadIds([each.upload_id for each in batch])).results
print("batch", results[0].status, results[1].status, results[1].problem.code)

large.size = 5_000_000_000
huge = create_upload.sync(client=client, body=large)
print("huge", huge.size, huge.part_count)
abort_upload.sync_detailed(huge.upload_id, client=client)
