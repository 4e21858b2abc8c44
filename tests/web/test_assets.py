"""The browser client is served to every page, whichever origin it comes from, and starts nothing by itself."""

import pytest

from broker.web.assets import STATIC

from .application import ENVIRONMENT, client

NAMES = ["broker-upload.js", "broker-upload.d.ts"]


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


def test_it_is_javascript_to_a_browser() -> None:
    assert client().get("/static/broker-upload.js").headers["content-type"].startswith("text/javascript")


def test_a_page_whose_origin_is_configured_may_import_it_too() -> None:
    configured = client(environment={**ENVIRONMENT, "BROKER_CORS_ORIGINS": "https://app.example"})
    answer = configured.get("/static/broker-upload.js", headers={"Origin": "https://app.example"})
    assert answer.headers.get_list("access-control-allow-origin") == ["https://app.example"]


@pytest.mark.parametrize("path", ["/static/demo.js", "/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/demo"])
def test_nothing_else_is_served(path: str) -> None:
    assert client().get(path).status_code == 404
