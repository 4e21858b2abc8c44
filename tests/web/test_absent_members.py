"""Members that generated clients send for what is not set: ``null``, and an empty list for an optional list."""

from typing import Any

import pytest

from tests.stores.memory import MemoryObjectStore

from .application import KEY, client
from .refusals import FILE, post, refused

USER = client(MemoryObjectStore())
UNSET = {"sha256": None, "md5": None, "multipart": None}


def in_parts() -> str:
    """Return the upload id of a new upload in parts."""
    return str(post(USER, "/uploads", {**FILE, "size": 2**25, "multipart": True}).json()["uploadId"])


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/uploads", {**FILE, **UNSET}),
        ("/uploads/batch", {"files": [{**FILE, **UNSET}]}),
        ("/downloads", {"keys": [KEY], "expiresIn": None, "disposition": None}),
    ],
)
def test_null_means_left_out(path: str, document: dict[str, Any]) -> None:
    """An optional member that is null is treated as one that is left out."""
    assert post(USER, path, document).is_success


@pytest.mark.parametrize(
    ("document", "numbers"),
    [
        ({"partNumbers": [2, 1], "from": None, "to": None}, [2, 1]),
        ({"partNumbers": [], "from": 1, "to": 2}, [1, 2]),
        ({"partNumbers": None, "from": 2, "to": 2}, [2]),
    ],
)
def test_parts_ignore_the_form_that_is_left_out(document: dict[str, Any], numbers: list[int]) -> None:
    """An empty list or null next to a range, and nulls next to a list, are treated as left out."""
    response = post(USER, f"/uploads/{in_parts()}/parts", document)
    assert [part["partNumber"] for part in response.json()["parts"]] == numbers


@pytest.mark.parametrize(
    ("document", "pointer", "rule"),
    [
        ({}, "/partNumbers", "is required"),
        ({"partNumbers": None, "from": None, "to": None}, "/partNumbers", "is required"),
        ({"partNumbers": []}, "/partNumbers", "must have at least 1 item"),
        ({"partNumbers": [], "from": 1}, "/to", "is required"),
        ({"from": None, "to": 1}, "/from", "is required"),
        ({"partNumbers": [1], "from": 1, "to": 1}, "/partNumbers", "must be omitted if from and to are given"),
        ({"partNumbers": [1], "to": 1}, "/partNumbers", "must be omitted if from and to are given"),
        ({"partNumbers": [1, None]}, "/partNumbers/1", "must be an integer, not null"),
    ],
)
def test_parts_must_be_named_in_one_form(document: dict[str, Any], pointer: str, rule: str) -> None:
    """Parts that are named in no form, in half of one or in both are refused."""
    response = post(USER, f"/uploads/{in_parts()}/parts", document)
    refused(response, pointer)
    assert response.json()["errors"][0]["detail"] == rule


@pytest.mark.parametrize(
    ("path", "document", "pointer"),
    [
        ("/uploads", {**FILE, "filename": None}, "/filename"),
        ("/uploads", {**FILE, "size": None}, "/size"),
        ("/uploads", {"files": [FILE]}, "/files"),
        ("/uploads/batch", FILE, "/filename"),
        ("/uploads/batch", {"files": None}, "/files"),
        ("/uploads/batch", {"files": []}, "/files"),
        ("/uploads/batch", {"files": [None]}, "/files/0"),
        ("/uploads/confirm", {"uploadIds": []}, "/uploadIds"),
        ("/downloads", {"keys": None}, "/keys"),
    ],
)
def test_required_member_cannot_be_left_out(path: str, document: dict[str, Any], pointer: str) -> None:
    """A required member that is null or empty is refused, and so is the member of another endpoint."""
    refused(post(USER, path, document), pointer)


@pytest.mark.parametrize("body", [b"null", b"{}", b" null ", b""])
def test_confirm_takes_an_empty_body(body: bytes) -> None:
    """A confirm takes no body, an empty object and null alike."""
    path = f"/api/v1/uploads/{in_parts()}/confirm"
    problem = USER.post(path, content=body, headers={"Content-Type": "application/json"}).json()
    assert problem["code"] == "parts_missing"


@pytest.mark.parametrize("body", [b"[]", b"0", b'""', b"false", b'{"x":null}', b"null null"])
def test_confirm_refuses_any_other_body(body: bytes) -> None:
    """A confirm refuses a body that is not empty."""
    refused(USER.post("/api/v1/uploads/x/confirm", content=body, headers={"Content-Type": "application/json"}))


def test_batch_results_have_a_status() -> None:
    """Each result of a batch confirm has its upload id and a status, also a failed one."""
    ids = [in_parts(), "unknown"]
    results = post(USER, "/uploads/confirm", {"uploadIds": ids}).json()["results"]
    assert [(each["uploadId"], each["status"]) for each in results] == [(ids[0], "failed"), (ids[1], "failed")]
    assert [each["problem"]["code"] for each in results] == ["parts_missing", "not_found"]
