"""The scale benchmark: S3 operations are recognized, and capacities follow from rates."""

import pytest

from bench.scale.capacity import A_DAY, scaling_table
from bench.scale.client import LOST, Outcome, closed_loop
from bench.scale.objects import KINDS, PART, Objects, S3Request
from bench.scale.overload import confirmed


def response(objects: Objects, method: str, target: str, fields: dict[str, str] | None = None) -> bytes:
    """Return the response of the store to one request in the bucket ``songs``."""
    request = S3Request.of(method, f"/songs/{target}", fields or {})
    return objects.response(request, request.operation())


@pytest.mark.parametrize(
    ("method", "target", "fields", "expected"),
    [
        ("HEAD", "/songs/media/1.mp3?X-Amz-Expires=300", {}, "HeadObject"),
        ("GET", "/songs/incoming/1.mp3", {}, "GetObject"),
        ("GET", "/songs/incoming/1.mp3?uploadId=2&part-number-marker=0", {}, "ListParts"),
        ("GET", "/songs?uploads=&prefix=media", {}, "ListMultipartUploads"),
        ("PUT", "/songs/media/1.mp3", {"x-amz-copy-source": "songs/incoming/1.mp3"}, "CopyObject"),
        ("PUT", "/songs/media/1.mp4?partNumber=1&uploadId=2", {"x-amz-copy-source": "songs/1"}, "UploadPartCopy"),
        ("PUT", "/songs/incoming/1.wav?partNumber=1&uploadId=2", {}, "UploadPart"),
        ("POST", "/songs/incoming/1.wav?uploads=", {}, "CreateMultipartUpload"),
        ("POST", "/songs/incoming/1.wav?uploadId=2", {}, "CompleteMultipartUpload"),
        ("DELETE", "/songs/incoming/1.wav?uploadId=2", {}, "AbortMultipartUpload"),
    ],
)
def test_an_operation_has_its_s3_name(method: str, target: str, fields: dict[str, str], expected: str) -> None:
    """Method, query and copy source identify the operation, as prices need it."""
    assert S3Request.of(method, target, fields).operation() == expected


def test_parts_are_listed_in_pages() -> None:
    """A page of ListParts has at most 1,000 parts, or ``max-parts`` of them."""
    objects = Objects()
    response(objects, "POST", "incoming/1.wav?uploads=")
    first = response(objects, "GET", "incoming/1.wav?uploadId=1&part-number-marker=0")
    last = response(objects, "GET", "incoming/1.wav?uploadId=1&part-number-marker=9990&max-parts=100")
    assert first.count(b"<Part>") == 1_000
    assert last.count(f"<Size>{PART}</Size>".encode()) == 10
    assert [b"<IsTruncated>true" in page for page in (first, last)] == [True, False]


def test_completed_multipart_upload_exists() -> None:
    """HeadObject finds an upload in parts after CompleteMultipartUpload, with the size of its kind."""
    objects = Objects()
    response(objects, "POST", "incoming/1.flac?uploads=")
    before = response(objects, "HEAD", "incoming/1.flac")
    response(objects, "POST", "incoming/1.flac?uploadId=1")
    after = response(objects, "HEAD", "incoming/1.flac")
    assert before.startswith(b"HTTP/1.1 404")
    assert f"Content-Length: {KINDS['flac'].size}\r\n".encode() in after


def test_workers_follow_from_cores_and_from_slots() -> None:
    """The larger of the two needs determines the number of workers."""
    by_slots = scaling_table(cpu=0.001, slots=100).splitlines()[-1]
    by_cores = scaling_table(cpu=0.1, slots=1e6).splitlines()[-1]
    peak = A_DAY[-1] / 86_400 * 5
    assert by_slots.endswith(f"| {-(-peak // 60):.0f} |")
    assert by_cores.endswith(f"| {-(-peak * 0.1 // 0.6):.0f} |")


def test_goodput_counts_good_answers_within_the_window() -> None:
    """A refusal, a lost request, and an answer outside of the measured time do not count."""
    ends = {1.0: 200, 2.0: 200, 2.5: 503, 3.0: LOST, 3.5: 200, 4.0: 200}
    outcomes = [Outcome(status, b"", 0.0, ended) for ended, status in ends.items()]
    assert confirmed(outcomes, 2.0, 4.0) == 1.0


async def test_a_closed_loop_runs_every_item_once() -> None:
    """Every item runs exactly once, whatever the number of clients."""

    async def item(number: int) -> int:
        return number

    results = await closed_loop(3, [lambda number=number: item(number) for number in range(10)])  # type: ignore[misc]  # default
    assert sorted(results) == list(range(10))
