"""Existing uploads and objects of two users, and valid tokens, for the fuzzer to start from."""

import time
from dataclasses import dataclass, replace

from tests.e2e.processes import Broker, token
from tests.e2e.steps import create, mp3, ready, uploaded

LONG = 86_400
"""Lifetime of a token in seconds: longer than a run."""


@dataclass(frozen=True, slots=True)
class Known:
    """Upload ids, keys, and URLs that contain keys."""

    upload_ids: tuple[str, ...] = ("x" * 120,)
    keys: tuple[str, ...] = ("media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3",)
    urls: tuple[str, ...] = ("https://cdn.example/media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3",)


def created(broker: Broker) -> Known:
    """Create uploads of two users: without bytes, with bytes, confirmed, and multipart."""
    upload_ids, keys, urls = [], [], []
    for subject in ("user-1", "user-2"):
        with broker.client(subject) as client:
            upload_ids.append(create(client, mp3())["uploadId"])
            upload_ids.append(uploaded(client, mp3())["uploadId"])
            upload_ids.append(create(client, mp3(), multipart=True)["uploadId"])
            keys.append(ready(client, mp3())["key"])
            urls.append(client.get(f"/downloads/{keys[-1]}").json()["url"])
    return Known(tuple(upload_ids), tuple(keys), (*urls, *(url.partition("?")[0] for url in urls)))


def created_without_store(broker: Broker) -> Known:
    """Create uploads without a store; the key has no object."""
    with broker.client() as client:
        return replace(Known(), upload_ids=tuple(create(client, mp3())["uploadId"] for _ in range(3)))


def principals() -> tuple[str, str]:
    """Return the Authorization fields of a user and of a service."""
    until = int(time.time()) + LONG
    return f"Bearer {token(exp=until)}", f"Bearer {token('backend', scope='broker:service', exp=until)}"
