"""A broker or several replicas under a load of whole uploads, while secrets are replaced."""

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx2

from tests.e2e.processes import Broker
from tests.e2e.steps import create, mp3, put
from tests.e2e.test_process import workers
from tests.patience import PATIENCE, until

T = TypeVar("T")

CLIENTS = 2
"""Clients that upload at the same time."""

Replicas = Callable[[], Sequence[Broker]]
"""Returns the brokers that a load balancer has at this moment."""


@dataclass
class Uploads:
    """The uploads of the load: the number of those that were confirmed, and what went wrong with the others."""

    confirmed: list[int] = field(default_factory=lambda: [0] * CLIENTS)
    failures: list[str] = field(default_factory=list)

    def advance(self, count: int) -> None:
        """Wait until each client has confirmed so many more uploads, beside the one in progress."""
        before = list(self.confirmed)
        until(
            lambda: self.failures or all(now > then + count for now, then in zip(self.confirmed, before, strict=True))
        )


@contextmanager
def uploading(replicas: Replicas) -> Iterator[Uploads]:
    """Upload files one after another. A replica creates, and the next one confirms, as behind a load balancer."""
    found, stopped = Uploads(), threading.Event()

    def upload_all(number: int) -> None:
        turns = itertools.count(number)
        while not stopped.is_set():
            try:
                upload = _once(replicas, next(turns), lambda client: create(client, mp3()))
                assert put(upload, mp3()).status_code == 200, "the PUT"
                path = f"/uploads/{upload['uploadId']}/confirm"
                response = _once(replicas, next(turns), lambda client, path=path: client.post(path))  # type: ignore[misc]  # a lambda's default
                assert response.status_code == 200, response.text
            except Exception as error:  # noqa: BLE001  a failure of any kind is one of the upload
                found.failures.append(repr(error))
                stopped.wait(0.05)  # so that a broken broker does not fill the list
            else:
                found.confirmed[number] += 1

    threads = [threading.Thread(target=upload_all, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stopped.set()
        for thread in threads:
            thread.join(PATIENCE)


def _once(replicas: Replicas, turn: int, call: Callable[[httpx2.Client], T]) -> T:
    """Make a call at the replica whose turn it is; at the next one, if that has just stopped listening."""
    for attempt in range(5):
        running = replicas()
        try:
            with running[(turn + attempt) % len(running)].client() as client:
                return call(client)
        except httpx2.ConnectError:
            time.sleep(0.05)  # the load balancer has removed it by then
    raise ConnectionError("no replica listens")


def renew(broker: Broker) -> None:
    """Send SIGHUP to a broker with two workers, and wait until both are new ones that serve."""
    before = workers(broker)
    broker.process.send_signal(signal.SIGHUP)
    until(lambda: len(workers(broker)) == len(before) and not before & workers(broker))


def write(path: Path, secret: str) -> None:
    """Replace the text of a file at once, as secret stores do."""
    new = path.with_suffix(".new")
    new.write_text(secret, encoding="utf-8")
    new.replace(path)
