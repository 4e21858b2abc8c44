"""Faults of some requests only."""

import pytest

from .selective import THROTTLED, EmptyTag, Fits, Once, Only, Request, fitting, of_method, of_object, of_one_in
from .standing import BlackHole, Fault, FixedResponse

ID = "0b9c6ef8-2e0c-4b52-9f0e-6c1f0b9e7a11"


def request(method: str = "GET", key: str = f"media/{ID}.mp3") -> bytes:
    """Return the first bytes of a request for ``key``."""
    return f"{method} /songs/{key}?X-Amz-Expires=300 HTTP/1.1\r\nHost: a\r\n\r\n".encode()


class Written:
    """A stream that keeps the bytes that a fault passes on."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        """Keep the bytes."""
        self.data += data

    async def drain(self) -> None:
        """Return at once."""


async def passed_back(fault: Fault, data: bytes) -> bytes:
    """Return the bytes that are left of a store's response."""
    written = Written()
    await fault.forward(data, written)  # type: ignore[arg-type]  # as much of a stream as a fault uses
    return written.data


@pytest.mark.parametrize(
    ("fits", "wanted"),
    [
        (of_object(ID), [True, True, False]),
        (of_method("PUT"), [False, True, False]),
        (of_one_in(1), [True, True, False]),
        (of_one_in(10**9), [False, False, False]),
    ],
    ids=["object", "method", "all", "hardly any"],
)
def test_fits(fits: Fits, wanted: list[bool]) -> None:
    """A request fits by its object or its method; one without an object belongs to no share of objects."""
    requests = [request(), request("PUT", f"incoming/{ID}.mp3"), request(key="")]
    assert [fitting(each, fits) is not None for each in requests] == wanted


def test_share() -> None:
    """About one object in ten fits, with its staged and its ready object."""
    names = [f"{number:08x}{ID[8:]}" for number in range(1000)]
    fits = of_one_in(10)
    met = [fits(Request("GET", f"/songs/incoming/{name}.mp3")) for name in names]
    assert met == [fits(Request("PUT", f"/songs/media/{name}.mp3")) for name in names]
    assert 50 < sum(met) < 150


def test_only_what_fits() -> None:
    """All other requests, and later bytes of a body, meet the other fault."""
    fault = Only(of_object(ID), THROTTLED, BlackHole())
    assert fault.replacement(request()) == THROTTLED.replacement(request())
    assert fault.replacement(request(key="media/another.mp3")) == b""
    assert fault.replacement(b"<Delete>") == b""


async def test_only_forwards_as_the_other() -> None:
    """Responses of the store pass through the other fault."""
    assert await passed_back(Only(of_object(ID), THROTTLED), b"a response") == b"a response"
    assert await passed_back(Only(of_object(ID), THROTTLED, BlackHole()), b"a response") == b""


def test_once() -> None:
    """A repeated request passes, and so does one that does not fit."""
    fault = Once(of_object(ID), FixedResponse(520))
    seen = [
        fault.replacement(each) for each in (request(), request(), request("PUT"), request(key="media/another.mp3"))
    ]
    assert [each is None for each in seen] == [False, True, False, True]


async def test_empty_tag() -> None:
    """Only the response to a completion loses its ETag, and its length stays."""
    completed = b"<CompleteMultipartUploadResult><ETag>&#34;abc-1&#34;</ETag></CompleteMultipartUploadResult>"
    found = await passed_back(EmptyTag(), completed)
    assert b"<ETag></ETag>" in found
    assert len(found) == len(completed)
    copied = completed.replace(b"CompleteMultipartUpload", b"CopyObject")
    assert await passed_back(EmptyTag(), copied) == copied


def test_throttled_names_the_time() -> None:
    """The response for a throttled object has the Retry-After of R2."""
    assert b"\r\nRetry-After: 5\r\n" in THROTTLED.replacement(request())
    assert THROTTLED.replacement(request("HEAD")).endswith(b"\r\n\r\n")
