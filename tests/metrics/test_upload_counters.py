"""The metrics of uploads, through the use cases and through the routes of all clients."""

import asyncio
from typing import Any, NamedTuple

import pytest
from msgspec import structs
from starlette.testclient import TestClient

from broker import settings
from broker.core.limits import MIB
from broker.core.quota import PARTITIONS
from broker.core.upload_rules import Declaration
from broker.error_codes import Code
from broker.errors import (
    BrokerError,
    ContentMismatchError,
    InvalidRequestError,
    NotUploadedError,
    PartsMissingError,
    RateLimitedError,
    StorageUnavailableError,
    TooLargeError,
    UnsupportedTypeError,
    UploadDeletedError,
    UploadExpiredError,
)
from broker.metrics.families import upload_families
from broker.metrics.upload_counters import DELAYS, UploadMetrics
from broker.service import deletion
from broker.service.assembly import Observers, assemble
from broker.service.observer import REFUSALS, report_refusal
from broker.service.rate_limit import RateLimit
from broker.web.app import create_app
from tests.service.deployment import DECLARED, MP3, SERVICE, USER, Deployment
from tests.service.test_proxied_uploads import arriving, stored
from tests.small_files import mp3
from tests.stores.memory import MemoryObjectStore
from tests.web import uppy
from tests.web.application import ENVIRONMENT, token
from tests.web.forms import TYPE, file_part, form

from .scrapes import Samples, named, samples_of

IN_PARTS = structs.replace(DECLARED, size=20 * MIB)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let deletions wait for no copies."""
    monkeypatch.setattr(deletion, "COPY_GRACE", 0)


class Counted(NamedTuple):
    """A deployment, and the metrics of its uploads."""

    deployment: Deployment
    metrics: UploadMetrics

    def value(self, name: str, **labels: str) -> float:
        """Return the value of one metric."""
        return self.all()[named(f"broker_{name}", **labels)]

    def all(self) -> Samples:
        """Return all values."""
        return samples_of(upload_families(self.metrics))

    def changed(self) -> dict[str, float]:
        """Return the counters that are not zero, without buckets, each by its name and its label's value."""
        return {
            " ".join([name.removeprefix("broker_"), *(value for _, value in labels)]): value
            for (name, labels), value in self.all().items()
            if value and not name.endswith(("_bucket", "_created"))
        }


def counted(**environment: str) -> Counted:
    """Return a deployment whose uploads are counted."""
    metrics = UploadMetrics()
    return Counted(Deployment(environment, observers=Observers(metrics)), metrics)


async def refused(kind: type[BrokerError], work: Any) -> None:
    """Await ``work``, which must be refused with an error of ``kind``."""
    with pytest.raises(kind):
        await work


def test_all_labels_exist_at_the_start() -> None:
    """Every counter of uploads is zero at the start, so that Prometheus sees its first increase."""
    found = counted()
    assert set(found.all().values()) == {0}
    assert {found.value("uploads_refused_total", code=kind.code) for kind in REFUSALS} == {0}
    assert {found.value("uploads_created_total", method=method) for method in ("put", "multipart", "form")} == {0}
    assert {found.value("rate_limited_total", by=by) for by in PARTITIONS} == {0}


async def test_created_uploads_count_by_method() -> None:
    """Each upload of a create counts, by its method."""
    found = counted()
    await found.deployment.create()
    await found.deployment.create_many([DECLARED, IN_PARTS, DECLARED])
    assert found.changed() == {"uploads_created_total put": 3, "uploads_created_total multipart": 1}


async def test_first_confirm_counts_once() -> None:
    """The first confirm counts with its bytes and its delay; repeated and concurrent confirms do not count."""
    found = counted()
    created = await found.deployment.create()
    found.deployment.put(created)
    found.deployment.now += 7
    confirms = [found.deployment.confirm(created.upload_id, principal) for principal in (USER, SERVICE, USER)]
    await asyncio.gather(*confirms)
    await found.deployment.confirm(created.upload_id)
    assert found.changed() == {
        "uploads_created_total put": 1,
        "uploads_confirmed_total": 1,
        "confirmed_bytes_total": len(MP3),
        "confirm_delay_seconds_count": 1,
        "confirm_delay_seconds_sum": 7,
    }
    counts = [found.value("confirm_delay_seconds_bucket", le=str(bound)) for bound in DELAYS]
    assert counts == [bound >= 7 for bound in DELAYS]


async def test_confirm_of_another_process_does_not_count() -> None:
    """An upload that another process confirms at the same time counts there."""
    found = counted()
    created = await found.deployment.create()
    found.deployment.put(created)
    store, copy = found.deployment.store, found.deployment.store.copy

    async def copied_by_another(*arguments: Any, **options: Any) -> None:
        await copy(*arguments, **options)

    store.copy = copied_by_another  # type: ignore[method-assign]  # one call of the store
    await found.deployment.confirm(created.upload_id)
    assert "uploads_confirmed_total" not in found.changed()


async def test_batch_of_confirms_counts_each() -> None:
    """Each item of a batch confirm counts by its own result."""
    found = counted()
    good, late, missing = [await found.deployment.create() for _ in range(3)]
    found.deployment.put(good)
    found.deployment.put(late, b"not audio", content_type="audio/mpeg")
    uploads = [good.upload_id, late.upload_id, missing.upload_id, "unknown"]
    await found.deployment.services.uploads.confirm_many(USER, uploads)
    assert found.value("uploads_confirmed_total") == 1
    assert found.value("uploads_refused_total", code="size_mismatch") == 1
    assert found.value("uploads_refused_total", code="not_uploaded") == 1
    assert sum(found.metrics.refused_by.values()) == 2


@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        (UnsupportedTypeError, [structs.replace(DECLARED, content_type="text/html", filename="a.html")]),
        (TooLargeError, [structs.replace(DECLARED, size=2**60)] * 3),
    ],
)
def test_refused_creates_count_each_file(kind: type[BrokerError], declared: list[Declaration]) -> None:
    """A refused create counts each file that the error names, by its code."""
    found = counted(UPLOAD_MAX_BYTES="30MiB")
    with pytest.raises(kind):
        found.deployment.services.uploads.accept([DECLARED, *declared], batch=True)
    assert found.changed() == {f"uploads_refused_total {kind.code}": len(declared)}


def test_invalid_create_is_not_a_refusal() -> None:
    """A create that breaks a rule of the API does not count as a refusal of an upload."""
    found = counted()
    with pytest.raises(InvalidRequestError):
        found.deployment.services.uploads.accept([structs.replace(DECLARED, size=0)], batch=False)
    assert found.changed() == {}


async def test_refused_confirms_count_by_code() -> None:
    """A refused confirm counts by the code of its error, and the same confirm again counts again."""
    found = counted()
    deployment = found.deployment
    uploads = deployment.services.uploads
    created, parts = await deployment.create(), await deployment.create(IN_PARTS)
    await refused(NotUploadedError, deployment.confirm(created.upload_id))
    await refused(NotUploadedError, deployment.confirm(created.upload_id))
    await refused(PartsMissingError, deployment.confirm(parts.upload_id))
    deployment.put(created, b"<" * len(MP3))
    await refused(ContentMismatchError, deployment.confirm(created.upload_id))
    await uploads.abort(USER, parts.upload_id)
    await refused(UploadDeletedError, deployment.confirm(parts.upload_id))
    deployment.store.failing.add("head")
    await refused(StorageUnavailableError, deployment.confirm(created.upload_id))
    codes = {code: count for code, count in found.metrics.refused_by.items() if count}
    assert codes == {"not_uploaded": 2, "parts_missing": 1, "content_mismatch": 1, "upload_deleted": 1}


async def test_refused_retry_of_create_counts() -> None:
    """A create in parts that is retried after the deletion of its upload counts as refused."""
    found = counted()
    uploads = found.deployment.services.uploads
    (created,) = await found.deployment.create_many([IN_PARTS], idempotency_key="a")
    await uploads.abort(USER, created.upload_id)
    await refused(UploadDeletedError, found.deployment.create_many([IN_PARTS], idempotency_key="a"))
    assert found.value("uploads_refused_total", code="upload_deleted") == 1
    assert found.value("uploads_created_total", method="multipart") == 1


async def test_expired_uploads_count() -> None:
    """A status and a confirm of an expired upload count, the confirm as refused too."""
    found = counted(UPLOAD_LIFETIME="1h")
    created, parts = await found.deployment.create(), await found.deployment.create(IN_PARTS)
    found.deployment.store.multiparts.clear()  # by the bucket's lifecycle rule
    await found.deployment.services.uploads.progress(USER, parts.upload_id)
    assert found.value("uploads_expired_total") == 1
    found.deployment.now += 3601
    await found.deployment.services.uploads.progress(USER, created.upload_id)
    await refused(UploadExpiredError, found.deployment.confirm(created.upload_id))
    assert found.value("uploads_expired_total") == 3
    assert found.value("uploads_refused_total", code="upload_expired") == 1


async def test_deletions_count() -> None:
    """Aborts and deletions count: the repeated abort does not, and of a list those keys that were deleted."""
    found = counted()
    deployment = found.deployment
    created = await deployment.create()
    for _ in range(2):
        await deployment.services.uploads.abort(USER, created.upload_id)
    assert found.value("uploads_deleted_total") == 1
    keys = [await deployment.ready() for _ in range(4)]
    await deployment.services.objects.delete(USER, keys[0])
    assert found.value("uploads_deleted_total") == 2
    deployment.store.undeletable.add(keys[1])
    await deployment.services.objects.delete_many(SERVICE, [*keys[1:], keys[2]])
    assert found.value("uploads_deleted_total") == 4


async def test_refused_calls_of_rate_limit_count() -> None:
    """Each refusal by a user's rate limit counts."""
    found = counted(BROKER_RATE_LIMIT="1")
    limit: RateLimit = found.deployment.services.rate_limit
    await limit.spend(USER)
    for _ in range(2):
        with pytest.raises(RateLimitedError):
            await limit.spend(USER)
    assert found.changed() == {"rate_limited_total principal": 2}


async def test_files_of_forms_count() -> None:
    """A file of a form counts as created, as confirmed once all are stored, and as refused with its error."""
    found = counted()
    await stored(found.deployment, arriving(MP3), arriving(MP3), alone=False)
    assert found.changed() == {
        "uploads_created_total form": 2,
        "uploads_confirmed_total": 2,
        "confirmed_bytes_total": 2 * len(MP3),
    }
    await refused(ContentMismatchError, stored(found.deployment, arriving(b"<html>")))
    await refused(UnsupportedTypeError, stored(found.deployment, arriving(b"", content_type="text/html", filename="a")))
    assert found.value("uploads_created_total", method="form") == 3
    assert found.value("uploads_confirmed_total") == 2
    assert found.value("uploads_refused_total", code="content_mismatch") == 1
    assert found.value("uploads_refused_total", code="unsupported_type") == 1


async def test_form_without_files_does_not_count() -> None:
    """A form that ends without a file counts as nothing."""
    found = counted()
    await stored(found.deployment)
    assert found.changed() == {}


def test_other_errors_are_not_refusals() -> None:
    """An error that is not about an upload is not reported."""
    metrics = UploadMetrics()
    report_refusal(metrics, ValueError())
    report_refusal(metrics, StorageUnavailableError("a reason"))
    report_refusal(None, NotUploadedError("a detail"))
    assert not any(metrics.refused_by.values())


class Faces(NamedTuple):
    """A client of all routes, its store, and the metrics of its uploads."""

    user: TestClient
    store: MemoryObjectStore
    metrics: UploadMetrics


@pytest.fixture
def faces() -> Faces:
    """Return a client whose uploads are counted."""
    store, metrics = MemoryObjectStore(), UploadMetrics()
    configured = settings.parse({**ENVIRONMENT, "UPLOAD_ROUTES": "tracks"})
    app = create_app(assemble(configured, store=store, observers=Observers(metrics)))
    return Faces(TestClient(app, headers={"Authorization": f"Bearer {token()}"}), store, metrics)


def test_uploads_of_uppy_count(faces: Faces) -> None:
    """Uploads of Uppy count as created, confirmed and refused; so does a deleted one whose parts are listed."""
    upload = uppy.created(faces.user)
    assert uppy.complete(faces.user, upload).status_code == 409
    uppy.send(faces.store, 1, 2, 3)
    assert uppy.complete(faces.user, upload).status_code == 200
    assert faces.metrics.created_by == {"put": 0, "multipart": 1, "form": 0}
    assert (faces.metrics.confirmed_count, faces.metrics.confirmed_bytes) == (1, uppy.SIZE)
    other = uppy.created(faces.user)
    faces.user.delete(uppy.path(other))
    assert faces.user.get(uppy.path(other)).status_code == 410
    assert (faces.metrics.deleted_count, faces.metrics.refused_by[Code.UPLOAD_DELETED]) == (1, 1)


def test_uploads_of_other_clients_count(faces: Faces) -> None:
    """Uploads of better-upload's client and of JamSync's forms count, and refused ones too."""
    file = {"name": "song.mp3", "size": 9, "type": "audio/mpeg"}
    faces.user.post("/api/upload", json={"route": "tracks", "files": [file, file]})
    faces.user.post("/api/upload", json={"route": "tracks", "files": [{**file, "type": "text/html", "name": "a.html"}]})
    for body in (mp3(100), b"<html>"):
        headers = {"Content-Type": TYPE}
        faces.user.post("/api/v1/uploads/media", content=form(file_part(body)), headers=headers)
    assert faces.metrics.created_by == {"put": 0, "multipart": 2, "form": 2}
    assert (faces.metrics.confirmed_count, faces.metrics.confirmed_bytes) == (1, len(mp3(100)))
    refusals = {code.value: count for code, count in faces.metrics.refused_by.items() if count}
    assert refusals == {"unsupported_type": 1, "content_mismatch": 1}


def test_unsupported_body_is_not_a_refusal(faces: Faces) -> None:
    """A body of another media type than that of a form is not an upload of an unsupported type."""
    response = faces.user.post("/api/v1/uploads/media", content=b"x", headers={"Content-Type": "text/plain"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_type")
    assert not any(faces.metrics.refused_by.values())
