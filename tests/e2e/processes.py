"""The broker as a child process, as an operator runs it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import jwt

from tests.patience import A_DAY, PATIENCE
from tests.plain_http import NO_TLS
from tests.ports import free_port

JWT_SECRET = "an end-to-end secret of the tests, long enough"


def token(subject: str = "user-1", **claims: Any) -> str:
    """Return a bearer token that the broker accepts."""
    return jwt.encode({"sub": subject, "exp": int(time.time()) + A_DAY, **claims}, JWT_SECRET, algorithm="HS256")


def responds(port: int) -> bool:
    """Return whether a broker at the port responds."""
    url = f"http://127.0.0.1:{port}/healthz"
    try:
        return httpx2.get(url, timeout=1, trust_env=False, verify=NO_TLS).status_code == 200
    except httpx2.TransportError:
        return False


def inherited() -> dict[str, str]:
    """Return the variables that a child process needs: PATH, and those of coverage."""
    return {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}


BROKER = (sys.executable, "-m", "broker")

_IMPATIENT = """
import runpy
from broker.server import supervisor
supervisor.{constant} = {seconds}
runpy.run_module("broker", run_name="__main__", alter_sys=True)
"""


def impatient(constant: str, seconds: float) -> list[str]:
    """Return the command of a broker whose supervisor has a shorter waiting time."""
    return [sys.executable, "-c", _IMPATIENT.format(constant=constant, seconds=seconds)]


class Broker:
    """``broker serve`` with exactly the given environment and a secret for tokens; it is ready when entered.

    The secret is left out if the environment names a JWKS or a file with the secret. ``command`` runs the package
    in another way, ``log`` is the file for its output, and without ``counted`` its lines do not count as covered.
    ``inherits`` are descriptors that the process keeps.
    """

    inherits: tuple[int, ...] = ()

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *options: str,
        command: Sequence[str] = BROKER,
        log: Path | None = None,
        counted: bool = True,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._log = log or folder / f"broker-{self.port}.log"
        self._command = command
        path = {"PATH": os.environ["PATH"]}
        secret = {} if {"JWT_JWKS_URL", "JWT_SECRET_FILE"} & set(environment) else {"JWT_SECRET": JWT_SECRET}
        self._environment = {**(inherited() if counted else path), **environment, **secret}
        self._options = options

    def __enter__(self) -> Self:
        command = [*self._command, "serve", *self.place(), *self._options]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its workers can be ended with it
                pass_fds=self.inherits,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._end_by_force()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except BaseException:
            self._end_by_force()
            raise

    def place(self) -> list[str]:
        """Return the options by which it listens."""
        return ["--port", str(self.port)]

    def responds(self) -> bool:
        """Return whether it responds."""
        return responds(self.port)

    def kill(self) -> None:
        """Kill the process, as ``kill -9`` does."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def client(self, subject: str = "user-1", **claims: Any) -> httpx2.Client:
        """Return an HTTP client with a token of ``subject``."""
        headers = {"Authorization": f"Bearer {token(subject, **claims)}"}
        return httpx2.Client(
            base_url=f"{self.url}/api/v1", headers=headers, timeout=PATIENCE, trust_env=False, verify=NO_TLS
        )

    def written(self) -> str:
        """Return everything that the process wrote."""
        return self._log.read_text(encoding="utf-8") if self._log.is_file() else ""  # a device may have no end

    def lines(self, *, is_mixed: bool = False) -> list[dict[str, Any]]:
        """Return the log. Every line is JSON, unless it is mixed with messages of the command itself."""
        whole, _, _ = self.written().rpartition("\n")  # what follows is still being written
        return [json.loads(line) for line in whole.splitlines() if not (is_mixed and line.startswith("broker: "))]

    def requests(self, request_id: str, count: int) -> list[dict[str, Any]]:
        """Wait for ``count`` log lines with this request id. A line is written after its response."""
        deadline = time.monotonic() + PATIENCE
        while len(found := [line for line in self.lines() if line.get("requestId") == request_id]) < count:
            assert time.monotonic() < deadline, found
            time.sleep(0.02)  # between two checks of the log
        return found

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.responds():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)  # the broker needs the CPU
            assert self.process.returncode is None, self.written()
            assert time.monotonic() < deadline, self.written()

    def _end_by_force(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
