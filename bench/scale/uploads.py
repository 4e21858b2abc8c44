"""The requests of the benchmark's clients, and the servers that they use.

The broker runs as in ``bench.ours``, with one worker and the store of this benchmark. Tokens are created in advance.
"""

import asyncio
import contextlib
import json
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import jwt
import uvloop

from bench import ours
from bench.processes import Server, free_port, serving
from bench.wrk import Request

from .changed import Change, command
from .client import Client, Outcome
from .objects import KINDS
from .store import Behaviour, configure

T = TypeVar("T")
USERS = 2_000
LARGEST = {"UPLOAD_MAX_BYTES": str(max(kind.size for kind in KINDS.values()))}


@contextlib.contextmanager
def store(behaviour: Behaviour | None = None) -> Iterator[Server]:
    """Start a store with this behaviour."""
    port = free_port()
    with serving(ours.module("bench.scale.store", str(port)), port, ours.HERE) as server:
        configure(server, behaviour or Behaviour())
        yield server


def broker(
    of: Server, environment: Mapping[str, str] | None = None, *, change: tuple[Change, str] | None = None
) -> contextlib.AbstractContextManager[Server]:
    """Start a broker that uses this store, in a process with a ``change`` and its argument if there is one."""
    settings = {**ours.HERE, **ours.ENVIRONMENT, **LARGEST, "R2_ENDPOINT": of.url, **(environment or {})}
    return ours.broker(settings, started=command(*change) if change else None)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@cache
def users() -> Sequence[str]:
    """Return the tokens of ``USERS`` users."""
    return [ours.token(f"user-{number}") for number in range(USERS)]


@cache
def service() -> Sequence[str]:
    """Return the token of one service, as a list."""
    claims = jwt.decode(ours.token("backend"), options={"verify_signature": False})
    return [jwt.encode({**claims, "scope": "broker:service"}, ours.JWT_SECRET, algorithm="HS256")]


def create(bearer: str, extension: str = "mp3") -> Request:
    """Return the request that creates one upload."""
    kind = KINDS[extension]
    file = {"filename": f"song.{extension}", "contentType": kind.content_type, "size": kind.size}
    return ours.post("/api/v1/uploads", bearer, file)


def confirm(upload_id: str, bearer: str) -> Request:
    """Return the request that confirms an upload."""
    return Request(f"/api/v1/uploads/{upload_id}/confirm", "POST", {"Authorization": f"Bearer {bearer}"})


def status(upload_id: str, bearer: str) -> Request:
    """Return the request for the status of an upload."""
    return Request(f"/api/v1/uploads/{upload_id}", headers={"Authorization": f"Bearer {bearer}"})


async def created(client: Client, bearer: str, extension: str = "mp3") -> str:
    """Create an upload, and return its id. Raises ``RuntimeError`` for a status other than 201."""
    response = await client.send(create(bearer, extension))
    if response.status != 201:
        raise RuntimeError(f"The create returned {response.status}: {response.body.decode(errors='replace')}")
    return str(json.loads(response.body)["uploadId"])


async def uploaded(client: Client, bearer: str) -> Outcome:
    """Create and confirm an upload, and return the outcome of the confirm, or of a failed create."""
    made = await client.send(create(bearer))
    if made.status != 201:
        return made
    done = await client.send(confirm(json.loads(made.body)["uploadId"], bearer))
    return Outcome(done.status, done.body, made.sent, done.ended)
