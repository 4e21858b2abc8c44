"""``curl --http2``, which offers an upgrade on a plain connection; ``--rate`` is its pause on one connection."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.processes import token

from . import plan
from .plan import Session
from .python_clients import API, put


def failures(session: Session, folder: Path) -> list[str]:
    """Create uploads in one run of curl, send their files, and confirm them in another; return the failures."""
    count = 2 if session.pause else session.uploads  # a pause is between two requests
    rate = ["--rate", _rate(session.pause)] if session.pause else []
    created = _run(rate, [("/uploads", plan.declaration())] * count, session, folder)
    failed = [f"{session}: create {status} {upload}"[:300] for status, upload in created if status != 201]
    uploads = [upload for status, upload in created if status == 201]
    failed += [f"{session}: PUT" for each in uploads if put(each["url"], each["headers"], plan.CONTENT) != 200]
    paths: list[tuple[str, Any]] = [(f"/uploads/{upload['uploadId']}/confirm", {}) for upload in uploads]
    confirmed = _run(rate, paths, session, folder)
    return failed + [f"{session}: confirm {status} {found}"[:300] for status, found in confirmed if status != 200]


def _rate(pause: float) -> str:
    """Return requests per hour, with at least the pause between their starts."""
    return f"{int(3600 / pause)}/h"


def _run(options: list[str], calls: list[tuple[str, Any]], session: Session, folder: Path) -> list[tuple[int, Any]]:
    """Run curl with all calls in order, which reuse one connection; return the status and document of each."""
    name = f"{session.url.rpartition(':')[2]}-{session.pause}"
    command = ["curl", "-sS", "--max-time", "60", *options]
    for number, (path, document) in enumerate(calls):
        command += ["--next"] if number else []
        command += ["-sS", "--http2", "-H", f"Authorization: Bearer {token()}", "-H", "Content-Type: application/json"]
        command += ["-d", json.dumps(document), "-w", "\\n%{http_code} %{num_connects}\\n", f"{session.url}{API}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    (folder / f"curl-{name}.err").write_text(done.stderr)
    lines = done.stdout.splitlines()
    found = [
        (int(status.split()[0]), json.loads(body) if body else done.stderr)
        for body, status in zip(lines[::2], lines[1::2], strict=False)
    ]
    return found + [(0, done.stderr)] * (len(calls) - len(found))
