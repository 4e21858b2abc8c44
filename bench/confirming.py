"""CPU time of a confirm beside boto3 in threads (F8), and its wall time beside the calls to the store (F9).

The store is ``bench.store``: it has every staged object, and no ready one. The broker sends three requests for a
confirm (HEAD of the ready object, GET of the first bytes of the staged one, and the copy); the peer sends two.

F8 is the CPU time of the serving process for each confirm, with all its threads. wrk sends with 16 connections, and
no two confirms in flight are for the same upload. The store, wrk, connection set-up and the first second are not
measured.

F9 is the wall time of single confirms on one kept connection, while the store responds 20 ms late. It is compared
with a HEAD and a COPY, unsigned, that the client sends to the store on one kept connection. Both times include the
time of the client, which is the same.
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
    """Measure F8 and F9."""
    bearer = ours.token()
    with store() as at_once, broker(at_once) as server, threads(at_once) as other:
        yield cost(effort, (server, confirms(server, bearer)), (other, of_threads(bearer)))
    with store(LATE) as late, broker(late) as server:
        yield wait(effort, server, confirms(server, bearer), late)


@contextlib.contextmanager
def store(late: int = 0) -> Iterator[Server]:
    """Start a store that responds ``late`` milliseconds after each request."""
    port = free_port()
    with serving(ours.module("bench.store", str(port), str(late)), port, ours.HERE) as server:
        yield server


def broker(of: Server) -> contextlib.AbstractContextManager[Server]:
    """Start a broker that uses this store."""
    return ours.broker({**ours.ENVIRONMENT, "R2_ENDPOINT": of.url})


@contextlib.contextmanager
def threads(of: Server) -> Iterator[Server]:
    """Start the peer, boto3 in threads, with this store."""
    port = free_port()
    with serving(servers.uvicorn("confirming:app", port), port, {**ours.ENVIRONMENT, "R2_ENDPOINT": of.url}) as server:
        yield server


Side = tuple[Server, Sequence[Request]]


def confirms(server: Server, bearer: str) -> list[Request]:
    """Create uploads, and return a confirm of each: concurrent confirms of one upload would be merged."""
    with contextlib.closing(kept(server)) as connection:
        responses = [json.loads(sent(connection, ours.create(bearer, files=BATCH))) for _ in range(BATCHES)]
    upload_ids = [upload["uploadId"] for response in responses for upload in response["uploads"]]
    return [post(f"/api/v1/uploads/{upload_id}/confirm", bearer) for upload_id in upload_ids]


def of_threads(bearer: str) -> list[Request]:
    """Return as many confirms for the peer."""
    return [post(f"/confirm/{uuid.uuid4()}.mp3", bearer) for _ in range(BATCHES * BATCH)]


def post(path: str, bearer: str) -> Request:
    """Return a POST request without a body."""
    return Request(path, "POST", {"Authorization": f"Bearer {bearer}"})


def cost(effort: Effort, mine: Side, theirs: Side) -> Figure:
    """Measure F8: CPU time, in turns."""
    for server, requests in (mine, theirs):
        load(server.url, requests, 1, connections=CONNECTIONS)

    def each(side: Side) -> float:
        return cpu(effort, *side, connections=CONNECTIONS)

    pairs = [(each(mine), each(theirs)) for _ in range(effort.rounds)]
    return compared(
        "F8", "confirm: boto3 in threads / ours", at_least(6.5), "µs", pairs, "boto3 in threads", ours_above=False
    )


def wait(effort: Effort, server: Server, requests: Sequence[Request], late: Server) -> Figure:
    """Measure F9: wall time, in turns."""
    pair = [store_request("HEAD", "incoming"), store_request("PUT", "media")]
    with contextlib.closing(kept(server)) as mine, contextlib.closing(kept(late)) as direct:
        pairs = [(taken(mine, requests[:IN_A_ROW]), taken(direct, pair * IN_A_ROW)) for _ in range(effort.rounds)]
    measure = f"confirm, each response {LATE} ms late: ours / HEAD + COPY"
    return compared("F9", measure, at_most(1.10), "ms", pairs, "HEAD + COPY", ours_above=True)


def store_request(method: str, place: str) -> Request:
    """Return the request for one object of the store."""
    return Request(f"/{BUCKET}/{place}/{uuid.uuid4()}.mp3", method)


def taken(connection: http.client.HTTPConnection, requests: Sequence[Request]) -> float:
    """Return the milliseconds of one of ``IN_A_ROW`` requests that follow each other."""
    sent(connection, requests[0])  # warms the connection after the turn of the other side
    start = time.perf_counter()
    for request in requests:
        sent(connection, request)
    return (time.perf_counter() - start) / IN_A_ROW * 1e3


def kept(server: Server) -> http.client.HTTPConnection:
    """Open a connection."""
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def sent(connection: http.client.HTTPConnection, request: Request) -> bytes:
    """Send a request, and return the whole response body, so that the connection can be used again."""
    connection.request(request.method, request.path, request.body or None, dict(request.headers))
    with connection.getresponse() as response:
        body = response.read()
    if response.status >= 400:
        raise RuntimeError(f"{request.path} returned {response.status}: {body.decode(errors='replace')}")
    return body
