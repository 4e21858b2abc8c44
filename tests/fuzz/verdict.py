"""What must hold of every answer, whatever was sent: the oracle of the fuzzing over HTTP."""

import json
import re
from typing import Any

from broker.core.strict_json import parse

from .wire import Answer, Sent

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
AWAY = {503: {"storage_unavailable", "identity_unavailable"}}
MEMBERS = {"type", "title", "status", "detail", "code", "requestId", "error", "message"}
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
CHANGING = {"x-request-id", "content-length", "date", "connection"}  # the second by the first, the last by the client
UNAUTHENTICATED = {
    "type": "urn:problem-type:r2-upload-broker:unauthenticated",
    "title": "Authentication required",
    "status": 401,
    "detail": "A valid bearer token is required.",
    "code": "unauthenticated",
    "error": "Authentication required",
    "message": "A valid bearer token is required.",
}


class Verdict:
    """The rules on responses; with ``away`` the store is not there, and 503 is allowed."""

    def __init__(self, *, away: bool = False) -> None:
        self._codes = {**CODES, **AWAY} if away else CODES
        self._away = away
        self._unauthenticated: dict[str, str] | None = None

    def of(self, sent: Sent, answer: Answer) -> None:
        """Raise ``AssertionError`` if the response breaks a rule."""
        identity = answer.fields["x-request-id"]
        assert REQUEST_ID.fullmatch(identity)
        if sent.method == "HEAD":
            assert answer.body == b""
            assert answer.status in (200, 307, *self._codes), answer
        elif answer.status >= 400 and not self._is_unready(sent, answer):
            self._refusal(answer, identity)
        else:
            _success(answer)

    def of_raw(self, answer: Answer) -> None:
        """Check the response to bytes that may not be HTTP."""
        if answer.status >= 400:
            self._refusal(answer, answer.fields["x-request-id"])

    def _is_unready(self, sent: Sent, answer: Answer) -> bool:
        return self._away and answer.status == 503 and sent.target.startswith("/readyz")

    def _refusal(self, answer: Answer, identity: str) -> None:
        assert answer.status in self._codes, answer
        assert answer.fields["content-type"] == "application/problem+json", answer
        assert answer.fields["cache-control"] == "no-store"
        problem = parse(answer.body)
        assert problem["status"] == answer.status
        assert problem["code"] in self._codes[answer.status], problem
        assert problem["type"] == f"urn:problem-type:r2-upload-broker:{problem['code']}"
        assert problem["requestId"] == identity
        assert problem.keys() in (MEMBERS, MEMBERS | {"errors"})
        assert (problem["error"], problem["message"]) == (problem["title"], problem["detail"])
        _faults(problem.get("errors", []))
        assert b"://" not in answer.body, problem
        assert b"X-Amz" not in answer.body, problem
        self._fields(answer, problem)

    def _fields(self, answer: Answer, problem: dict[str, Any]) -> None:
        if answer.status == 405:
            assert answer.fields["allow"]
        if answer.status == 503:
            assert answer.fields["retry-after"].isdigit()
        if answer.status == 401:
            assert {name: value for name, value in problem.items() if name != "requestId"} == UNAUTHENTICATED
            fields = {name: value for name, value in answer.fields.items() if name not in CHANGING}
            assert fields == (self._unauthenticated or fields)
            self._unauthenticated = fields


def _faults(errors: list[dict[str, str]]) -> None:
    for fault in errors:
        assert fault.keys() == {"pointer", "detail"}
        assert re.fullmatch(r"(/([^/~]|~[01])*)*", fault["pointer"]), fault
        assert len(fault["pointer"] + fault["detail"]) < 400


def _success(answer: Answer) -> None:
    assert answer.status in (200, 201, 202, 204, 206, 307, 503), answer
    if answer.status == 201:
        assert re.fullmatch(r"(/api/v1/uploads/[\w-]+)?", answer.fields.get("location", ""), re.ASCII)
    if answer.fields.get("content-type", "").startswith("application/json"):
        json.loads(answer.body)
