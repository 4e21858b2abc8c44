"""The rules of every refusal, and a request that may be refused."""

import json
import re
from typing import Any

import httpx2
from starlette.testclient import TestClient

FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
"""A valid file."""

SIGNATURE = re.compile("X-Amz-Signature=[0-9a-f]{64}")
"""The signature of a presigned URL. Hypothesis takes texts from the source, so a refused one may be shorter."""


def refused(response: httpx2.Response, *pointers: str) -> None:
    """Assert the rules of every refusal; if ``pointers`` are given, only these fields may be named."""
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"].endswith(problem["code"])
    assert problem["requestId"] == response.headers["x-request-id"]
    assert not SIGNATURE.search(response.text)
    if pointers:
        named = {fault["pointer"] for fault in problem["errors"]}
        assert named
        assert all(any(name == p or name.startswith(p + "/") for p in pointers) for name in named), named


def post(to: TestClient, path: str, document: Any) -> httpx2.Response:
    """Post JSON that the client library would not encode."""
    body = json.dumps(document).encode()
    return to.post(f"/api/v1{path}", content=body, headers={"Content-Type": "application/json"})
