"""What each client does: sessions on kept connections, with pauses, and the result of each upload.

A client program reads a plan as JSON from standard input, and writes one JSON line for each upload to standard output.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Final

from tests.e2e.processes import token
from tests.media import SAMPLES

CONTENT: Final = SAMPLES["audio/mpeg"]()
PAUSES: Final = (0.5, 1, 4.9, 5, 5.1, 10, 15, 30, 45, 59, 60, 65)
"""Seconds between the create of an upload and its confirm, on one connection."""

UPLOADS_WITHOUT_PAUSE: Final = 22
UPLOADS: Final = UPLOADS_WITHOUT_PAUSE + len(PAUSES)
"""Uploads of one client by one route."""

Call = Callable[[str, str, bytes], Any]
"""Sends a POST with a path, a media type and a body; returns the status and the JSON document."""


@dataclass(frozen=True)
class Session:
    """Uploads one after the other by one client object, which keeps its connection."""

    route: str
    url: str
    pause: float
    uploads: int


def sessions(routes: Mapping[str, str]) -> list[Session]:
    """Return the sessions of one client by all routes."""
    return [
        Session(route, url, pause, UPLOADS_WITHOUT_PAUSE if pause == 0 else 1)
        for route, url in routes.items()
        for pause in (0, *PAUSES)
    ]


def plan(routes: Mapping[str, str]) -> str:
    """Return the plan of a client program."""
    return json.dumps(
        {
            "token": token(),
            "file": declaration(),
            "content": CONTENT.hex(),
            "sessions": [asdict(session) for session in sessions(routes)],
        }
    )


def declaration() -> dict[str, Any]:
    """Return the file that every upload declares."""
    return {"filename": "a.mp3", "contentType": "audio/mpeg", "size": len(CONTENT)}


def run(
    all_sessions: Sequence[Session],
    connect: Callable[[str], tuple[Call, Callable[[], object]]],
    put: Callable[[str, dict[str, str], bytes], int],
) -> list[str]:
    """Run sessions at once in threads; return the failures. ``connect`` returns a call, and how to close it."""

    def one(session: Session) -> list[str]:
        call, close = connect(session.url)
        try:
            return [*_failures(session, call, put)]
        finally:
            close()

    with ThreadPoolExecutor(len(all_sessions)) as pool:
        return [failure for found in pool.map(one, all_sessions) for failure in found]


def _failures(session: Session, call: Call, put: Callable[[str, dict[str, str], bytes], int]) -> Iterator[str]:
    for _ in range(session.uploads):
        try:
            status, upload = call("/uploads", "application/json", json.dumps(declaration()).encode())
            assert status == 201, (status, upload)
            assert put(upload["url"], upload["headers"], CONTENT) == 200
            time.sleep(session.pause)
            status, confirmed = call(f"/uploads/{upload['uploadId']}/confirm", "application/json", b"{}")
            assert (status, confirmed["status"]) == (200, "ready"), (status, confirmed)
        except Exception as error:  # noqa: BLE001  every kind of failure counts
            yield f"{session.route}, pause of {session.pause} s: {type(error).__name__}: {error}"[:300]
