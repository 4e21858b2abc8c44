"""The rules on every response, whatever the request was: the oracle of the fuzzing over HTTP."""

import json
import re
from typing import Any

from broker.core.strict_json import parse

from .wire import Response, Sent

# The table of README.md. 500 is in no row.
CODES = {
    400: {"invalid_request"},
    401: {"unauthenticated"},
    403: {"forbidden"},
    404: {"not_found"},
    405: {"method_not_allowed"},
    408: {"request_timeout"},
    409: {
        "upload_confirmed",
        "encoding_mismatch",
        "not_uploaded",
        "parts_missing",
        "size_mismatch",
        "type_mismatch",
        "checksum_mismatch",
    },
    410: {"upload_expired", "upload_deleted"},
    411: {"length_required"},
    413: {"too_large"},
    414: {"target_too_long"},
    415: {"unsupported_type"},
    422: {"invalid_request", "unsupported_type", "content_mismatch"},
    431: {"head_too_large"},
}
WITHOUT_STORE = {503: {"storage_unavailable", "identity_unavailable"}}
MEMBERS = {"type", "title", "status", "detail", "code", "requestId", "error", "message"}
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
CHANGING = {
    "x-request-id",
    "content-length",
    "date",
    "connection",
}  # the length depends on the id, and the last on the client
UNAUTHENTICATED = {
    "type": "urn:problem-type:r2-upload-broker:unauthenticated",
    "title": "Authentication required",
    "status": 401,
    "detail": "A valid bearer token is required in the Authorization header field.",
    "code": "unauthenticated",
    "error": "Authentication required",
    "message": "A valid bearer token is required in the Authorization header field.",
}


class Verdict:
    """The rules on responses; with ``without_store`` the store is not there, and 503 is allowed."""

    def __init__(self, *, without_store: bool = False) -> None:
        self._codes = {**CODES, **WITHOUT_STORE} if without_store else CODES
        self._without_store = without_store
        self._unauthenticated: dict[str, str] | None = None

    def check(self, sent: Sent, response: Response) -> None:
        """Raise ``AssertionError`` if the response breaks a rule."""
        identity = response.fields["x-request-id"]
        assert REQUEST_ID.fullmatch(identity)
        if sent.method == "HEAD":
            assert response.body == b""
            assert response.status in (200, 304, 307, *self._codes), response
        elif response.status >= 400 and not self._is_unready(sent, response):
            self._refusal(response, identity)
        else:
            _success(response)

    def check_raw(self, response: Response) -> None:
        """Check the response to bytes that may not be HTTP."""
        if response.status >= 400:
            self._refusal(response, response.fields["x-request-id"])

    def _is_unready(self, sent: Sent, response: Response) -> bool:
        return self._without_store and response.status == 503 and sent.target.startswith("/readyz")

    def _refusal(self, response: Response, identity: str) -> None:
        assert response.status in self._codes, response
        assert response.fields["content-type"] == "application/problem+json", response
        assert response.fields["cache-control"] == "no-store"
        problem = parse(response.body)
        assert problem["status"] == response.status
        assert problem["code"] in self._codes[response.status], problem
        assert problem["type"] == f"urn:problem-type:r2-upload-broker:{problem['code']}"
        assert problem["requestId"] == identity
        assert problem.keys() in (MEMBERS, MEMBERS | {"errors"})
        assert (problem["error"], problem["message"]) == (problem["title"], problem["detail"])
        _faults(problem.get("errors", []))
        assert b"://" not in response.body, problem
        assert b"X-Amz" not in response.body, problem
        self._fields(response, problem)

    def _fields(self, response: Response, problem: dict[str, Any]) -> None:
        if response.status == 405:
            assert response.fields["allow"]
        if response.status == 503:
            assert response.fields["retry-after"].isdigit()
        if response.status == 401:
            assert {name: value for name, value in problem.items() if name != "requestId"} == UNAUTHENTICATED
            fields = {name: value for name, value in response.fields.items() if not _may_differ(name)}
            assert fields == (self._unauthenticated or fields)
            self._unauthenticated = fields


def _may_differ(name: str) -> bool:
    """Return whether a header field depends on the request: also those of CORS, which depend on its Origin."""
    return name in CHANGING or name.startswith("access-control-")


def _faults(errors: list[dict[str, str]]) -> None:
    for fault in errors:
        assert fault.keys() == {"pointer", "detail"}
        assert re.fullmatch(r"(/([^/~]|~[01])*)*", fault["pointer"]), fault
        assert len(fault["pointer"] + fault["detail"]) < 400


def _success(response: Response) -> None:
    assert response.status in (200, 201, 202, 204, 206, 304, 307, 503), response
    if response.status == 201:
        assert re.fullmatch(r"(/api/v1/uploads/[\w-]+)?", response.fields.get("location", ""), re.ASCII)
    if response.fields.get("content-type", "").startswith("application/json"):
        json.loads(response.body)
