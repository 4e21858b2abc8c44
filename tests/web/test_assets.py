"""The browser client is served to the pages of every origin. Nothing else is served without a command's routes."""

import json
import mimetypes
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from broker.web.assets import STATIC, client_routes, client_version, file_route
from broker.web.demo_page import FILES, page_routes

from .application import ENVIRONMENT, client

NAMES = ["broker-upload.js", "broker-upload.d.ts", "broker-uppy.js", "broker-uppy.d.ts"]
PAGE = ("/demo", "/static/demo.js", "/static/demo.css", "/static/demo.svg")

PACKAGE = Path(__file__).parents[2] / "client" / "package.json"
VERSION = json.loads(PACKAGE.read_text(encoding="utf-8"))["version"]
VERSIONED = {name.replace(".", f"-{VERSION}.", 1): name for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_any_origin(name: str) -> None:
    """A page of any origin may import the browser client and read its types."""
    response = client().get(f"/static/{name}", headers={"Origin": "https://app.example"})
    assert response.text == (STATIC / name).read_text(encoding="utf-8")
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-cache"


def test_version() -> None:
    """The browser client and the module for Uppy export the version of their npm package."""
    assert client_version() == VERSION
    for name in ("broker-upload.js", "broker-uppy.js"):
        assert f'export const version = "{VERSION}"' in (STATIC / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", VERSIONED)
def test_versioned_url(name: str) -> None:
    """The URL with the version serves the same file, which caches may keep for a year."""
    response = client().get(f"/static/{name}", headers={"Origin": "https://app.example"})
    assert response.content == (STATIC / VERSIONED[name]).read_bytes()
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("name", [*NAMES, *VERSIONED])
def test_range_ignored(name: str) -> None:
    """The response is the whole file, whatever range is requested."""
    responses = [
        client().get(f"/static/{name}", headers={"Range": value}) for value in ("bytes=0-1", "bytes=x", "bytes=9-")
    ]
    assert {response.status_code for response in responses} == {200}
    assert {response.content for response in responses} == {(STATIC / VERSIONED.get(name, name)).read_bytes()}


def test_other_method() -> None:
    """Another method than GET and HEAD is refused with 405, as on every other path."""
    response = client().post("/static/broker-upload.js")
    assert (response.status_code, response.json()["code"], response.headers["allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD",
    )


def test_media_types_do_not_depend_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A static file has the same media type whatever the tables of ``mimetypes`` contain."""
    for suffix in (".js", ".ts", ".css", ".html", ".svg"):
        monkeypatch.setitem(mimetypes.types_map, suffix, "application/x-host")
    served = TestClient(Starlette(routes=[*client_routes(), *page_routes("http://127.0.0.1:8333")]))
    paths = (*(f"/static/{name}" for name in (*NAMES, *VERSIONED)), *PAGE)
    assert {path: served.get(path).headers["content-type"] for path in paths} == {
        **{
            f"/static/{name}{version}.{suffix}": f"text/{subtype}; charset=utf-8"
            for name in ("broker-upload", "broker-uppy")
            for version in ("", f"-{VERSION}")
            for suffix, subtype in (("js", "javascript"), ("d.ts", "plain"))
        },
        "/demo": "text/html; charset=utf-8",
        "/static/demo.js": "text/javascript; charset=utf-8",
        "/static/demo.css": "text/css; charset=utf-8",
        "/static/demo.svg": "image/svg+xml",
    }


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_every_static_file_has_a_media_type(file: Path) -> None:
    """A route can be made for every static file."""
    assert file_route(f"/static/{file.name}", {}).path == f"/static/{file.name}"


def test_page_files() -> None:
    """The page has a route for each of its files, and imports no file that does not exist."""
    files = {file.name for file in STATIC.glob("demo*")} - {"demo.html"}
    assert set(FILES) == files
    sources = [(STATIC / name).read_text(encoding="utf-8") for name in files if name.endswith(".js")]
    imported = {name for source in sources for name in re.findall(r'from "\./([^"]+)";', source)}
    assert imported <= {*files, "broker-upload.js"}


def test_configured_origin() -> None:
    """A page of a configured origin may import the client too: its response has one header field for CORS, not two."""
    configured = client(environment={**ENVIRONMENT, "BROKER_CORS_ORIGINS": "https://app.example"})
    response = configured.get("/static/broker-upload.js", headers={"Origin": "https://app.example"})
    assert response.headers.get_list("access-control-allow-origin") == ["https://app.example"]


@pytest.mark.parametrize(
    "path",
    [
        *("/static/demo.js", "/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/demo"),
        "/static/broker-upload-0.0.0.js",
    ],
)
def test_nothing_else(path: str) -> None:
    """Without the demo's routes, no other file is served; neither is another version of the client."""
    assert client().get(path).status_code == 404
