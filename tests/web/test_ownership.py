"""Ownership: a route with an upload id or a key in its path answers 404 to another user."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient

from broker.core.model import ObjectRef
from broker.web.routes import API, RESOURCES
from tests.small_files import mp3
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, client, path_of, token
from .refusals import FILE

BODIES = {("POST", f"{API}/uploads/{{upload_id}}/parts"): {"partNumbers": [1]}}
"""The bodies of the routes that need one. Without a valid body a request gets a 422 before the owner is checked."""

DOWNLOAD = ("GET", f"{API}/downloads/{{key:path}}")
NOT_CHECKED = {DOWNLOAD: "by default every user who has the key of an object gets links to it"}
"""The routes that do not check the owner, each with the reason."""

SIZE = 60
"""Bytes of the object; the smallest MP3 has 24."""

NAMED = [(method, path) for path, handlers in RESOURCES.items() for method in handlers if "{" in path]
"""The routes with an upload id or a key in their path."""


def owned(user: TestClient, store: MemoryObjectStore) -> tuple[str, str]:
    """Create an upload in parts and a ready object as ``user``; return the upload id and the key."""
    made = user.post(f"{API}/uploads", json={**FILE, "size": SIZE}).json()
    bucket, _, staged = urlsplit(made["url"]).path.strip("/").partition("/")
    store.put(ObjectRef(bucket, staged), mp3(SIZE))
    ready = user.post(f"{API}/uploads/{made['uploadId']}/confirm").json()
    in_parts = user.post(f"{API}/uploads", json={**FILE, "multipart": True}).json()
    return in_parts["uploadId"], ready["key"]


def by_both(method: str, path: str, environment: Mapping[str, str] = ENVIRONMENT) -> tuple[httpx2.Response, ...]:
    """Send the request for what ``user-1`` owns, first as ``user-2`` and then as ``user-1``; return the responses."""
    store = MemoryObjectStore()
    owner, other = (client(store, bearer=token(f"user-{number}"), environment=environment) for number in (1, 2))
    with owner, other:
        target = path_of(path, *owned(owner, store))
        return tuple(user.request(method, target, json=BODIES.get((method, path))) for user in (other, owner))


@pytest.mark.parametrize(("method", "path"), [route for route in NAMED if route not in NOT_CHECKED])
def test_another_user_gets_404(method: str, path: str) -> None:
    """Every route answers 404 to the upload id or key of another user, and something else to the owner."""
    other, owner = by_both(method, path)
    assert other.status_code == 404, f"{method} {path} gives {other.status_code} to another user: {other.text}"
    assert owner.status_code not in (404, 405, 422), f"{method} {path} may need a body in BODIES: {owner.text}"


def test_exceptions_are_routes() -> None:
    """Each exception is a route that another user may in fact use."""
    assert NOT_CHECKED.keys() <= set(NAMED)
    for method, path in NOT_CHECKED:
        assert by_both(method, path)[0].status_code == 200


def test_owner_policy_hides_downloads() -> None:
    """With ``DOWNLOAD_ACCESS=owner`` another user gets no download link either."""
    other, owner = by_both(*DOWNLOAD, {**ENVIRONMENT, "DOWNLOAD_ACCESS": "owner"})
    assert (other.status_code, owner.status_code) == (404, 200)
