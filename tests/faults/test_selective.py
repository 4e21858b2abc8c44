"""Faults of some requests only."""

import pytest

from .selective import THROTTLED, Asked, EmptyTag, Fits, Once, Only, fitting, of_method, of_object, of_one_in
from .standing import BlackHole, Fault, Says

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
    await fault.pass_back(data, written)  # type: ignore[arg-type]  # as much of a stream as a fault uses
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
    """A request fits by its object or its method, and what names no object belongs to no share of them."""
    asked = [request(), request("PUT", f"incoming/{ID}.mp3"), request(key="")]
    assert [fitting(each, fits) is not None for each in asked] == wanted


def test_share() -> None:
    """One object in ten is about one in ten, and staged and ready object fit alike."""
    names = [f"{number:08x}{ID[8:]}" for number in range(1000)]
    fits = of_one_in(10)
    met = [fits(Asked("GET", f"/songs/incoming/{name}.mp3")) for name in names]
    assert met == [fits(Asked("PUT", f"/songs/media/{name}.mp3")) for name in names]
    assert 50 < sum(met) < 150


def test_only_what_fits() -> None:
    """All other requests meet the other fault, and so do the bytes of a body that come later."""
    fault = Only(of_object(ID), THROTTLED, BlackHole())
    assert fault.instead(request()) == THROTTLED.instead(request())
    assert fault.instead(request(key="media/another.mp3")) == b""
    assert fault.instead(b"<Delete>") == b""


async def test_only_passes_back_as_the_other() -> None:
    """What the store answers is answered to requests that do not fit."""
    assert await passed_back(Only(of_object(ID), THROTTLED), b"an answer") == b"an answer"
    assert await passed_back(Only(of_object(ID), THROTTLED, BlackHole()), b"an answer") == b""


def test_once() -> None:
    """A request that is repeated passes, and so does what does not fit."""
    fault = Once(of_object(ID), Says(520))
    seen = [fault.instead(each) for each in (request(), request(), request("PUT"), request(key="media/another.mp3"))]
    assert [each is None for each in seen] == [False, True, False, True]


async def test_empty_tag() -> None:
    """Only a completion loses its ETag, and its length stays."""
    completed = b"<CompleteMultipartUploadResult><ETag>&#34;abc-1&#34;</ETag></CompleteMultipartUploadResult>"
    found = await passed_back(EmptyTag(), completed)
    assert b"<ETag></ETag>" in found
    assert len(found) == len(completed)
    copied = completed.replace(b"CompleteMultipartUpload", b"CopyObject")
    assert await passed_back(EmptyTag(), copied) == copied


def test_throttled_names_the_time() -> None:
    """The answer to a throttled object has the Retry-After of R2."""
    assert b"\r\nRetry-After: 5\r\n" in THROTTLED.instead(request())
    assert THROTTLED.instead(request("HEAD")).endswith(b"\r\n\r\n")
