"""Request bodies that are malformed, ambiguous or invalid: a test for each row of the catalogue.

Each row gets a 4xx without a URL, makes no request to the store, and names the invalid field if there is one.
"""

import json
import re
from typing import Any

import pytest

from tests.web.application import KEY, client, token
from tests.web.refusals import FILE, post, refused

USER = client()
SERVICE = client(bearer=token("backend", scope="broker:service"))

PATHS_WITH_BODY = [
    "/uploads",
    "/uploads/confirm",
    "/uploads/x/confirm",
    "/uploads/x/parts",
    "/downloads",
    "/objects/delete",
]
MALFORMED: dict[str, bytes] = {
    "B07-open": b'{"a":',
    "B07-trailing-comma": b'{"size": 1,}',
    "B07-comment": b'{"size": 1 /* x */}',
    "B07-single-quotes": b"{'size': 1}",
    "B07-two-documents": b"{} {}",
    "B07-blank": b"   ",
    "B08-invalid-utf-8": b'{"filename": "\xff\xfe"}',
    "B08-overlong": b'{"filename": "\xc0\xaf"}',
    "B08-utf-16": '{"size": 1}'.encode("utf-16"),
    "B08-utf-32": '{"size": 1}'.encode("utf-32"),
    "B08-bom": b'\xef\xbb\xbf{"size": 1}',
    "B09-surrogate-in-a-value": b'{"filename": "a\\ud800"}',
    "B09-surrogate-in-a-name": b'{"\\udfff": 1}',
    "B10-raw-control": b'{"filename": "a\nb"}',
    "B12-duplicate": b'{"size": 1, "size": 9000000000}',
    "B12-duplicate-inside": b'{"files": [{"size": 1, "size": 2}]}',
    "B12-duplicate-escaped": b'{"size": 1, "s\\u0069ze": 2}',
    "B13-nan": b'{"size": NaN}',
    "B13-infinity": b'{"size": -Infinity}',
    "B13-overflow": b'{"size": 1e400}',
    "B13-five-thousand-digits": b'{"size": ' + b"9" * 5000 + b"}",
    "B13-leading-zero": b'{"size": 010}',
    "B18-deep-arrays": b"[" * 30_000,
    "B18-deep-objects": b'{"a":' * 10_000,
    "B18-seventeen-levels": b'{"a":' + b"[" * 17 + b"]" * 17 + b"}",
}


@pytest.mark.parametrize("path", PATHS_WITH_BODY)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_b07_b08_b09_b12_b13_b18_malformed_document_is_a_400(path: str, body: bytes) -> None:
    """A malformed document is a 400 at every endpoint with a body."""
    response = SERVICE.post(f"/api/v1{path}", content=body, headers={"Content-Type": "application/json"})
    refused(response)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("number", [b"1.0", b"1e2", b"-0", b"-0.0", b"9007199254740993", b"18446744073709551616"])
def test_b13_size_must_be_an_integer_in_range(number: bytes) -> None:
    """A size that is not an integer, or is far over the limit, is refused by its field."""
    body = b'{"filename": "a", "contentType": "audio/mpeg", "size": ' + number + b"}"
    refused(USER.post("/api/v1/uploads", content=body, headers={"Content-Type": "application/json"}), "/size")


@pytest.mark.parametrize("path", PATHS_WITH_BODY)
@pytest.mark.parametrize("document", [[], "x", 5, None, True, [{}]], ids=str)
def test_b19_document_must_be_an_object(path: str, document: Any) -> None:
    """A document that is not an object is refused at every endpoint with a body."""
    refused(post(SERVICE, path, document))


@pytest.mark.parametrize("path", PATHS_WITH_BODY)
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/json;charset=utf-16",
        "application/json, text/html",
        "",
    ],
)
def test_b06_body_of_another_type_is_a_415(path: str, content_type: str) -> None:
    """A body that is not declared as JSON in UTF-8 is a 415."""
    headers = {"Content-Type": content_type} if content_type else {}
    response = SERVICE.post(f"/api/v1{path}", content=b'{"a": 1}', headers=headers)
    refused(response)
    assert response.status_code == 415


@pytest.mark.parametrize("content_type", ["application/JSON", "application/json; charset=UTF-8"])
def test_b06_spellings_of_json_are_accepted(content_type: str) -> None:
    """The media type of JSON is accepted in any case and with the charset UTF-8."""
    response = USER.post("/api/v1/uploads", content=json.dumps(FILE), headers={"Content-Type": content_type})
    assert response.status_code == 201


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate"])
def test_b05_compressed_body_is_a_415(coding: str) -> None:
    """A compressed body is a 415 and is never decompressed."""
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    assert USER.post("/api/v1/uploads", content=b"\x1f\x8b", headers=headers).status_code == 415


def test_b01_body_over_the_limit_is_a_413() -> None:
    """A body over the limit is a 413."""
    response = post(USER, "/uploads", {**FILE, "filename": "x" * 65_536})
    refused(response)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("length", ["9" * 30, "99999999"])
def test_b01_declared_length_over_limit_is_a_413(length: str) -> None:
    """A declared length over the limit is a 413, whatever the length of the body."""
    headers = {"Content-Type": "application/json", "Content-Length": length}
    assert USER.post("/api/v1/uploads", content=b"{}", headers=headers).status_code == 413


@pytest.mark.parametrize("length", ["abc", "-1", "+2", "1_0", " ", "0x2", "\u00b2"])
def test_h07_length_must_be_a_whole_number(length: str) -> None:
    """A Content-Length that is not a whole number is a 400."""
    headers = {b"Content-Type": b"application/json", b"Content-Length": length.encode("latin-1")}
    response = USER.post("/api/v1/uploads", content=b"{}", headers=headers)
    refused(response)
    assert response.status_code == 400


def test_b02_body_without_length_is_a_411() -> None:
    """A body without a Content-Length, or with any other coding than chunked, is a 411."""
    for framing in ({}, {"Transfer-Encoding": "gzip"}, {"Transfer-Encoding": "chunked", "Content-Length": "2"}):
        request = USER.build_request("POST", "/api/v1/uploads", content=b"{}")
        request.headers.update({"Content-Type": "application/json"})
        del request.headers["Content-Length"]
        request.headers.update(framing)
        response = USER.send(request)
        refused(response)
        assert (response.status_code, response.json()["code"]) == (411, "length_required")


@pytest.mark.parametrize("value", ["", "x" * 256, "x" * 10_000, "a\tb", "é"], ids=lambda v: v[:3])
def test_b24_hostile_idempotency_key_is_refused(value: str) -> None:
    """An Idempotency-Key that is empty, too long or not printable ASCII is refused by its name."""
    headers = {b"Idempotency-Key": value.encode("latin-1")}
    refused(USER.post("/api/v1/uploads", json=FILE, headers=headers), "/Idempotency-Key")


VALUES: dict[str, dict[str, Any]] = {
    "B10-nul": {"filename": "a\x00b"},
    "B10-cr-lf": {"filename": "a\r\nSet-Cookie: x"},
    "B10-tab": {"filename": "a\tb"},
    "B10-del": {"filename": "a\x7f"},
    "B10-nel": {"filename": "a\x85b"},
    "B10-line-separator": {"filename": "a\u2028b"},
    "B13-text": {"size": "5"},
    "B14-negative": {"size": -1},
    "B14-nothing": {"size": 0},
    "B14-over-5-gib": {"size": 5 * 2**30 + 1},
    "B14-2^63": {"size": 2**63},
    "B15-true": {"size": True},
    "B15-false": {"size": False},
    "B16-name": {"filename": "x" * 60_000},
    "B16-type": {"contentType": "audio/" + "x" * 10_000},
    "B17-key": {"key": KEY},
    "B17-bucket": {"bucket": "another"},
    "B17-acl": {"acl": "public-read"},
    "B17-user": {"user_id": "user-2"},
    "B17-subject": {"sub": "user-2"},
    "B17-owner": {"owner": "user-2"},
    "B17-class": {"storage_class": "STANDARD_IA"},
    "B17-prototype": {"__proto__": {"size": 1}},
    "B17-endpoint": {"endpoint_url": "https://evil.test"},
    "B20-html": {"contentType": "text/html"},
    "B20-svg": {"contentType": "image/svg+xml"},
    "B20-xhtml": {"contentType": "application/xhtml+xml"},
    "B20-cr-lf": {"contentType": "image/png\r\nx-amz-acl: public-read"},
    "B20-two": {"contentType": "image/png, text/html"},
    "B20-parameter": {"contentType": "image/png; x=" + "y" * 1024},
    "B20-no-subtype": {"contentType": "audio"},
    "B21-short": {"sha256": "00" * 31},
    "B21-no-base64": {"sha256": "!" * 44},
    "B21-unicode": {"md5": "\u0660" * 32},
    "B21-type": {"md5": 5},
    "B22-metadata": {"metadata": {"sub": "user-2"}},
}


@pytest.mark.parametrize("change", VALUES.values(), ids=VALUES.keys())
def test_b10_to_b22_invalid_value_is_refused(change: dict[str, Any]) -> None:
    """An invalid value or an unknown field is refused by its pointer, alone and in a batch."""
    (field,) = change
    refused(post(USER, "/uploads", {**FILE, **change}), f"/{field}")
    refused(post(USER, "/uploads/batch", {"files": [FILE, {**FILE, **change}]}), f"/files/1/{field}")


def test_b16_body_of_one_long_string_is_a_413() -> None:
    """A body that consists of one long string is a 413."""
    assert post(USER, "/uploads", {**FILE, "filename": "x" * 2**20}).status_code == 413


DECEPTIVE = {
    "B11-bidi": "song\u202e3pm.exe",
    "B11-zero-width": "so\u200bng.mp3",
    "B11-nfd": "e\u0301.mp3",
    "B11-device": "CON.mp3",
    "B11-dot": "song.",
    "B11-two-types": "a.php.png",
    "B11-hidden": ".htaccess",
    "B11-joined": "\U0001f469\u200d\U0001f4bb.mp3",
    "B11-path": "../../etc/passwd",
}


@pytest.mark.parametrize("name", DECEPTIVE.values(), ids=DECEPTIVE.keys())
def test_b11_key_does_not_depend_on_the_filename(name: str) -> None:
    """The key of an upload has nothing of a deceptive file name in it."""
    response = post(USER, "/uploads", {**FILE, "filename": name})
    assert response.status_code == 201
    assert re.search(r"/incoming/[0-9a-f-]{36}\.mp3\?", response.json()["url"])
    assert name not in response.text


@pytest.mark.parametrize(("spelling", "kept"), [("IMAGE/PNG", "image/png"), ("audio/x-mpeg", "audio/mpeg")])
def test_b20_media_type_is_signed_canonically(spelling: str, kept: str) -> None:
    """A media type is signed in its canonical form, whatever spelling was declared."""
    response = post(USER, "/uploads", {**FILE, "contentType": spelling})
    assert response.json()["headers"]["Content-Type"] == kept


@pytest.mark.parametrize("name", ["song", "song.", "song.mp3.exe", "song.html", "photo.heic"])
@pytest.mark.parametrize("declared", ["", "application/octet-stream", "audio/x-unknown"])
def test_b20_unnamed_type_needs_an_accepted_extension(declared: str, name: str) -> None:
    """A type that names no format is refused unless the extension of the file name is that of an accepted type."""
    refused(post(USER, "/uploads", {**FILE, "contentType": declared, "filename": name}), "/contentType")


BATCHES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "B23-none": ([], "/files"),
    "B23-too-many": ([FILE] * 101, "/files"),
    "B23-one-bad": ([*[FILE] * 99, {**FILE, "contentType": "text/html"}], "/files/99/contentType"),
}


@pytest.mark.parametrize(("files", "pointer"), BATCHES.values(), ids=BATCHES.keys())
def test_b23_batch_is_accepted_as_a_whole(files: list[dict[str, Any]], pointer: str) -> None:
    """A batch that is empty, too long or has one invalid file is refused as a whole."""
    refused(post(USER, "/uploads/batch", {"files": files}), pointer)


@pytest.mark.parametrize("count", [1, 100])
def test_b23_equal_files_get_different_keys(count: int) -> None:
    """Each file of a batch gets a key of its own, also when the files are equal."""
    uploads = post(USER, "/uploads/batch", {"files": [FILE] * count}).json()["uploads"]
    assert len({upload["url"].partition("?")[0] for upload in uploads}) == count
