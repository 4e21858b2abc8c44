"""What it costs to presign a URL: ours beside boto3's ``generate_presigned_url``.

Counted: the process's CPU time for one call that turns bucket, key, headers and query into a whole URL, the reading of
the clock included, with a key and a checksum that were never signed before. For the thousand parts of an upload: all
that the use case does for them, from the upload to the list of parts, by part. Both sign the same: before anything is
measured, each request is presigned by both under one frozen clock, and the signatures must be equal.

Not counted: making the clients, deriving the first signing key of the day, building the arguments, and all that a
server does around a signature. The rounds of the two alternate, so that what else the machine does falls on both; the
figures are medians of the rounds with their quartiles, and only their ratio may be compared with another run.
"""

import argparse
import base64
import hashlib
import json
import statistics
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import boto3
import botocore
from botocore import auth
from botocore.config import Config

from broker.core.layout import Layout
from broker.core.model import FileSpec, Multipart, ObjectRef, Upload
from broker.core.policy import UploadPolicy
from broker.core.sigv4 import Credentials, Presigner
from broker.service.multipart import Multiparts, plan_of
from broker.store.r2 import R2ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ENDPOINT = "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com"
KEY_ID = "0123456789abcdef0123456789abcdef"
SECRET = "0123456789abcdef" * 4
EXPIRES_IN = 900
ROUNDS = 15
OUR_CALLS = 2_000
BOTO_CALLS = 100
TARGETS = {"PUT, 4 headers signed": 20, "PUT of a part, 1000 at once": 30}
PART_SIZE = 16 << 20
INSTANT = 1_764_000_000


@dataclass(frozen=True)
class Signing:
    """One request, as we take it and as boto3 does."""

    method: str
    ref: ObjectRef
    operation: str
    params: dict[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def upload(number: int) -> Signing:
    checksum = base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode()
    ref, size = ObjectRef("songs", f"incoming/{uuid.uuid4()}.mp3"), 1_000_000 + number
    return Signing(
        "PUT",
        ref,
        "put_object",
        {
            "Bucket": ref.bucket,
            "Key": ref.key,
            "ContentType": "audio/mpeg",
            "ContentLength": size,
            "IfNoneMatch": "*",
            "ChecksumSHA256": checksum,
        },
        {
            "Content-Type": "audio/mpeg",
            "Content-Length": str(size),
            "If-None-Match": "*",
            "x-amz-checksum-sha256": checksum,
        },
    )


def part(number: int) -> Signing:
    ref, size = ObjectRef("songs", f"incoming/{uuid.uuid4()}.mp4"), 8 << 20
    upload_id = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_" * 4
    return Signing(
        "PUT",
        ref,
        "upload_part",
        {
            "Bucket": ref.bucket,
            "Key": ref.key,
            "PartNumber": number + 1,
            "UploadId": upload_id,
            "ContentLength": size,
        },
        {"Content-Length": str(size)},
        {"partNumber": str(number + 1), "uploadId": upload_id},
    )


def download(_: int) -> Signing:
    ref = ObjectRef("songs", f"media/{uuid.uuid4()}.mp3")
    return Signing("GET", ref, "get_object", {"Bucket": ref.bucket, "Key": ref.key})


def parts(number: int) -> Upload:
    """An upload whose thousand parts are signed at once."""
    file = FileSpec("set.mp4", "video/mp4", 1_000 * PART_SIZE - number)
    multipart = Multipart("AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_" * 4, PART_SIZE)
    return Upload(str(uuid.uuid4()), "user-1", file, INSTANT + 2**31, multipart)


def part_of(upload: Upload, layout: Layout, number: int) -> Signing:
    """One of them, by itself."""
    plan, upload_id = plan_of(upload)
    ref, size = layout.staged(upload), plan.size_of(number)
    return Signing(
        "PUT",
        ref,
        "upload_part",
        {
            "Bucket": ref.bucket,
            "Key": ref.key,
            "PartNumber": number,
            "UploadId": upload_id,
            "ContentLength": size,
        },
    )


CASES: Mapping[str, Callable[[int], Signing]] = {
    "PUT, 4 headers signed": upload,
    "PUT of a part": part,
    "GET": download,
}


@dataclass(frozen=True)
class Spread:
    """Microseconds of CPU for one call."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "Spread":
        return cls(*statistics.quantiles(rounds, n=4))

    def __str__(self) -> str:
        return f"{self.median:7.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True)
class Result:
    case: str
    ours: Spread
    boto3: Spread

    @property
    def ratio(self) -> float:
        return self.boto3.median / self.ours.median


def ours(presigner: Presigner, signing: Signing, now: int) -> str:
    return presigner.presign(
        signing.method,
        signing.ref,
        now=now,
        expires_in=EXPIRES_IN,
        headers=signing.headers,
        query=signing.query,
    )


def theirs(client: "S3Client", signing: Signing) -> str:
    return client.generate_presigned_url(signing.operation, Params=signing.params, ExpiresIn=EXPIRES_IN)


def check(presigner: Presigner, client: "S3Client", signings: Sequence[Signing]) -> None:
    """Both must give the same parameters, the signature among them."""
    instant = datetime.fromtimestamp(INSTANT, UTC).replace(tzinfo=None)
    for signing in signings:
        with mock.patch.object(auth, "get_current_datetime", return_value=instant):
            wanted = theirs(client, signing)
        ensure_same(ours(presigner, signing, INSTANT), wanted)


def ensure_same(ours: str, theirs: str) -> None:
    """End when two URLs have different parameters."""
    actual, wanted = urlsplit(ours), urlsplit(theirs)
    if (actual.path, parse_qs(actual.query)) != (wanted.path, parse_qs(wanted.query)):
        raise SystemExit(f"the signatures differ, so nothing was measured:\n{ours}\n{theirs}")


def cpu_per_call(call: Callable[[Signing], str], signings: Sequence[Signing]) -> float:
    start = time.process_time_ns()
    for signing in signings:
        call(signing)
    return (time.process_time_ns() - start) / len(signings) / 1_000


def measure(case: str, presigner: Presigner, client: "S3Client") -> Result:
    make = CASES[case]
    check(presigner, client, [make(number) for number in range(BOTO_CALLS)])
    our_rounds, boto_rounds = [], []
    for _ in range(ROUNDS):
        fresh = [make(number) for number in range(OUR_CALLS)]
        our_rounds.append(cpu_per_call(lambda signing: ours(presigner, signing, int(time.time())), fresh))
        boto_rounds.append(cpu_per_call(lambda signing: theirs(client, signing), fresh[:BOTO_CALLS]))
    return Result(case, Spread.of(our_rounds), Spread.of(boto_rounds))


def measure_parts(presigner: Presigner, client: "S3Client") -> Result:
    """A thousand part URLs of one upload."""
    now = [float(INSTANT)]
    layout = Layout("songs", "songs", ENDPOINT, None)
    multiparts = Multiparts(
        store=R2ObjectStore(presigner),
        layout=layout,
        presigner=presigner,
        policy=UploadPolicy(url_lifetime=EXPIRES_IN),
        clock=lambda: now[0],
    )
    numbers = range(1, 1_001)
    upload = parts(5)
    instant = datetime.fromtimestamp(INSTANT, UTC).replace(tzinfo=None)
    with mock.patch.object(auth, "get_current_datetime", return_value=instant):
        wanted = [theirs(client, part_of(upload, layout, number)) for number in (1, 2, 999, 1_000)]
    signed = multiparts.sign(upload, numbers).parts
    for url, other in zip((signed[0], signed[1], signed[998], signed[999]), wanted, strict=True):
        ensure_same(url.url, other)
    our_rounds, boto_rounds = [], []
    for number in range(ROUNDS):
        now[0] = time.time()
        upload = parts(number)
        start = time.process_time_ns()
        multiparts.sign(upload, numbers)
        our_rounds.append((time.process_time_ns() - start) / len(numbers) / 1_000)
        some = [part_of(upload, layout, number) for number in range(1, BOTO_CALLS + 1)]
        boto_rounds.append(cpu_per_call(lambda signing: theirs(client, signing), some))
    return Result("PUT of a part, 1000 at once", Spread.of(our_rounds), Spread.of(boto_rounds))


def report(results: Sequence[Result]) -> str:
    rows = [f"{'CPU µs a call: median (quartiles)':<34}{'ours':>22}{'boto3':>26}{'ratio':>8}"]
    rows += [f"{result.case:<34}{result.ours!s:>22}{result.boto3!s:>26}{result.ratio:>7.1f}x" for result in results]
    for result in results:
        if target := TARGETS.get(result.case):
            rows.append(f"target: {result.case}: at least {target}x: {'met' if result.ratio >= target else 'MISSED'}")
    return "\n".join([*rows, f"botocore {botocore.__version__}"])


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time of one presigned URL: ours beside boto3's.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    arguments = parser.parse_args()
    presigner = Presigner(Credentials(KEY_ID, SECRET), ENDPOINT)
    client = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="auto",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
    )
    results = [*(measure(case, presigner, client) for case in CASES), measure_parts(presigner, client)]
    print(report(results))
    if arguments.json:
        figures = [
            {
                "case": result.case,
                "ours_us": vars(result.ours),
                "boto3_us": vars(result.boto3),
                "ratio": round(result.ratio, 2),
            }
            for result in results
        ]
        arguments.json.write_text(json.dumps({"targets": TARGETS, "cases": figures}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
