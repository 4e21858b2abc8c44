"""The servers that the broker is compared with: their installation, their start commands, and the measured requests.

Each runs as one process on ``127.0.0.1``, in the configuration that its documentation gives for production. All
sign for the same account and bucket, which do not exist: signing needs no network. They get the same token as the
broker, except Companion, which gets none. None of them logs or counts its requests, as the broker does.
"""

import fcntl
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.wrk import Request
from tests import npm

HERE = Path(__file__).parent
VENV = HERE.parents[1] / ".bench" / "venv"
PYTHON = VENV / "bin" / "python"  # obstore is installed there, too

ACCOUNT = "0123456789abcdef0123456789abcdef"
STORE: Mapping[str, str] = {
    "R2_ACCOUNT_ID": ACCOUNT,
    "R2_ENDPOINT": f"https://{ACCOUNT}.r2.cloudflarestorage.com",
    "R2_ACCESS_KEY_ID": "0123456789abcdef0123456789abcdef",
    "R2_SECRET_ACCESS_KEY": "0123456789abcdef" * 4,
    "R2_BUCKET_NAME": "songs",
}
PRODUCTION: Mapping[str, str] = {**STORE, "NODE_ENV": "production"}
FILENAME, TYPE, SIZE = "song.mp3", "audio/mpeg", 8_123_456


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: its start command by port, its environment, and the measured request."""

    name: str
    command: Callable[[int], list[str]]
    environment: Mapping[str, str]
    request: Request


def tutorial(secret: str, token: str) -> Peer:
    """Return the tutorial: FastAPI, pydantic, PyJWT and boto3. PyJWT refuses a token with ``aud``."""
    return Peer(
        "FastAPI + boto3 tutorial",
        lambda port: uvicorn("tutorial:app", port),
        {**STORE, "JWT_SECRET": secret},
        _post("/uploads", token, {"filename": FILENAME, "contentType": TYPE, "size": SIZE}),
    )


def companion() -> Peer:
    """Return Uppy Companion. It checks no token, and signs a form instead of a PUT."""
    path = f"/s3/params?filename={FILENAME}&type={TYPE}"
    return Peer("Uppy Companion", _node("companion.mjs"), PRODUCTION, Request(path))


def better_upload(secret: str, token: str) -> Peer:
    """Return Better Upload on Hono, with jose."""
    files = [{"name": FILENAME, "size": SIZE, "type": TYPE}]
    return Peer(
        "better-upload on Hono, with jose",
        _node("better_upload.mjs"),
        {**PRODUCTION, "JWT_SECRET": secret},
        _post("/api/upload", token, {"route": "songs", "files": files}),
    )


def uvicorn(app: str, port: int) -> list[str]:
    """Return the command that serves an application of this folder."""
    options = ["--app-dir", str(HERE), "--loop", "uvloop", "--http", "httptools"]
    quiet = ["--no-access-log", "--log-level", "error"]
    return [str(PYTHON), "-m", "uvicorn", app, "--port", str(port), *options, *quiet]


def set_up() -> None:
    """Install all peers, once for each state of their lock files."""
    _install(HERE / "requirements.lock")
    npm.install(HERE)


def _node(script: str) -> Callable[[int], list[str]]:
    return lambda port: [str(npm.NODE), str(HERE / script), str(port)]


def _post(path: str, token: str, document: Mapping[str, object]) -> Request:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return Request(path, "POST", headers, json.dumps(document))


def _install(requirements: Path) -> None:
    """Install the lock into a virtual environment. Concurrent processes wait for each other."""
    stamp = VENV / ".installed"
    with requirements.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = hashlib.sha256(lock.read()).hexdigest()
        if stamp.is_file() and stamp.read_text() == digest:
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "--no-deps", "--requirement", str(requirements)], check=True)
        stamp.write_text(digest)
