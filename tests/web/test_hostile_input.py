"""Hostile values in every field of every endpoint: a 4xx that names the field, without a URL or a call to the store."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from broker.core.media import resolve_media_type

from .application import KEY, client, token
from .refusals import FILE, post, refused

USER = client()
SERVICE = client(bearer=token("backend", scope="broker:service"))

CONTROLS = "\x00\x01\t\n\r\x1b\x7f\x85\u2028\u2029"

scalars = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
no_string = st.none() | st.booleans() | st.integers() | st.lists(st.text(max_size=3)) | st.just({"a": 1})
no_integer = scalars | st.lists(st.integers()) | st.just({"a": 1})
no_list = scalars | st.integers() | st.just({"0": KEY})
bad_names = st.sampled_from(["", ".", "..", "a/..", "x" * 256, "x" * 60_000]) | st.builds(
    lambda a, c, b: a + c + b, st.text("ab.é", max_size=5), st.sampled_from(CONTROLS), st.text("ab.é", max_size=5)
)
FILE_NAME = str(FILE["filename"])
bad_types = st.text(max_size=80).filter(lambda text: resolve_media_type(text, FILE_NAME) is None)
bad_sizes = st.integers(max_value=0) | st.integers(min_value=5 * 2**30 + 1)
bad_digests = st.text(max_size=70).filter(lambda text: len(text) not in (24, 32, 44, 64))
bad_keys = st.text(max_size=60) | st.just(f"incoming/{KEY[6:]}") | st.just("../" + KEY)


BODY_FIELDS: list[tuple[TestClient, str, dict[str, Any], str, st.SearchStrategy[Any]]] = [
    (USER, "/uploads", FILE, "filename", no_string | bad_names),
    (USER, "/uploads", FILE, "contentType", no_string | bad_types),
    (USER, "/uploads", FILE, "size", no_integer | bad_sizes),
    (USER, "/uploads", FILE, "sha256", no_string.filter(lambda v: v is not None) | bad_digests),
    (USER, "/uploads", FILE, "md5", no_string.filter(lambda v: v is not None) | bad_digests),
    (USER, "/uploads", FILE, "multipart", scalars.filter(lambda v: not isinstance(v, bool | None))),
    (
        USER,
        "/uploads/batch",
        {},
        "files",
        no_list | st.just([]) | st.just([FILE] * 101) | st.lists(scalars, min_size=1),
    ),
    (
        USER,
        "/uploads/x/parts",
        {},
        "partNumbers",
        no_list | st.just([]) | st.just([1] * 1001) | st.lists(scalars, min_size=1),
    ),
    (USER, "/uploads/x/parts", {"from": 1, "to": 2}, "from", no_integer),
    (USER, "/uploads/x/parts", {"from": 1, "to": 2}, "to", no_integer | st.integers(max_value=0) | st.integers(1001)),
    (USER, "/uploads/confirm", {}, "uploadIds", no_list | st.just([]) | st.just(["x"] * 101) | st.just([5])),
    (USER, "/downloads", {}, "keys", no_list | st.just([]) | st.just([KEY] * 1001) | st.lists(bad_keys, min_size=1)),
    (USER, "/downloads", {"keys": [KEY]}, "expiresIn", st.integers(max_value=0) | st.integers(3601) | st.booleans()),
    (USER, "/downloads", {"keys": [KEY]}, "expiresIn", st.text(max_size=9) | st.floats(allow_nan=False)),
    (USER, "/downloads", {"keys": [KEY]}, "disposition", st.text().filter(lambda t: t not in ("inline", "attachment"))),
    (SERVICE, "/objects/delete", {}, "keys", no_list | st.just([]) | st.lists(bad_keys, min_size=1)),
]


@pytest.mark.parametrize("row", BODY_FIELDS, ids=lambda row: f"{row[1]}-{row[3]}")
def test_hostile_value_names_its_field(
    row: tuple[TestClient, str, dict[str, Any], str, st.SearchStrategy[Any]],
) -> None:
    """A hostile value of a body field is refused with the name of the field."""
    to, path, good, field, values = row

    @given(values)
    @settings(max_examples=40, deadline=None)
    def check(value: Any) -> None:
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            return
        refused(post(to, path, {**good, field: value}), f"/{field}")

    check()


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("/uploads", FILE),
        ("/uploads/batch", {"files": [FILE]}),
        ("/uploads/confirm", {"uploadIds": ["x"]}),
        ("/uploads/x/confirm", {}),
        ("/uploads/x/parts", {"partNumbers": [1]}),
        ("/uploads/x/parts", {"from": 1, "to": 1}),
        ("/downloads", {"keys": [KEY]}),
        ("/objects/delete", {"keys": [KEY]}),
    ],
)
def test_unknown_field_is_refused(path: str, good: dict[str, Any]) -> None:
    """An unknown field is refused, so a client cannot choose a key, a bucket or an owner."""

    @given(
        st.sampled_from(["key", "bucket", "acl", "owner", "sub", "storageClass", "__proto__", "endpoint_url"])
        | st.text(min_size=1, max_size=20)
    )
    @settings(max_examples=30, deadline=None)
    def check(name: str) -> None:
        if name in {*good, "files", "sha256", "md5", "multipart", "expiresIn", "disposition"}:
            return
        refused(post(SERVICE, path, {**good, name: "x"}))

    check()


@pytest.mark.parametrize("name", ["x - at `$.evil", "` - at `$.evil[0]", "a.b[0]~/"])
def test_deceptive_field_name_in_file_is_named(name: str) -> None:
    """An unknown field of a file whose name looks like a JSON path is named with its true pointer."""
    token_of_pointer = name.replace("~", "~0").replace("/", "~1")
    refused(post(USER, "/uploads/batch", {"files": [FILE, {**FILE, name: 1}]}), f"/files/1/{token_of_pointer}")


@pytest.mark.parametrize("name", ["x - at `$.evil", "x` - at `$.evil", "x - at ` - at `$.evil", "` - at `$"])
def test_deceptive_field_name_in_body_is_named(name: str) -> None:
    """An unknown field of the body whose name looks like a JSON path is named with its true pointer."""
    refused(post(USER, "/uploads", {**FILE, name: 1}), f"/{name}")


def test_refused_value_is_not_echoed() -> None:
    """A refusal does not repeat the refused value."""
    response = post(USER, "/downloads", {"keys": [KEY], "disposition": "https://evil.test/'x"})
    refused(response, "/disposition")
    assert "evil" not in response.text


@pytest.mark.parametrize("name", ["filename", "contentType", "size"])
def test_missing_field_is_named(name: str) -> None:
    """A missing field is named."""
    refused(post(USER, "/uploads", {k: v for k, v in FILE.items() if k != name}), f"/{name}")


def test_bad_file_is_named_by_index() -> None:
    """One bad file of a hundred is named by its index."""
    refused(post(USER, "/uploads/batch", {"files": [*[FILE] * 99, {**FILE, "size": True}]}), "/files/99/size")
    refused(post(USER, "/uploads/batch", {"files": [*[FILE] * 99, {**FILE, "size": 0}]}), "/files/99/size")


QUERIES: list[tuple[str, str, st.SearchStrategy[str]]] = [
    (
        f"/downloads/{KEY}",
        "expiresIn",
        st.sampled_from(["0", "-1", "3601", "604801", "60.5", "true", "NaN", "٣", "1e2", "9" * 40]),
    ),
    (f"/downloads/{KEY}", "filename", bad_names.filter(lambda name: 0 < len(name) < 2000)),
    (
        f"/downloads/{KEY}",
        "disposition",
        st.text(min_size=1, max_size=20).filter(lambda t: t not in ("inline", "attachment")),
    ),
    (f"/downloads/{KEY}", "redirect", st.text(min_size=1, max_size=5).filter(lambda t: t not in ("0", "1"))),
    (f"/downloads/{KEY}", "versionId", st.text(max_size=5)),
    ("/keys", "path", st.text(max_size=5)),
    (f"/objects/{KEY}", "bucket", st.text(max_size=5)),
    ("/uploads/x", "uploadId", st.text(max_size=5)),
]


@pytest.mark.parametrize("row", QUERIES, ids=lambda row: f"{row[0]}-{row[1]}")
def test_hostile_parameter_is_refused(row: tuple[str, str, st.SearchStrategy[str]]) -> None:
    """A hostile value of a query parameter is refused with 422."""
    path, name, values = row

    @given(values)
    @settings(max_examples=30, deadline=None)
    def check(value: str) -> None:
        response = USER.get(f"/api/v1{path}", params={name: value})
        refused(response)
        assert response.status_code == 422

    check()


@pytest.mark.parametrize("name", ["expiresIn", "filename", "disposition", "redirect"])
def test_empty_parameter_is_refused(name: str) -> None:
    """An empty query parameter is refused instead of being treated as absent."""
    refused(USER.get(f"/api/v1/downloads/{KEY}?{name}="), f"/{name}")


def test_h24_duplicate_parameter_is_refused() -> None:
    """A query parameter that is given twice is refused."""
    refused(USER.get(f"/api/v1/downloads/{KEY}?expiresIn=1&expiresIn=2"), "/expiresIn")


def test_missing_url_is_named() -> None:
    """A missing ``url`` parameter is named."""
    refused(USER.get("/api/v1/keys"), "/url")


@given(st.text())
@settings(max_examples=60, deadline=None)
def test_arbitrary_url_is_refused(url: str) -> None:
    """Any text as ``url`` that is not a URL of the deployment is refused."""
    response = USER.get("/api/v1/keys", params={"url": url})
    refused(response)


BAD_PATHS = [
    "../x", "%2e%2e/x", "media/..%2fx", "%252f", "//", "%00", "%ff%fe", ";x", "\\", "%zz", "%0d%0a", "media/",
    "media/x.mp3", f"incoming/{KEY[6:]}", f"{KEY}/", f"{KEY}%00", f"{KEY}%0a", KEY.upper(),
    f"%2e/{KEY}", f"/{KEY}", "é", "x" * 7000,
]  # fmt: skip  # a list to be read at once


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: str(path)[:20])
@pytest.mark.parametrize(
    "send",
    [
        lambda p: USER.get(f"/api/v1/objects/{p}"),
        lambda p: USER.delete(f"/api/v1/objects/{p}"),
        lambda p: USER.get(f"/api/v1/downloads/{p}"),
        lambda p: USER.get(f"/api/v1/uploads/{p}"),
        lambda p: USER.delete(f"/api/v1/uploads/{p}"),
        lambda p: USER.post(f"/api/v1/uploads/{p}/confirm"),
    ],
    ids=["object", "delete", "download", "upload", "abort", "confirm"],
)
def test_h22_invalid_path_is_not_found(send: Callable[[str], httpx2.Response], path: str) -> None:
    """A path that is neither a key nor an upload id is a 404 or a 405 (P02)."""
    response = send(path)
    refused(response)
    assert response.status_code in (404, 405)
