"""The cost of a presigned URL: ours, boto3's ``generate_presigned_url`` (F1, F3) and obstore's ``sign`` (F2).

Measured: the CPU time of the process for one call that makes a URL of bucket, key, headers and query, with the clock
read in it, and with a key, a length and a checksum that were not signed before. For the thousand parts of an upload:
all work of the use case, from the upload to the list of parts, divided by the parts. Ours and boto3 sign the same:
before the measurement both presign the same requests under one frozen clock, and the signatures must be equal.

Not measured: making the clients, deriving the first signing key of the day, building the arguments, and the work of a
server around a signature.
"""

import base64
import hashlib
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore import auth
from botocore.config import Config

from broker.core.layout import Layout
from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, Multipart, ObjectRef, Upload
from broker.core.upload_rules import UploadPolicy
from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import Credentials
from broker.service.multipart import Multiparts, plan_of
from broker.store.dialect import dialect_of
from broker.store.s3 import S3ObjectStore

from .figures import Effort, Figure, at_least, at_most, compared
from .peers.servers import PYTHON, STORE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ENDPOINT, BUCKET = STORE["R2_ENDPOINT"], STORE["R2_BUCKET_NAME"]
EXPIRES_IN = 900
OUR_CALLS, OBSTORE_CALLS, BOTO_CALLS = 2_000, 2_000, 100
PARTS, PART_SIZE = 1_000, 16 << 20
INSTANT = 1_764_000_000


@dataclass(frozen=True, slots=True)
class Put:
    """One PUT, with the arguments of our presigner and the parameters of boto3."""

    ref: ObjectRef
    headers: Mapping[str, str]
    params: Mapping[str, object]


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure F1, F2 and F3."""
    presigner, client = Presigner(credentials(), ENDPOINT), boto3_client()
    check(presigner, client)
    puts = [put(number) for number in range(OUR_CALLS)]

    def ours() -> float:
        return cpu_per_call(lambda put: presign(presigner, put, int(time.time())), [fresh(each) for each in puts])

    def theirs() -> float:
        return cpu_per_call(lambda put: boto3_url(client, put.params), [fresh(each) for each in puts[:BOTO_CALLS]])

    pairs = [(ours(), theirs()) for _ in range(effort.rounds)]
    yield compared("F1", "presign a PUT: boto3 / ours", at_least(55), "µs", pairs, "boto3", ours_above=False)
    with Obstore() as obstore:
        pairs = [(ours(), obstore.cpu_per_call(OBSTORE_CALLS)) for _ in range(effort.rounds)]
    yield compared("F2", "presign a PUT: ours / obstore", at_most(0.6), "µs", pairs, "obstore (Rust)", ours_above=True)
    pairs = [(parts_cpu(presigner, number), theirs_of_parts(client, number)) for number in range(effort.rounds)]
    yield compared("F3", "1000 part URLs: boto3 / ours", at_least(60), "µs each", pairs, "boto3", ours_above=False)


def credentials() -> Credentials:
    return Credentials(STORE["R2_ACCESS_KEY_ID"], STORE["R2_SECRET_ACCESS_KEY"])


def boto3_client() -> "S3Client":
    """Return a client as the broker's commands make it."""
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="auto",
        aws_access_key_id=STORE["R2_ACCESS_KEY_ID"],
        aws_secret_access_key=STORE["R2_SECRET_ACCESS_KEY"],
        config=Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
    )


def put(number: int) -> Put:
    checksum = base64.b64encode(hashlib.sha256(os.urandom(8)).digest()).decode()
    ref, size = ObjectRef(BUCKET, f"incoming/{uuid.uuid4()}.mp3"), 1_000_000 + number
    headers = {
        "Content-Length": str(size),
        "Content-Type": "audio/mpeg",
        "If-None-Match": "*",
        "x-amz-checksum-sha256": checksum,
    }
    params = {
        "Bucket": ref.bucket,
        "Key": ref.key,
        "ContentType": "audio/mpeg",
        "ContentLength": size,
        "IfNoneMatch": "*",
        "ChecksumSHA256": checksum,
    }
    return Put(ref, headers, params)


def fresh(earlier: Put) -> Put:
    """Return another PUT of the same size."""
    return put(int(earlier.headers["Content-Length"]) - 1_000_000)


def presign(presigner: Presigner, put: Put, now: int) -> str:
    return presigner.presign("PUT", put.ref, now=now, expires_in=EXPIRES_IN, headers=put.headers)


def boto3_url(client: "S3Client", params: Mapping[str, object], operation: str = "put_object") -> str:
    return client.generate_presigned_url(operation, Params=dict(params), ExpiresIn=EXPIRES_IN)


def cpu_per_call(call: Callable[[Put], str], puts: Sequence[Put]) -> float:
    """Return microseconds."""
    start = time.process_time_ns()
    for each in puts:
        call(each)
    return (time.process_time_ns() - start) / len(puts) / 1_000


def multiparts(presigner: Presigner, now: float) -> Multiparts:
    return Multiparts(
        store=S3ObjectStore(presigner, dialect_of(ENDPOINT)),
        layout=Layout(BUCKET, BUCKET, ENDPOINT, None),
        presigner=presigner,
        policy=UploadPolicy(url_lifetime=EXPIRES_IN),
        clock=lambda: now,
    )


def in_parts(number: int) -> Upload:
    """Return an upload of a thousand parts."""
    file = FileSpec("set.mp4", MEDIA_TYPE_BY_NAME["video/mp4"], PARTS * PART_SIZE - number)
    return Upload(str(uuid.uuid4()), "user-1", file, INSTANT + 2**31, Multipart("AbCdEfGhIjKlMnOpQrSt" * 8, PART_SIZE))


def part_params(upload: Upload, number: int) -> dict[str, object]:
    plan, s3_upload_id = plan_of(upload)
    ref = Layout(BUCKET, BUCKET, ENDPOINT, None).staged(upload)
    size = plan.size_of(number)
    named = {"Bucket": ref.bucket, "Key": ref.key, "UploadId": s3_upload_id}
    return {**named, "PartNumber": number, "ContentLength": size}


def parts_cpu(presigner: Presigner, number: int) -> float:
    """Return our microseconds for each part."""
    service, upload = multiparts(presigner, time.time()), in_parts(number)
    start = time.process_time_ns()
    service.presign(upload, range(1, PARTS + 1))
    return (time.process_time_ns() - start) / PARTS / 1_000


def theirs_of_parts(client: "S3Client", number: int) -> float:
    """Return boto3's microseconds for each of a hundred parts."""
    upload = in_parts(number)
    params = [part_params(upload, number) for number in range(1, BOTO_CALLS + 1)]
    start = time.process_time_ns()
    for each in params:
        boto3_url(client, each, "upload_part")
    return (time.process_time_ns() - start) / len(params) / 1_000


def check(presigner: Presigner, client: "S3Client") -> None:
    """Exit if the two make different signatures."""
    puts, upload = [put(number) for number in range(BOTO_CALLS)], in_parts(5)
    signed = multiparts(presigner, INSTANT).presign(upload, range(1, PARTS + 1)).parts
    with mock.patch.object(auth, "get_current_datetime", return_value=_instant()):
        for each in puts:
            _ensure_same(presign(presigner, each, INSTANT), boto3_url(client, each.params))
        for part in (signed[0], signed[1], signed[-2], signed[-1]):
            _ensure_same(part.url, boto3_url(client, part_params(upload, part.number), "upload_part"))


class Obstore:
    """obstore's signer in another process."""

    def __enter__(self) -> Self:
        script = Path(__file__).parent / "peers" / "obstore_signing.py"
        self._process = subprocess.Popen(
            [str(PYTHON), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(STORE)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def cpu_per_call(self, calls: int) -> float:
        """Return microseconds."""
        pipe: Any = self._process
        pipe.stdin.write(f"{calls}\n")
        pipe.stdin.flush()
        return float(pipe.stdout.readline())


def _instant() -> datetime:
    return datetime.fromtimestamp(INSTANT, UTC).replace(tzinfo=None)


def _ensure_same(ours: str, theirs: str) -> None:
    actual, wanted = urlsplit(ours), urlsplit(theirs)
    if (actual.path, parse_qs(actual.query)) != (wanted.path, parse_qs(wanted.query)):
        raise SystemExit(f"the signatures differ, so nothing was measured:\n{ours}\n{theirs}")
