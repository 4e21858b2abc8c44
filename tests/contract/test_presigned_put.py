"""The signature of a PUT: a store itself refuses a PUT that differs from the signed one.

Over the stores that verify signatures; the broker takes no part.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from broker.core.model import ObjectRef
from broker.crypto.presigner import EMPTY
from tests.stores.place import Place, Reply, new_ref, send

BODY: Final = b"ID3\x04" + bytes(96)
OTHER: Final = b"RIFF" + bytes(96)

VERIFIES_CHECKSUMS: Final = "verifies x-amz-checksum-sha256"
REFUSES_UNSIGNED_AMZ_HEADERS: Final = "refuses x-amz-* headers that are not signed"
NEEDS_THE_SIGNATURE: Final = "refuses a presigned URL whose signature was removed"
NO_SIGNATURE: Final = "no signature"

LACKS: Mapping[str, Mapping[str, str]] = {
    "seaweedfs": {},
    "seaweedfs_hosts": {},
    "ministack": {
        REFUSES_UNSIGNED_AMZ_HEADERS: "acts on them",
        NEEDS_THE_SIGNATURE: "accepts a URL that names a key but has no signature",
    },
    "local_r2": {
        VERIFIES_CHECKSUMS: "ignores x-amz-checksum-*, where the real R2 answers BadDigest",
        REFUSES_UNSIGNED_AMZ_HEADERS: "acts on them; of the real R2 nothing is documented",
    },
}
"""Which store does not do what, and why. Exactly this is expected."""


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


class Upload:
    """A signed PUT as the broker mints it, for ``BODY``."""

    def __init__(self, place: Place, checksum: Mapping[str, str] = EMPTY, *, age: int = 0) -> None:
        self.place = place
        self.ref = new_ref()
        length = str(len(BODY))
        self.headers = {"content-type": "audio/mpeg", "content-length": length, "if-none-match": "*", **checksum}
        now = int(time.time()) - age
        self.url = place.presigner().presign("PUT", self.ref, now=now, expires_in=60, headers=self.headers)

    def put(self, body: bytes = BODY, changed: Mapping[str, str | None] = EMPTY, *, url: str | None = None) -> Reply:
        """Send it, some headers changed, or left out where ``None``."""
        headers = {name: value for name, value in {**self.headers, **changed}.items() if value is not None}
        return send("PUT", url or self.url, headers, body)

    def stored(self, ref: ObjectRef | None = None) -> bytes | None:
        """Return the bytes at the key, ``None`` without an object."""
        reply = send("GET", self.place.presigner().presign("GET", ref or self.ref, now=int(time.time()), expires_in=60))
        return reply.body if reply.status == 200 else None


def test_a_signed_put_is_stored(place: Place) -> None:
    """The signed PUT is stored with its type."""
    upload = Upload(place)

    assert upload.put().status == 200
    assert upload.stored() == BODY
    url = place.presigner().presign("HEAD", upload.ref, now=int(time.time()), expires_in=60)
    assert send("HEAD", url).headers["content-type"] == "audio/mpeg"


ALTERED: dict[str, Callable[[Upload], Reply]] = {
    "larger": lambda upload: upload.put(BODY + b"x", {"content-length": str(len(BODY) + 1)}),
    "smaller": lambda upload: upload.put(BODY[:-1], {"content-length": str(len(BODY) - 1)}),
    "empty": lambda upload: upload.put(b"", {"content-length": "0"}),
    "chunked": lambda upload: upload.put(
        b"%x\r\n%sx\r\n0\r\n\r\n" % (len(BODY) + 1, BODY), {"content-length": None, "transfer-encoding": "chunked"}
    ),
    "another content type": lambda upload: upload.put(BODY, {"content-type": "text/html"}),
    "a content type with parameters": lambda upload: upload.put(BODY, {"content-type": "audio/mpeg; charset=utf-8"}),
    "no content type": lambda upload: upload.put(BODY, {"content-type": None}),
    "no if-none-match": lambda upload: upload.put(BODY, {"if-none-match": None}),
    "another key": lambda upload: upload.put(url=upload.url.replace("/incoming/", "/media/")),
    "a key beside it": lambda upload: upload.put(url=upload.url.replace(".mp3?", ".mp3x?")),
    "stretched expiry": lambda upload: upload.put(url=upload.url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")),
    "a tampered signature": lambda upload: upload.put(url=upload.url[:-1] + ("0" if upload.url[-1] != "0" else "1")),
    NO_SIGNATURE: lambda upload: upload.put(url=upload.url.split("&X-Amz-Signature=")[0]),
    "an added query parameter": lambda upload: upload.put(url=upload.url.replace("?", "?partNumber=1&")),
    "no signed headers": lambda upload: upload.put(
        url=upload.url.replace("content-length%3Bcontent-type%3Bhost%3Bif-none-match", "host")
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_unsigned_put_is_refused(place: Place, what: str) -> None:
    """P08, P13: a PUT that differs from the signed one is refused, and no object is stored."""
    upload = Upload(place)

    refused = ALTERED[what](upload)

    if what == NO_SIGNATURE and NEEDS_THE_SIGNATURE in LACKS[place.name]:
        assert refused.status == 200
        return
    assert refused.status in (400, 403, 411)
    assert upload.stored() is None
    assert upload.stored(ObjectRef(upload.ref.bucket, upload.ref.key.replace("incoming/", "media/"))) is None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_put_url_fits_one_method(place: Place, method: str) -> None:
    """P07: the URL of a PUT is refused for another method."""
    upload = Upload(place)
    upload.put()

    reply = send(method, upload.url, upload.headers, BODY)

    assert reply.status == 403
    assert BODY not in reply.body
    assert upload.stored() == BODY


def test_an_expired_url_is_refused(place: Place) -> None:
    """An expired URL is refused."""
    upload = Upload(place, age=120)

    assert upload.put().status == 403
    assert upload.stored() is None


def test_a_stretched_expiry_is_refused(place: Place) -> None:
    """An expired URL whose X-Amz-Expires was increased is refused."""
    upload = Upload(place, age=120)

    assert upload.put(url=upload.url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")).status == 403
    assert upload.stored() is None


def test_a_second_put_changes_nothing(place: Place) -> None:
    """P11: a second PUT with the same URL is answered 412 and does not change the object."""
    upload = Upload(place)
    upload.put()

    assert upload.put(OTHER).status == 412
    assert upload.stored() == BODY


def test_a_wrong_md5_is_refused(place: Place) -> None:
    """Bytes with another MD5 than the signed one are refused."""
    upload = Upload(place, {"content-md5": md5(BODY)})

    assert upload.put(OTHER).status == 400
    assert upload.stored() is None
    assert upload.put(OTHER, {"content-md5": md5(OTHER)}).status == 403
    assert upload.stored() is None
    assert upload.put().status == 200


def test_a_wrong_sha256_is_refused(place: Place) -> None:
    """Bytes with another SHA-256 than the signed one are refused, if the store checks it."""
    upload = Upload(place, {"x-amz-checksum-sha256": sha256(BODY)})
    verifies = VERIFIES_CHECKSUMS not in LACKS[place.name]

    assert upload.put(OTHER, {"x-amz-checksum-sha256": sha256(OTHER)}).status == 403
    assert upload.put(OTHER).status == (400 if verifies else 200)
    assert upload.stored() == (None if verifies else OTHER)


UNSIGNED = [("x-amz-meta-owner", "somebody-else"), ("x-amz-acl", "public-read"), ("x-amz-unknown", "1")]


@pytest.mark.parametrize(("name", "value"), UNSIGNED)
def test_an_unsigned_amz_header_is_refused(place: Place, name: str, value: str) -> None:
    """An unsigned x-amz header is refused, unless the store is known to ignore or accept it."""
    upload = Upload(place)
    refuses = REFUSES_UNSIGNED_AMZ_HEADERS not in LACKS[place.name]

    status = upload.put(BODY, {name: value}).status

    assert status in ((403,) if refuses else (200, 400))  # 400: the bucket does not allow an ACL
    assert upload.stored() == (BODY if status == 200 else None)


def test_an_unsigned_copy_source_makes_no_copy(place: Place) -> None:
    """P14: an unsigned copy source makes no copy, unless the store is known to act on it."""
    secret, upload = Upload(place), Upload(place)
    secret.put()
    refuses = REFUSES_UNSIGNED_AMZ_HEADERS not in LACKS[place.name]

    reply = upload.put(OTHER, {"x-amz-copy-source": f"{secret.ref.bucket}/{secret.ref.key}"})

    assert reply.status == (403 if refuses else 200)
    assert upload.stored() == (None if refuses else BODY)
