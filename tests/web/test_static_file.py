"""Static files: entity tags, conditional requests and gzip (RFC 9110)."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from broker.web.assets import STATIC
from broker.web.resource import Resource
from broker.web.static_file import StaticFile, accepts_gzip, is_current

from .application import client
from .running_server import request, running_server

PATH = "/static/broker-upload.js"
CONTENT = (STATIC / "broker-upload.js").read_bytes()
TAG = '"0123456789abcdef"'


def serve(content: bytes) -> TestClient:
    """Return a client of an application with one file."""
    file = StaticFile(content, "text/plain", {"Cache-Control": "no-cache"})
    return TestClient(Starlette(routes=[Route("/file", Resource({"GET": file}))]))


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "gzip"),
        ("br, gzip;q=0.5, deflate", "gzip"),
        ("gzip ; q = 1.000", "gzip"),
        ("identity;q=0.5, *;q=0.5", "gzip"),
        ("identity;q=0", None),
        ("gzip;q=0", None),
        ("gzip;q=0.000, *", None),
        ("gzip;q=0.4, identity;q=0.5", None),
        ("gzip;q=2", None),
        ("gzip;q=-1", None),
        ("gzip;level=9", None),
        ("br", None),
        ("not-gzip", None),
        ("", None),
        (",;,=", None),
    ],
)
def test_encoding(accepted: str, encoding: str | None) -> None:
    """The file is compressed if the client prefers gzip; a weight that is not valid counts as a refusal."""
    response = client().get(PATH, headers={"Accept-Encoding": accepted})
    assert response.headers.get("content-encoding") == encoding
    assert response.headers["vary"] == "Accept-Encoding"
    assert response.content == CONTENT


def test_several_fields() -> None:
    """Several ``Accept-Encoding`` fields count as one list."""
    assert accepts_gzip(["br", "gzip"])
    assert not accepts_gzip(["gzip;q=0", "*"])
    assert not accepts_gzip([])


def test_small_file() -> None:
    """A file that gzip makes larger is never compressed."""
    response = serve(b"small").get("/file", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in response.headers
    assert (response.content, response.headers["vary"]) == (b"small", "Accept-Encoding")


def test_tags() -> None:
    """The tags are strong, differ between the two representations, and are equal in all processes."""
    responses = [client().get(PATH, headers={"Accept-Encoding": coding}) for coding in ("gzip", "", "gzip", "")]
    tags = [response.headers["etag"] for response in responses]
    assert tags[:2] == tags[2:]
    assert tags[0] != tags[1]
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)
    assert serve(b"one").get("/file").headers["etag"] != serve(b"two").get("/file").headers["etag"]


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("shape", ["{}", "W/{}", '"old", {}', '  "a,b" ,{}  ', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_not_modified(method: str, shape: str, coding: str) -> None:
    """A client that has this representation receives 304 with the fields that a cache updates, and no body."""
    fresh = client().get(PATH, headers={"Accept-Encoding": coding})
    known = {"Accept-Encoding": coding, "If-None-Match": shape.format(fresh.headers["etag"])}
    response = client().request(method, PATH, headers=known)
    assert (response.status_code, response.content) == (304, b"")
    assert "content-length" not in response.headers
    for name in ("etag", "vary", "cache-control", "access-control-allow-origin", "x-content-type-options"):
        assert response.headers[name] == fresh.headers[name]


@pytest.mark.parametrize("shape", ["", '"another"', "unquoted", '"', '""', "W/", '*, "a"', "{}x", '"{}"'])
def test_modified(shape: str) -> None:
    """Another tag, the tag of the other representation and a field that is not valid lead to the whole file."""
    other = client().get(PATH, headers={"Accept-Encoding": "identity"}).headers["etag"]
    known = {"Accept-Encoding": "gzip", "If-None-Match": shape.format(other.strip('"'))}
    response = client().get(PATH, headers=known)
    assert (response.status_code, response.content) == (200, CONTENT)


def test_tag_of_the_other_representation() -> None:
    """The tag of the plain file does not match a request that accepts gzip."""
    plain = client().get(PATH, headers={"Accept-Encoding": "identity"}).headers["etag"]
    response = client().get(PATH, headers={"Accept-Encoding": "gzip", "If-None-Match": plain})
    assert response.status_code == 200


def test_several_tag_fields() -> None:
    """Several ``If-None-Match`` fields count as one list."""
    assert is_current(TAG, ['"old"', f"W/{TAG}"])
    assert not is_current(TAG, ['"old"', '"older"'])
    assert not is_current(TAG, [])


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=60), max_size=3))
def test_any_field(fields: list[str]) -> None:
    """No value of the two request fields raises an exception, and a match needs the tag or an asterisk."""
    assert accepts_gzip(fields) in (True, False)
    assert not is_current(TAG, fields) or ",".join(fields).strip() == "*" or TAG in ",".join(fields)


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_head(coding: str) -> None:
    """HEAD has the fields of GET, with its length, and no body."""
    with running_server() as server:
        (whole,) = server.replies_to(request("GET", PATH, f"Accept-Encoding: {coding}"))
        (head,) = server.replies_to(request("HEAD", PATH, f"Accept-Encoding: {coding}"))
    assert (whole.status, head.status, head.body) == (200, 200, b"")
    assert int(head.fields["content-length"]) == len(whole.body)
    volatile = ("date", "x-request-id")
    fields = [{name: field for name, field in reply.fields.items() if name not in volatile} for reply in (whole, head)]
    assert fields[0] == fields[1]
    assert (gzip.decompress(whole.body) if coding == "gzip" else whole.body) == CONTENT


def test_not_modified_on_the_wire() -> None:
    """A 304 has no body, and the connection continues behind it."""
    with running_server() as server:
        (whole,) = server.replies_to(request("GET", PATH))
        known = f"If-None-Match: {whole.fields['etag']}"
        first, second = server.replies_to(request("GET", PATH, known, keep=True) + request("GET", PATH, known))
    assert [(reply.status, reply.body) for reply in (first, second)] == [(304, b""), (304, b"")]


def test_size_of_the_client() -> None:
    """The browser client has at most 8 KB as it is served with gzip."""
    with running_server() as server:
        (reply,) = server.replies_to(request("GET", PATH, "Accept-Encoding: gzip"))
    assert len(reply.body) <= 8 * 1024
