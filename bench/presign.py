"""What it costs to presign a URL: ours beside boto3's ``generate_presigned_url``.

Counted: the process's CPU time for one call that turns bucket, key, headers and query into a whole URL, the reading of
the clock included, with a key and a checksum that were never signed before. Both sign the same: before anything is
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

from broker.core.model import ObjectRef
from broker.core.sigv4 import Credentials, Presigner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ENDPOINT = "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com"
KEY_ID = "0123456789abcdef0123456789abcdef"
SECRET = "0123456789abcdef" * 4
EXPIRES_IN = 900
ROUNDS = 15
OUR_CALLS = 2_000
BOTO_CALLS = 100
TARGET = 20
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
            wanted = urlsplit(theirs(client, signing))
        actual = urlsplit(ours(presigner, signing, INSTANT))
        if (actual.path, parse_qs(actual.query)) != (wanted.path, parse_qs(wanted.query)):
            raise SystemExit(f"the signatures differ, so nothing was measured:\n{actual.geturl()}\n{wanted.geturl()}")


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


def report(results: Sequence[Result]) -> str:
    rows = [f"{'CPU µs a call: median (quartiles)':<34}{'ours':>22}{'boto3':>26}{'ratio':>8}"]
    rows += [f"{result.case:<34}{result.ours!s:>22}{result.boto3!s:>26}{result.ratio:>7.1f}x" for result in results]
    goal = results[0]
    verdict = "met" if goal.ratio >= TARGET else "MISSED"
    return "\n".join([*rows, f"target: {goal.case}: at least {TARGET}x: {verdict} (botocore {botocore.__version__})"])


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
    results = [measure(case, presigner, client) for case in CASES]
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
        arguments.json.write_text(json.dumps({"target": TARGET, "cases": figures}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
