"""What the clients of this benchmark do: create an upload, confirm it, ask for links. Their tokens are made before.

The broker is the one that ``bench.ours`` starts, one worker, with the store of this benchmark behind it.
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
from .client import Answered, Client
from .objects import KINDS
from .store import Orders, tell

T = TypeVar("T")
USERS = 2_000
LARGEST = {"UPLOAD_MAX_BYTES": str(max(kind.size for kind in KINDS.values()))}


@contextlib.contextmanager
def store(orders: Orders | None = None) -> Iterator[Server]:
    """A store that follows these orders."""
    port = free_port()
    with serving(ours.module("bench.scale.store", str(port)), port, ours.HERE) as server:
        tell(server, orders or Orders())
        yield server


def broker(
    of: Server, environment: Mapping[str, str] | None = None, *, change: tuple[Change, str] | None = None
) -> contextlib.AbstractContextManager[Server]:
    """Ours, at this store; in a process with a ``change`` and its argument, if there is one."""
    settings = {**ours.ENVIRONMENT, **LARGEST, "R2_ENDPOINT": of.url, **(environment or {})}
    return ours.broker(settings, started=command(*change) if change else None)


def run(work: Coroutine[Any, Any, T]) -> T:
    """On a loop as fast as the broker's."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@cache
def users() -> Sequence[str]:
    """Tokens of many users."""
    return [ours.token(f"user-{number}") for number in range(USERS)]


@cache
def service() -> Sequence[str]:
    """The token of one service."""
    claims = jwt.decode(ours.token("backend"), options={"verify_signature": False})
    return [jwt.encode({**claims, "scope": "broker:service"}, ours.JWT_SECRET, algorithm="HS256")]


def create(bearer: str, extension: str = "mp3") -> Request:
    """One upload of a kind."""
    kind = KINDS[extension]
    file = {"filename": f"song.{extension}", "contentType": kind.content_type, "size": kind.size}
    return ours.post("/api/v1/uploads", bearer, file)


def confirm(ticket: str, bearer: str) -> Request:
    """One confirm."""
    return Request(f"/api/v1/uploads/{ticket}/confirm", "POST", {"Authorization": f"Bearer {bearer}"})


def look(ticket: str, bearer: str) -> Request:
    """A question for an upload's status."""
    return Request(f"/api/v1/uploads/{ticket}", headers={"Authorization": f"Bearer {bearer}"})


async def created(client: Client, bearer: str, extension: str = "mp3") -> str:
    """The id of a new upload; raises ``RuntimeError`` when it is refused."""
    answered = await client.ask(create(bearer, extension))
    if answered.status != 201:
        raise RuntimeError(f"a create was answered {answered.status}: {answered.body.decode(errors='replace')}")
    return str(json.loads(answered.body)["uploadId"])


async def uploaded(client: Client, bearer: str) -> Answered:
    """A create, and its confirm; the answer is that of the first that failed, or of the confirm."""
    made = await client.ask(create(bearer))
    if made.status != 201:
        return made
    done = await client.ask(confirm(json.loads(made.body)["uploadId"], bearer))
    return Answered(done.status, done.body, made.sent, done.ended)
