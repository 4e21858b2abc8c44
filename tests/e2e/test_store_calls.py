"""The calls of each operation to the store, counted before a real store, are those that bench/prices.py prices."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.testclient import TestClient

from bench.prices import operations
from bench.scale.objects import S3Request
from broker import settings
from broker.cli.seaweedfs import SeaweedFS
from broker.core.limits import MIB, PART_MIN
from broker.core.parts import plan
from broker.service import promotion
from broker.service.assembly import assemble
from broker.web.app import create_app
from tests.faults.proxy import FaultProxy, RequestCycle
from tests.patience import PATIENCE

from .parts import CONTENT, create_multipart, send, status_of
from .processes import JWT_SECRET, token
from .steps import confirm, create, digest, fetch, mp3, put, ready

RANGES = plan(len(CONTENT), PART_MIN).count
SENT = plan(len(CONTENT), 8 * MIB).count
GONE = 2
"""Objects that the test deletes in one call."""

Api = Any
"""The client of the application in this process, or of one with other settings: both have the methods of httpx2."""


def name_of(cycle: RequestCycle) -> str:
    """Return the S3 name of a request's operation."""
    target = f"{cycle.path}?{urlencode(cycle.query)}"
    return S3Request.of(cycle.method, target, cycle.headers).operation()


class Counting:
    """Counts the calls that each operation sends through the proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self.found: dict[str, Counter[str]] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        """Do the work, and store its calls under the name of the operation."""
        before = len(self._proxy.exchanges)
        result = work()
        self.found[name] = Counter(map(name_of, self._proxy.exchanges[before:]))
        return result


@pytest.fixture
def proxy(store: SeaweedFS) -> Iterator[FaultProxy]:
    """Start a proxy to the store that records requests."""
    address = urlsplit(store.endpoint)
    with FaultProxy(address.hostname or "", address.port or 0) as running:
        yield running


Connect = Callable[..., Api]


@pytest.fixture
def connect(environment: dict[str, str], proxy: FaultProxy) -> Iterator[Connect]:
    """Return a function that starts the application with some settings, and returns a client of it."""
    running: list[TestClient] = []

    def start(scope: str = "", **changes: str) -> Api:
        variables = {**environment, "R2_ENDPOINT": proxy.endpoint, "JWT_SECRET": JWT_SECRET, **changes}
        app = create_app(assemble(settings.parse(variables)))
        client = TestClient(app, "http://broker/api/v1", headers={"Authorization": f"Bearer {token(scope=scope)}"})
        running.append(client.__enter__())
        return client

    yield start
    for client in running:
        client.__exit__(None, None, None)


def small_uploads(count: Counting, api: Api) -> None:
    """Perform the operations on uploads of one PUT."""
    key = {"Idempotency-Key": "one"}
    create(api, mp3(), headers=key)
    upload = count("create, also retried", lambda: create(api, mp3(), headers=key))
    count("PUT by the client", lambda: put(upload, mp3()))
    count("status", lambda: status_of(api, upload))
    track = count("confirm", lambda: confirm(api, upload)).json()
    count("confirm, repeated", lambda: confirm(api, upload))
    count("object", lambda: api.get(f"/objects/{track['key']}"))
    link = count("download link", lambda: api.get(f"/downloads/{track['key']}")).json()["url"]
    count("GET by the client", lambda: fetch(link))
    assert count("delete an object", lambda: api.delete(f"/objects/{track['key']}")).status_code == 204
    hashed = create(api, mp3(), sha256=digest(mp3()))
    put(hashed, mp3())
    count("confirm, with a SHA-256", lambda: confirm(api, hashed))
    aborted = create(api, mp3())
    assert count("abort of one PUT", lambda: api.delete(f"/uploads/{aborted['uploadId']}")).status_code == 204
    form: Any = {"files": {"file": ("a.mp3", mp3(), "audio/mpeg")}}
    assert api.post("/uploads/media", **form).status_code < 300  # the first form lists abandoned ones in the background
    assert count("upload in a form, one file below 5 MiB", lambda: api.post("/uploads/media", **form)).status_code < 300


def uploads_in_parts(count: Counting, api: Api) -> None:
    """Perform the operations on uploads in parts."""
    key = {"headers": {"Idempotency-Key": "parts"}}
    count("create in parts, with an `Idempotency-Key`", lambda: create_multipart(api, **key))
    kept = count("the same, retried", lambda: create_multipart(api, **key))
    assert count("abort of parts", lambda: api.delete(f"/uploads/{kept['uploadId']}")).status_code == 204
    upload = count("create in parts", lambda: create_multipart(api))
    count(f"{SENT} PUTs of parts by the client", lambda: send(api, upload, 1, 2, 3))
    count("status of parts", lambda: status_of(api, upload))
    assert count("confirm of parts", lambda: confirm(api, upload)).status_code == 200


def promotion_in_ranges(count: Counting, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promote an upload in ranges by one confirm, and another one by two."""
    monkeypatch.setattr(promotion, "COPY_MAX", PART_MIN)
    monkeypatch.setattr(promotion, "RANGE", PART_MIN)
    upload, other = create_multipart(api), create_multipart(api)
    for each in (upload, other):
        send(api, each, 1, 2, 3)
    name = f"confirm of parts, promoted in {RANGES} ranges"
    assert count(name, lambda: confirm(api, upload)).json()["status"] == "ready"
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    monkeypatch.setattr(promotion, "CONCURRENT_RANGES_PER_OBJECT", 1)
    for _ in range(2):
        promoting = count("each further confirm of such a promotion", lambda: confirm(api, other))
        assert promoting.status_code == 202


def test_calls_are_those_that_are_priced(proxy: FaultProxy, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each operation sends exactly the calls to the store that the table of prices has."""
    monkeypatch.setattr(promotion, "COPY_GRACE", PATIENCE)  # a slow copy is followed by another HeadObject
    api, service, count = connect(), connect("broker:service"), Counting(proxy)
    small_uploads(count, api)
    uploads_in_parts(count, api)
    keys = [ready(api, mp3())["key"] for _ in range(GONE)]
    guarded = connect(DOWNLOAD_ACCESS="owner")
    count("download link, `DOWNLOAD_ACCESS=owner`", lambda: guarded.get(f"/downloads/{keys[0]}"))
    body = {"json": {"keys": keys}}
    count(f"delete {GONE} objects in one call", lambda: service.post("/objects/delete", **body))
    count("`/readyz`, at most every 2 seconds", lambda: api.get("http://broker/readyz"))
    promotion_in_ranges(count, api, monkeypatch)
    count.found["each further confirm of such a promotion"].subtract({"UploadPartCopy": 1})
    assert {name: dict(+calls) for name, calls in count.found.items()} == {
        each.name: dict(each.calls) for each in operations(SENT, RANGES, GONE)
    }
