"""The backends of the examples: FastAPI, Django and Node.js, each as a process."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import Broker, token
from tests.e2e.steps import confirm, create, mp3, uploaded

from .backends import BACKENDS, Backend, running
from .conftest import running_broker

pytestmark = pytest.mark.examples


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path, broker: Broker) -> Iterator[Backend]:
    """Run each backend."""
    with running(request.param, tmp_path, broker.url) as started:
        yield started


def test_backends_save_tracks(backend: Backend, broker: Broker) -> None:
    """A backend saves a track by its upload and by its receipt, and refuses those of another user."""
    with broker.client() as client:
        upload = uploaded(client, mp3())
        by_upload = backend.post("/tracks/by-upload", {"uploadId": upload["uploadId"]})
        track = confirm(client, upload).json()
        by_receipt = backend.post("/tracks/by-receipt", {"receipt": track["receipt"]})
    assert [by_upload.status_code, by_receipt.status_code] == [201, 201], by_upload.text + by_receipt.text
    assert by_upload.json() == by_receipt.json() == {"key": track["key"]}
    for path, body in (("upload", {"uploadId": upload["uploadId"]}), ("receipt", {"receipt": track["receipt"]})):
        assert backend.post(f"/tracks/by-{path}", body, user="user-2").status_code == 404


def test_backends_refuse_what_is_not_ready(backend: Backend, broker: Broker) -> None:
    """A backend passes on the broker's refusals, and refuses changed receipts and other tokens."""
    with broker.client() as client:
        pending = create(client, mp3())
        receipt = confirm(client, uploaded(client, mp3())).json()["receipt"]
    assert backend.post("/tracks/by-upload", {"uploadId": pending["uploadId"]}).status_code == 409
    assert backend.post("/tracks/by-upload", {"uploadId": "unknown"}).status_code == 404
    head, claims, signature = receipt.split(".")
    for changed in (f"{head}.{claims}.{signature[:-4]}AAAA", f"{head}.{claims}.", token(), "", "x"):
        assert backend.post("/tracks/by-receipt", {"receipt": changed}).status_code == 422, changed
    bodies: list[Any] = [{}, {"receipt": None}, [], "x"]
    for body in bodies:
        assert backend.post("/tracks/by-receipt", body).status_code == 422, body


def test_receipts_are_verified_offline(tmp_path: Path) -> None:
    """A backend that has the public keys verifies receipts after the broker has stopped."""
    with running_broker(tmp_path) as broker, broker.client() as client, ExitStack() as stack:
        first, second = (confirm(client, uploaded(client, mp3())).json()["receipt"] for _ in range(2))
        waiting = uploaded(client, mp3())["uploadId"]
        backends = {name: stack.enter_context(running(name, tmp_path, broker.url)) for name in BACKENDS}
        late = {name: stack.enter_context(running(name, tmp_path, broker.url)) for name in BACKENDS}
        before = [backend.post("/tracks/by-receipt", {"receipt": first}).status_code for backend in backends.values()]
        broker.kill()
        after = [backend.post("/tracks/by-receipt", {"receipt": second}).status_code for backend in backends.values()]
        confirmed = [backend.post("/tracks/by-upload", {"uploadId": waiting}).status_code for backend in late.values()]
        without_keys = [backend.post("/tracks/by-receipt", {"receipt": first}).status_code for backend in late.values()]
    assert before == after == [201] * len(BACKENDS)
    assert confirmed == without_keys == [503] * len(BACKENDS)
