"""A broker that dies, and a store that does not respond."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from broker.cli.seaweedfs import SeaweedFS
from broker.store.timeouts import DEFAULT_TIMEOUTS
from tests.patience import SLACK

from .processes import Broker
from .steps import confirm, create, fetch, mp3, put, ready, served, uploaded


def test_another_process_confirms_after_a_kill(tmp_path: Path, environment: dict[str, str]) -> None:
    """An upload that a killed process created is confirmed by another process."""
    with Broker(tmp_path, environment) as first, first.client() as client:
        upload = create(client, mp3())
        first.kill()
    assert put(upload, mp3()).status_code == 200
    with Broker(tmp_path, environment) as second, second.client() as client:
        track = confirm(client, upload)
        assert track.status_code == 200
        assert served(client, track.json()["key"]) == mp3()


def test_two_processes_give_the_same_response(tmp_path: Path, environment: dict[str, str], broker: Broker) -> None:
    """Two processes confirm one upload with the same response."""
    with Broker(tmp_path, environment) as second, second.client() as second_client, broker.client() as first_client:
        upload = uploaded(first_client, mp3())
        assert confirm(first_client, upload).json() == confirm(second_client, upload).json()


def test_two_workers_serve_and_stop(tmp_path: Path, environment: dict[str, str]) -> None:
    """Two workers serve one port, and both shut down cleanly."""
    with Broker(tmp_path, environment, "--workers", "2") as pair, pair.client() as client:
        assert ready(client, mp3())["status"] == "ready"
    assert pair.process.returncode == 0
    assert [line.get("message") for line in pair.lines()].count("Application shutdown complete.") == 2


@contextmanager
def stopped(store: SeaweedFS) -> Iterator[None]:
    """Stop the store's process: connections are refused."""
    store.stop()
    try:
        yield
    finally:
        store.start()


@contextmanager
def frozen(store: SeaweedFS) -> Iterator[None]:
    """Freeze the store's process: it accepts connections and does not respond."""
    store.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        store.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("fault", [stopped, frozen])
def test_without_the_store_signing_still_works(
    broker: Broker, store: SeaweedFS, fault: Callable[[SeaweedFS], AbstractContextManager[None]]
) -> None:
    """Without the store, signing still works, and other calls return 503 within their deadline."""
    with broker.client() as client:
        waiting = uploaded(client, mp3())
        key = ready(client, mp3())["key"]
        with fault(store):
            created = create(client, mp3())
            assert client.get(f"/downloads/{key}").status_code == 200
            requests: list[tuple[str, str]] = [
                ("POST", f"/uploads/{waiting['uploadId']}/confirm"),
                ("GET", f"/uploads/{waiting['uploadId']}"),
                ("GET", f"/objects/{key}"),
                ("DELETE", f"/objects/{key}"),
            ]
            for method, path in requests:
                began = time.monotonic()
                response = client.request(method, path)
                assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")
                assert int(response.headers["retry-after"]) >= 1
                assert time.monotonic() - began < DEFAULT_TIMEOUTS.total + SLACK
            ready_state = fetch(f"{broker.url}/readyz")
            assert (ready_state.status_code, ready_state.json()["checks"]["store"]) == (503, "storage_unavailable")
            assert fetch(f"{broker.url}/healthz").status_code == 200
        assert recovers(lambda: confirm(client, waiting).status_code == 200)
        assert put(created, mp3()).status_code == 200
        assert confirm(client, created).status_code == 200
        assert served(client, key) == mp3()


def recovers(works: Callable[[], bool]) -> bool:
    """Return whether ``works`` succeeds within half a minute."""
    deadline = time.monotonic() + 30
    while not works():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)  # between two attempts
    return True


def test_service_starts_without_store_settings(tmp_path: Path) -> None:
    """Without store settings the service starts, logs one warning and refuses uploads with 503."""
    with Broker(tmp_path, {"R2_BUCKET_NAME": "songs"}) as bare, bare.client() as client:
        response = client.post("/uploads", json={})
        ready_state = fetch(f"{bare.url}/readyz")
        status = client.get("/uploads/status").json()
    warnings = [line["message"] for line in bare.lines() if line["event"] == "broker.warning_raised"]
    assert len(warnings) == 1
    assert "R2_ACCESS_KEY_ID" in warnings[0]
    assert "R2_BUCKET_NAME" not in warnings[0]
    assert (response.status_code, response.json()["code"]) == (503, "storage_not_configured")
    assert "R2_SECRET_ACCESS_KEY" in response.json()["message"]
    assert ready_state.status_code == 503
    assert (status["r2Configured"], status["provider"]) == (False, "none")
