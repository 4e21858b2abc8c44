"""The browser client is served to every page, whichever origin it comes from, and starts nothing by itself."""

import mimetypes
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from broker.web.assets import STATIC, client_routes, file_route
from broker.web.demo_page import page_routes

from .application import ENVIRONMENT, client

NAMES = ["broker-upload.js", "broker-upload.d.ts"]
PAGE = ("/demo", "/static/demo.js", "/static/demo.css", "/static/demo.svg")


@pytest.mark.parametrize("name", NAMES)
def test_any_page_may_import_it(name: str) -> None:
    answer = client().get(f"/static/{name}", headers={"Origin": "https://app.example"})
    assert answer.text == (STATIC / name).read_text(encoding="utf-8")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_served_whole_whatever_part_is_asked_for(name: str) -> None:
    answers = [
        client().get(f"/static/{name}", headers={"Range": value}) for value in ("bytes=0-1", "bytes=x", "bytes=9-")
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {(STATIC / name).read_bytes()}


def test_another_method_is_a_405_like_every_other() -> None:
    answer = client().post("/static/broker-upload.js")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD",
    )


def test_media_types_do_not_depend_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A static file has the same media type whatever the tables of ``mimetypes`` contain."""
    for suffix in (".js", ".ts", ".css", ".html", ".svg"):
        monkeypatch.setitem(mimetypes.types_map, suffix, "application/x-host")
    served = TestClient(Starlette(routes=[*client_routes(), *page_routes("http://127.0.0.1:8333")]))
    kinds = {path: served.get(path).headers["content-type"] for path in (*(f"/static/{name}" for name in NAMES), *PAGE)}
    assert kinds == {
        "/static/broker-upload.js": "text/javascript; charset=utf-8",
        "/static/broker-upload.d.ts": "text/plain; charset=utf-8",
        "/demo": "text/html; charset=utf-8",
        "/static/demo.js": "text/javascript; charset=utf-8",
        "/static/demo.css": "text/css; charset=utf-8",
        "/static/demo.svg": "image/svg+xml",
    }


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_every_static_file_has_a_media_type(file: Path) -> None:
    """A route can be made for every static file."""
    assert file_route(f"/static/{file.name}", {}).path == f"/static/{file.name}"


def test_a_page_whose_origin_is_configured_may_import_it_too() -> None:
    configured = client(environment={**ENVIRONMENT, "BROKER_CORS_ORIGINS": "https://app.example"})
    answer = configured.get("/static/broker-upload.js", headers={"Origin": "https://app.example"})
    assert answer.headers.get_list("access-control-allow-origin") == ["https://app.example"]


@pytest.mark.parametrize("path", ["/static/demo.js", "/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/demo"])
def test_nothing_else_is_served(path: str) -> None:
    assert client().get(path).status_code == 404
