"""Sequences of calls that once broke a promise, with a real store: deletion is final, receipts are true."""

import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import pytest

from broker.cli.seaweedfs import SeaweedFS
from broker.crypto.sigv4 import Credentials
from broker.store import admin
from tests.faults.proxy import Fault, FaultProxy, RequestCycle
from tests.plain_http import NO_TLS

from .conftest import BUCKET
from .processes import Broker
from .steps import confirm, create, digest, mp3, put, served, uploaded

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OTHER = mp3()[:-1] + b"x"
"""Bytes of another file of the same size and type."""

GONE = (410, "upload_deleted")


def refusal(response: httpx2.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return response.status_code, response.json()["code"]


def staged_key(upload: dict[str, Any]) -> str:
    """Return the key of the staged object."""
    return urlsplit(str(upload["url"])).path.removeprefix(f"/{BUCKET}/")


@pytest.fixture
def s3(store: SeaweedFS) -> "S3Client":
    """Return the operator's client, which needs no signed URL."""
    return admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))


def by_owner(owner: httpx2.Client, _service: httpx2.Client, key: str) -> None:
    """Delete the object as its owner."""
    assert owner.delete(f"/objects/{key}").status_code == 204


def by_service(_owner: httpx2.Client, service: httpx2.Client, key: str) -> None:
    """Delete the object of a user as a service."""
    assert service.delete(f"/objects/{key}").status_code == 204


def in_bulk(_owner: httpx2.Client, service: httpx2.Client, key: str) -> None:
    """Delete the object in a bulk delete of a service."""
    results = service.post("/objects/delete", json={"keys": [key, key.replace(".mp3", ".flac")]}).json()["results"]
    assert [result["status"] for result in results] == ["deleted", "deleted"]


@pytest.mark.parametrize("delete", [by_owner, by_service, in_bulk])
@pytest.mark.parametrize("content", [OTHER, mp3()], ids=["other bytes", "the same bytes"])
def test_seq01_deletion_is_final(
    broker: Broker, delete: Callable[[httpx2.Client, httpx2.Client, str], None], content: bytes
) -> None:
    """SEQ01, SEQ02: After a deletion the PUT URL, which is still valid, meets the tombstone."""
    with broker.client() as owner, broker.client("backend", scope="broker:service") as service:
        upload = uploaded(owner, mp3())
        key = confirm(owner, upload).json()["key"]
        delete(owner, service, key)
        assert put(upload, content).status_code == 412
        for client in (owner, service):
            assert refusal(confirm(client, upload)) == GONE
        assert owner.get(f"/uploads/{upload['uploadId']}").json()["status"] == "deleted"
        assert owner.get(f"/objects/{key}").status_code == 404
        link = owner.get(f"/downloads/{key}").json()["url"]
    assert httpx2.get(link, trust_env=False, verify=NO_TLS).status_code == 404


def test_seq01_abort_is_final(broker: Broker) -> None:
    """SEQ01: An abort before or after the PUT is final."""
    with broker.client() as client:
        for upload in (create(client, mp3()), uploaded(client, mp3())):
            assert client.delete(f"/uploads/{upload['uploadId']}").status_code == 204
            assert put(upload, mp3()).status_code == 412
            assert refusal(confirm(client, upload)) == GONE


def test_seq02_retried_create_restores_nothing(broker: Broker) -> None:
    """SEQ02: A create with the Idempotency-Key of a deleted upload names the deleted upload."""
    retried: dict[str, Any] = {"headers": {"Idempotency-Key": "take-down"}}
    with broker.client("user-seq02") as owner:
        upload = create(owner, mp3(), **retried)
        put(upload, mp3())
        key = confirm(owner, upload).json()["key"]
        assert owner.delete(f"/objects/{key}").status_code == 204
        again = create(owner, mp3(), **retried)
        assert staged_key(again) == staged_key(upload)
        assert put(again, mp3()).status_code == 412
        assert refusal(confirm(owner, again)) == GONE


def replace_staged(s3: "S3Client", upload: dict[str, Any], content: bytes, **options: Any) -> None:
    """Replace the staged object, as with a store that checks no signed header."""
    s3.put_object(Bucket=BUCKET, Key=staged_key(upload), Body=content, ContentType="audio/mpeg", **options)


def test_seq03_receipt_states_the_stored_checksum(broker: Broker, s3: "S3Client") -> None:
    """SEQ03: A receipt has a SHA-256 only with evidence, and a different checksum is a mismatch."""
    with broker.client() as client:
        track = confirm(client, uploaded(client, mp3(), sha256=digest(mp3()))).json()
        assert (b64decode(track["sha256"]).hex(), track["sha256Evidence"]) == (digest(mp3()), "store")

        unproven = uploaded(client, mp3(), sha256=digest(mp3()))
        replace_staged(s3, unproven, OTHER)
        responses = [confirm(client, unproven).json() for _ in range(2)]
        assert [(response["sha256"], response["sha256Evidence"]) for response in responses] == [(None, None)] * 2
        assert responses[0] == responses[1]

        wrong = uploaded(client, mp3(), sha256=digest(mp3()))
        replace_staged(s3, wrong, OTHER, ChecksumAlgorithm="SHA256")
        assert refusal(confirm(client, wrong)) == (409, "checksum_mismatch")


@dataclass
class Race:
    """An upload with a confirm in flight at another process, one request or response of which is delayed."""

    upload: dict[str, Any]
    late: Future[httpx2.Response]
    go: threading.Event

    @property
    def key(self) -> str:
        """The key of the ready object."""
        return staged_key(self.upload).replace("incoming/", "media/")

    def end(self) -> httpx2.Response:
        """Release the delayed message; return the response to the confirm."""
        self.go.set()
        return self.late.result()


Delayed = Callable[..., AbstractContextManager[Race]]


@pytest.fixture
def delayed(tmp_path: Path, environment: dict[str, str], broker: Broker, store: SeaweedFS) -> Delayed:
    """Return a function that starts a confirm at a second process with a delayed message to or from the store."""

    @contextmanager
    def start(fits: Callable[[RequestCycle], bool], *, response: bool = False) -> Iterator[Race]:
        address, go = urlsplit(store.endpoint), threading.Event()
        with (
            FaultProxy(address.hostname or "", address.port or 0) as proxy,
            Broker(tmp_path, {**environment, "R2_ENDPOINT": proxy.endpoint}) as slow,
            slow.client() as client,
            broker.client() as fast,
            ThreadPoolExecutor(1) as pool,
        ):
            upload = uploaded(fast, mp3())
            fault = proxy.next(Fault(fits, answer_held=go) if response else Fault(fits, held=go))
            late = pool.submit(confirm, client, upload)
            assert fault.happened.wait(20)
            try:
                yield Race(upload, late, go)
            finally:
                go.set()

    return start


def reads_staged(exchange: RequestCycle) -> bool:
    """Return whether this is a read of a staged object."""
    return exchange.method == "GET" and "/incoming/" in exchange.path


def copies(exchange: RequestCycle) -> bool:
    """Return whether this is a CopyObject."""
    return exchange.method == "PUT" and "x-amz-copy-source" in exchange.headers


def test_seq07_delayed_read_replaces_nothing(delayed: Delayed, broker: Broker) -> None:
    """SEQ07: A confirm whose first read was delayed does not replace the ready object."""
    with delayed(reads_staged) as race, broker.client() as client:
        track = confirm(client, race.upload).json()
        assert refusal(client.delete(f"/uploads/{race.upload['uploadId']}")) == (409, "upload_confirmed")
        assert put(race.upload, OTHER).status_code == 412
        response = race.end()
        assert (response.status_code, response.json()["etag"]) == (200, track["etag"])
        assert served(client, track["key"]) == mp3()


def test_seq07_delayed_read_meets_the_tombstone(delayed: Delayed, broker: Broker) -> None:
    """SEQ07: A confirm whose first read was delayed finds the tombstone of an abort."""
    with delayed(reads_staged) as race, broker.client() as client:
        assert client.delete(f"/uploads/{race.upload['uploadId']}").status_code == 204
        assert put(race.upload, OTHER).status_code == 412
        assert refusal(race.end()) == GONE


def test_seq08_delete_does_not_reveal_keys(broker: Broker) -> None:
    """SEQ08: Unknown keys, another user's keys and deleted keys return the same 404."""
    with broker.client("user-1") as owner, broker.client("user-2") as other:
        keys = [confirm(owner, uploaded(owner, mp3())).json()["key"] for _ in range(2)]
        assert owner.delete(f"/objects/{keys[1]}").status_code == 204
        unknown = "media/00000000-0000-4000-8000-000000000000.mp3"
        responses = [
            [comparable(other.request(method, f"/objects/{key}")) for key in (unknown, *keys)]
            for method in ("DELETE", "GET", "HEAD")
        ]
        assert [len(set(row)) for row in responses] == [1, 1, 1]
        assert {row[0][0] for row in responses} == {404}
        assert [owner.delete(f"/objects/{keys[0]}").status_code for _ in range(2)] == [204, 404]


def comparable(response: httpx2.Response) -> tuple[int, str]:
    """Return the parts of a response that a client can compare: everything except the request's own id."""
    own = response.headers["x-request-id"]
    fields = sorted((name, value) for name, value in response.headers.items() if name not in ("x-request-id", "date"))
    return response.status_code, f"{fields} {response.text.replace(own, '')}"


def test_seq09_confirm_or_abort_wins(broker: Broker) -> None:
    """SEQ09: Of a concurrent confirm and abort one wins, and both responses agree."""
    with broker.client() as client, ThreadPoolExecutor(2) as pool:
        for number in range(20):
            upload = uploaded(client, mp3())
            path = f"/uploads/{upload['uploadId']}"
            calls = [("POST", f"{path}/confirm"), ("DELETE", path)]
            order = calls if number % 2 else calls[::-1]
            found = dict(zip(order, pool.map(lambda call: client.request(*call), order), strict=True))
            confirmed, aborted = (found[call] for call in calls)
            status = client.get(path).json()["status"]
            if confirmed.status_code == 200:
                assert (refusal(aborted), status) == ((409, "upload_confirmed"), "ready")
                assert served(client, confirmed.json()["key"]) == mp3()
            else:
                assert (refusal(confirmed), aborted.status_code, status) == (GONE, 204, "deleted")


def test_seq09_abort_precedes_a_later_copy(delayed: Delayed, broker: Broker) -> None:
    """SEQ09: A copy that reaches the store after an abort finds the tombstone."""
    with delayed(copies) as race, broker.client() as client:
        assert client.delete(f"/uploads/{race.upload['uploadId']}").status_code == 204
        assert refusal(race.end()) == GONE
        assert client.get(f"/objects/{race.key}").status_code == 404


def test_seq09_late_confirm_reports_the_deletion(delayed: Delayed, broker: Broker) -> None:
    """SEQ09: A confirm whose copy response arrives after a deletion returns 410."""
    with delayed(copies, response=True) as race, broker.client() as client:
        assert client.delete(f"/objects/{race.key}").status_code == 204
        assert refusal(race.end()) == GONE
        assert refusal(confirm(client, race.upload)) == GONE
        assert client.get(f"/objects/{race.key}").status_code == 404
