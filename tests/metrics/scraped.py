"""An application with metrics in this process, whose requests are counted and whose port can be scraped."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from broker import settings
from broker.cli.application import build
from broker.server.log_handler import JsonLogHandler
from broker.store.port import ObjectStore
from tests.web.application import ENVIRONMENT, UnusedStore, token


@contextmanager
def scraped(port: int, environment: Mapping[str, str] = {}, store: ObjectStore | None = None) -> Iterator[TestClient]:
    """Yield a client of an application whose metrics are on ``port``; without ``store`` no store may be called."""
    configured = settings.parse({**ENVIRONMENT, **environment, "BROKER_METRICS_PORT": str(port)})
    unused: Any = UnusedStore()
    with Path(os.devnull).open("wb") as null:
        app = build(configured, JsonLogHandler(null.fileno()), store=store or unused)
        headers = {"Authorization": f"Bearer {token()}"}
        with TestClient(app, headers=headers, raise_server_exceptions=False, follow_redirects=False) as client:
            yield client
