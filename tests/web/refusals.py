"""What holds of every refusal, and how a request is sent that gets one."""

import json
from typing import Any

import httpx2
from starlette.testclient import TestClient

FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
"""A good file."""


def refused(answer: httpx2.Response, *pointers: str) -> None:
    """The rules for every refusal; ``pointers`` are the fields that may be named, any if there are none."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"].endswith(problem["code"])
    assert problem["requestId"] == answer.headers["x-request-id"]
    assert "X-Amz" not in answer.text
    if pointers:
        named = {fault["pointer"] for fault in problem["errors"]}
        assert named
        assert all(any(name == p or name.startswith(p + "/") for p in pointers) for name in named), named


def post(to: TestClient, path: str, document: Any) -> httpx2.Response:
    """A POST of JSON that may hold what the client library would refuse to write."""
    body = json.dumps(document).encode()
    return to.post(f"/api/v1{path}", content=body, headers={"Content-Type": "application/json"})
