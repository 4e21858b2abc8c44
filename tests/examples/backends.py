"""The backends of the examples as processes."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.processes import JWT_SECRET, token
from tests.npm import NODE
from tests.patience import PATIENCE, until
from tests.plain_http import NO_TLS
from tests.ports import free_port
from tests.python_environments import install

from .conftest import EXAMPLES, copied


def fastapi(_folder: Path, port: int) -> tuple[Path, list[str]]:
    """Return the folder and the command of the backend with FastAPI."""
    here = EXAMPLES / "fastapi"
    return here, [str(install(here) / "uvicorn"), "app:app", "--port", str(port)]


def django(_folder: Path, port: int) -> tuple[Path, list[str]]:
    """Return the folder and the command of the backend with Django."""
    here = EXAMPLES / "django"
    return here, [str(install(here) / "python"), "app.py", "runserver", "--noreload", str(port)]


def node(folder: Path, _port: int) -> tuple[Path, list[str]]:
    """Return the folder and the command of the backend with Node.js."""
    return copied("node", folder), [str(NODE), "server.js"]


BACKENDS: dict[str, Callable[[Path, int], tuple[Path, list[str]]]] = {
    "fastapi": fastapi,
    "django": django,
    "node": node,
}


class Backend:
    """A backend that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, body: Any, *, user: str = "user-1") -> httpx2.Response:
        """Send a request of a user."""
        headers = {"Authorization": f"Bearer {token(user)}"}
        return httpx2.post(
            self.url + path, json=body, headers=headers, timeout=PATIENCE, trust_env=False, verify=NO_TLS
        )

    def responds(self) -> bool:
        """Return whether the backend responds."""
        try:
            httpx2.get(self.url, timeout=1, trust_env=False, verify=NO_TLS)
        except httpx2.TransportError:
            return False
        return True


@contextmanager
def running(name: str, folder: Path, broker_url: str) -> Iterator[Backend]:
    """Run a backend that uses the broker."""
    port, log = free_port(), folder / f"{name}.log"
    where, command = BACKENDS[name](folder, port)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "BROKER": broker_url,
        "SERVICE_TOKEN": token("backend", scope="broker:service"),
        "JWT_SECRET": JWT_SECRET,
        "PORT": str(port),
    }
    backend = Backend(f"http://127.0.0.1:{port}")
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=where, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: _alive(process, log) and backend.responds())
        yield backend
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _alive(process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    return True
