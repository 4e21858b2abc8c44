"""``BROKER_KEEP_ALIVE`` of a broker process, with one worker and with several."""

import socket
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE

from .processes import Broker
from .test_process import NOWHERE

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_e04_idle_connection_ends_after_the_setting(tmp_path: Path, workers: str) -> None:
    """An idle connection ends after the period of the setting, and not before."""
    with (
        Broker(tmp_path, {**NOWHERE, "BROKER_KEEP_ALIVE": "2s"}, "--workers", workers) as broker,
        socket.create_connection(("127.0.0.1", broker.port), timeout=PATIENCE) as connection,
    ):
        connection.sendall(REQUEST)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        idle_since = time.monotonic()
        assert connection.recv(1) == b""
        assert time.monotonic() - idle_since > 1.5  # the period, less the time of the response
