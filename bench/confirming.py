"""What it costs to confirm an upload, beside boto3 in threads (F8), and how long it takes, beside the store (F9).

The store is ``bench.store``: it has every staged object, and no ready one. Ours asks it three things for a confirm
(whether the object is ready, what is staged and how it begins, and the copy), boto3's confirm two.

F8 is the CPU time of the serving process, all of its threads, by confirm: wrk sends with 16 connections, each confirm
for another upload than the others under way. Not counted: the store, wrk, connecting, and the first second, which warms
the server up. F9 is the wall time of one confirm at a time over one kept connection, when the store answers 20 ms late;
beside it stands that of a HEAD and then a COPY, sent to the store itself, unsigned, over one kept connection. The time
of the client, which is the same for both, is in both.
"""

import contextlib
import http.client
import json
import time
import uuid
from collections.abc import Iterator, Sequence

from . import ours
from .answering import cpu
from .figures import Effort, Figure, at_least, at_most, compared
from .peers import servers
from .processes import Server, free_port, serving
from .wrk import Request, load

CONNECTIONS = 16
BATCHES, BATCH = 5, 100
LATE = 20  # milliseconds
IN_A_ROW = 10
BUCKET = servers.STORE["R2_BUCKET_NAME"]


def figures(effort: Effort) -> Iterator[Figure]:
    """F8 and F9."""
    bearer = ours.token()
    with store() as at_once, broker(at_once) as server, threads(at_once) as other:
        yield cost(effort, (server, confirms(server, bearer)), (other, of_threads(bearer)))
    with store(LATE) as late, broker(late) as server:
        yield wait(effort, server, confirms(server, bearer), late)


@contextlib.contextmanager
def store(late: int = 0) -> Iterator[Server]:
    """One that answers ``late`` milliseconds after it was asked."""
    port = free_port()
    with serving(ours.module("bench.store", str(port), str(late)), port, ours.HERE) as server:
        yield server


def broker(of: Server) -> contextlib.AbstractContextManager[Server]:
    """Ours, at this store."""
    return ours.broker({**ours.ENVIRONMENT, "R2_ENDPOINT": of.url})


@contextlib.contextmanager
def threads(of: Server) -> Iterator[Server]:
    """boto3's, at this store."""
    port = free_port()
    with serving(servers.uvicorn("confirming:app", port), port, {**ours.ENVIRONMENT, "R2_ENDPOINT": of.url}) as server:
        yield server


Side = tuple[Server, Sequence[Request]]


def confirms(server: Server, bearer: str) -> list[Request]:
    """Of uploads that were created for it: confirms of one upload at the same time would be answered together."""
    with contextlib.closing(kept(server)) as connection:
        answers = [json.loads(sent(connection, ours.create(bearer, files=BATCH))) for _ in range(BATCHES)]
    upload_ids = [upload["uploadId"] for answer in answers for upload in answer["uploads"]]
    return [post(f"/api/v1/uploads/{upload_id}/confirm", bearer) for upload_id in upload_ids]


def of_threads(bearer: str) -> list[Request]:
    """As many, for boto3's."""
    return [post(f"/confirm/{uuid.uuid4()}.mp3", bearer) for _ in range(BATCHES * BATCH)]


def post(path: str, bearer: str) -> Request:
    return Request(path, "POST", {"Authorization": f"Bearer {bearer}"})


def cost(effort: Effort, mine: Side, theirs: Side) -> Figure:
    """F8: CPU, in turns."""
    for server, requests in (mine, theirs):
        load(server.url, requests, 1, connections=CONNECTIONS)

    def each(side: Side) -> float:
        return cpu(effort, *side, connections=CONNECTIONS)

    pairs = [(each(mine), each(theirs)) for _ in range(effort.rounds)]
    return compared(
        "F8", "confirm: boto3 in threads / ours", at_least(6.5), "µs", pairs, "boto3 in threads", ours_above=False
    )


def wait(effort: Effort, server: Server, requests: Sequence[Request], late: Server) -> Figure:
    """F9: wall time, in turns."""
    pair = [store_request("HEAD", "incoming"), store_request("PUT", "media")]
    with contextlib.closing(kept(server)) as mine, contextlib.closing(kept(late)) as direct:
        pairs = [(taken(mine, requests[:IN_A_ROW]), taken(direct, pair * IN_A_ROW)) for _ in range(effort.rounds)]
    measure = f"confirm, each answer {LATE} ms late: ours / HEAD + COPY"
    return compared("F9", measure, at_most(1.10), "ms", pairs, "HEAD + COPY", ours_above=True)


def store_request(method: str, place: str) -> Request:
    return Request(f"/{BUCKET}/{place}/{uuid.uuid4()}.mp3", method)


def taken(connection: http.client.HTTPConnection, requests: Sequence[Request]) -> float:
    """Milliseconds, a confirm, of ``IN_A_ROW`` of them."""
    sent(connection, requests[0])  # warm again, after the other's turn
    start = time.perf_counter()
    for request in requests:
        sent(connection, request)
    return (time.perf_counter() - start) / IN_A_ROW * 1e3


def kept(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def sent(connection: http.client.HTTPConnection, request: Request) -> bytes:
    """The answer's body, read to its end so that the connection is kept."""
    connection.request(request.method, request.path, request.body or None, dict(request.headers))
    with connection.getresponse() as response:
        body = response.read()
    if response.status >= 400:
        raise RuntimeError(f"{request.path} was answered {response.status}: {body.decode(errors='replace')}")
    return body
