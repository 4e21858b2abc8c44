"""A generated Python client (openapi-generator: python) uploads, and a receipt is verified with PyJWT."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import sdk
import urllib3

BROKER, TOKEN = os.environ["BROKER"], os.environ["TOKEN"]
SONG, STEMS = (Path(name).read_bytes() for name in sys.argv[1:3])


def put(url: str, headers: dict[str, str], content: bytes) -> None:
    """Send bytes to the store; 412 means that they are already there."""
    response = urllib3.request("PUT", url, headers=headers, body=content)
    assert response.status in (200, 412), response.status


# begin
client = sdk.ApiClient(sdk.Configuration(host=BROKER, access_token=TOKEN))
uploads = sdk.UploadsApi(client)
file = sdk.NewUpload(filename="song.mp3", contentType="audio/mpeg", size=len(SONG))
upload = uploads.create_upload(file)
put(upload.url, upload.headers, SONG)
track = uploads.confirm_upload(upload.upload_id)
# end
print("put", track.key)

large = sdk.NewUpload(filename="stems.wav", contentType="audio/wav", size=len(STEMS), multipart=True)
parts = uploads.create_upload(large)
numbers = sdk.SignParts(partNumbers=list(range(1, parts.part_count + 1)))
for part in uploads.sign_parts(parts.upload_id, numbers).parts:
    start = (part.part_number - 1) * parts.part_size
    put(part.url, part.headers, STEMS[start : start + part.size])
promoting = 0
while (whole := uploads.confirm_upload(parts.upload_id)).status == "promoting":
    promoting += 1
    time.sleep(1)  # the Retry-After of a promotion
print("parts", whole.key, str(promoting > 0).lower())

try:
    uploads.create_upload(sdk.NewUpload(filename="a.html", contentType="text/html", size=1))
except sdk.ApiException as error:
    print("problem", error.status, error.data.code, error.data.errors[0].pointer)

batch = uploads.create_uploads(sdk.NewUploads(files=[file, file])).uploads
put(batch[0].url, batch[0].headers, SONG)
results = uploads.confirm_uploads(sdk.UploadIds(uploadIds=[each.upload_id for each in batch])).results
print("batch", results[0].status, results[1].status, results[1].problem.code)

huge = uploads.create_upload(large.model_copy(update={"size": 5_000_000_000}))
print("huge", huge.size, huge.part_count)
uploads.abort_upload(huge.upload_id)


def verified(receipt: str, jwks: jwt.PyJWKSet) -> dict[str, Any]:
    """Return the claims of a receipt; raise an exception if it is not valid."""
    # receipt begin
    header = jwt.get_unverified_header(receipt)
    assert header["typ"] == "track-ready+jwt"
    return jwt.decode(receipt, jwks[header["kid"]], algorithms=["EdDSA"], issuer="r2-upload-broker")  # compare sub
    # receipt end


keys = jwt.PyJWKSet.from_dict(sdk.OperationsApi(client).jwks().to_dict())
claims = verified(track.receipt, keys)
print("receipt", claims["sub"], claims["key"])
try:
    verified(track.receipt.replace(".", ".x", 1), keys)
except jwt.InvalidTokenError:
    print("forged refused")
