"""Bodies that are malformed, mean two things, or say what no client may say: a test for each row of the catalogue.

For every row holds: a 4xx, no URL, no call to the store, and where a field is at fault, its name.
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
def test_b07_b08_b09_b12_b13_b18_a_malformed_document_is_a_400(path: str, body: bytes) -> None:
    answer = SERVICE.post(f"/api/v1{path}", content=body, headers={"Content-Type": "application/json"})
    refused(answer)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("number", [b"1.0", b"1e2", b"-0", b"-0.0", b"9007199254740993", b"18446744073709551616"])
def test_b13_a_size_that_is_no_plain_integer_in_range_is_refused(number: bytes) -> None:
    """A number beyond 2^53 is exact here and far over any limit."""
    body = b'{"filename": "a", "contentType": "audio/mpeg", "size": ' + number + b"}"
    refused(USER.post("/api/v1/uploads", content=body, headers={"Content-Type": "application/json"}), "/size")


@pytest.mark.parametrize("path", PATHS_WITH_BODY)
@pytest.mark.parametrize("document", [[], "x", 5, None, True, [{}]], ids=str)
def test_b19_another_top_level_than_an_object_is_refused(path: str, document: Any) -> None:
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
def test_b06_another_media_type_of_the_body_is_a_415(path: str, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = SERVICE.post(f"/api/v1{path}", content=b'{"a": 1}', headers=headers)
    refused(answer)
    assert answer.status_code == 415


@pytest.mark.parametrize("content_type", ["application/JSON", "application/json; charset=UTF-8"])
def test_b06_every_spelling_of_json_passes(content_type: str) -> None:
    answer = USER.post("/api/v1/uploads", content=json.dumps(FILE), headers={"Content-Type": content_type})
    assert answer.status_code == 201


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate"])
def test_b05_a_compressed_body_is_a_415_and_never_inflated(coding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    assert USER.post("/api/v1/uploads", content=b"\x1f\x8b", headers=headers).status_code == 415


def test_b01_a_body_over_the_limit_is_a_413() -> None:
    answer = post(USER, "/uploads", {**FILE, "filename": "x" * 65_536})
    refused(answer)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("length", ["9" * 30, "99999999"])
def test_b01_a_declared_length_over_the_limit_is_a_413_without_a_look_at_the_body(length: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": length}
    assert USER.post("/api/v1/uploads", content=b"{}", headers=headers).status_code == 413


@pytest.mark.parametrize("length", ["abc", "-1", "+2", "1_0", " ", "0x2", "\u00b2"])
def test_h07_a_length_that_is_no_whole_number_is_a_400(length: str) -> None:
    """The server refuses most of these before us."""
    headers = {b"Content-Type": b"application/json", b"Content-Length": length.encode("latin-1")}
    answer = USER.post("/api/v1/uploads", content=b"{}", headers=headers)
    refused(answer)
    assert answer.status_code == 400


def test_b02_a_body_without_a_length_is_a_411() -> None:
    answer = USER.post("/api/v1/uploads", content=iter([b"{}"]), headers={"Content-Type": "application/json"})
    refused(answer)
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


@pytest.mark.parametrize("value", ["", "x" * 256, "x" * 10_000, "a\tb", "é"], ids=lambda v: v[:3])
def test_b24_a_hostile_idempotency_key_is_refused_by_its_name(value: str) -> None:
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
    "B20-empty": {"contentType": ""},
    "B21-short": {"sha256": "00" * 31},
    "B21-no-base64": {"sha256": "!" * 44},
    "B21-unicode": {"md5": "\u0660" * 32},
    "B21-type": {"md5": 5},
    "B22-metadata": {"metadata": {"sub": "user-2"}},
}


@pytest.mark.parametrize("change", VALUES.values(), ids=VALUES.keys())
def test_b10_to_b22_a_value_that_cannot_be_is_refused_by_its_field(change: dict[str, Any]) -> None:
    (field,) = change
    refused(post(USER, "/uploads", {**FILE, **change}), f"/{field}")
    refused(post(USER, "/uploads", {"files": [FILE, {**FILE, **change}]}), f"/files/1/{field}")


def test_b16_a_body_of_one_long_string_is_a_413() -> None:
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
def test_b11_whatever_a_file_is_called_its_key_is_ours(name: str) -> None:
    answer = post(USER, "/uploads", {**FILE, "filename": name})
    assert answer.status_code == 201
    assert re.search(r"/incoming/[0-9a-f-]{36}\.mp3\?", answer.json()["url"])
    assert name not in answer.text


@pytest.mark.parametrize(("spelling", "kept"), [("IMAGE/PNG", "image/png"), ("audio/x-mpeg", "audio/mpeg")])
def test_b20_a_type_is_signed_in_its_one_spelling(spelling: str, kept: str) -> None:
    answer = post(USER, "/uploads", {**FILE, "contentType": spelling})
    assert answer.json()["headers"]["Content-Type"] == kept


BATCHES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "B23-none": ([], "/files"),
    "B23-too-many": ([FILE] * 101, "/files"),
    "B23-one-bad": ([*[FILE] * 99, {**FILE, "contentType": "text/html"}], "/files/99/contentType"),
}


@pytest.mark.parametrize(("files", "pointer"), BATCHES.values(), ids=BATCHES.keys())
def test_b23_a_batch_is_signed_whole_or_not_at_all(files: list[dict[str, Any]], pointer: str) -> None:
    refused(post(USER, "/uploads", {"files": files}), pointer)


@pytest.mark.parametrize("count", [1, 100])
def test_b23_each_of_a_batch_has_a_key_of_its_own_even_of_equal_files(count: int) -> None:
    uploads = post(USER, "/uploads", {"files": [FILE] * count}).json()["uploads"]
    assert len({upload["url"].partition("?")[0] for upload in uploads}) == count
