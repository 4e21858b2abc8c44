"""The response of a request: in one write if it is complete, else framed by uvicorn."""

import asyncio
from collections.abc import Sequence

import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.web.running_server import Reply, RunningServer, request

Fields = Sequence[tuple[bytes, bytes]]
PLAIN: Fields = ((b"content-type", b"text/plain"), (b"content-length", b"2"))


def responding(fields: Fields, *pieces: bytes, status: int = 200) -> ASGIApp:
    """Return an application that sends its body in these pieces."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": status, "headers": [*fields]})
        for left, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})

    return app


def replies_to_requests(app: ASGIApp, method: str = "GET", *, requests: int = 1) -> list[Reply]:
    """Return the replies to some requests on one connection."""
    kept = request(method, "/", keep=True) * (requests - 1)
    with RunningServer(app, lifespan="off") as server:
        return server.replies_to(kept + request(method, "/"))


def test_complete_response_equals_one_in_pieces() -> None:
    """A response that is sent in one write has the same head and body as one in pieces."""
    (whole,), (pieces,) = (
        replies_to_requests(responding(PLAIN, b"ok")),
        replies_to_requests(responding(PLAIN, b"o", b"k")),
    )
    assert (whole.status, whole.body, [*whole.fields]) == (pieces.status, pieces.body, [*pieces.fields])
    assert (whole.status, whole.body, whole.fields["connection"]) == (200, b"ok", "close")


def test_response_without_length_is_chunked() -> None:
    """A response without Content-Length is chunked."""
    with RunningServer(responding((), b"ok"), lifespan="off") as server:
        reply = httpx2.get(f"http://127.0.0.1:{server.port}/", trust_env=False)
    assert (reply.headers["transfer-encoding"], reply.content) == ("chunked", b"ok")


def test_head_response_has_no_body() -> None:
    """The response to HEAD has the length and no body."""
    (reply,) = replies_to_requests(responding(PLAIN, b"ok"), "HEAD")
    assert (reply.fields["content-length"], reply.body) == ("2", b"")


def test_pipelined_responses_are_in_order() -> None:
    """Responses on one connection have the order of their requests."""
    assert [reply.body for reply in replies_to_requests(responding(PLAIN, b"ok"), requests=3)] == [b"ok"] * 3


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\x00b", b"a\x7fb"])
def test_response_field_cannot_be_split(value: bytes) -> None:
    """A response with a control character in a field becomes a 500 without that field."""
    (reply,) = replies_to_requests(responding([*PLAIN, (b"location", value)], b"ok"))
    assert (reply.status, "location" in reply.fields) == (500, False)


def test_send_after_response_raises() -> None:
    """A message that is sent after the response raises an error, and the client gets the response."""
    failed: list[type[Exception]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await responding(PLAIN, b"ok")(scope, receive, send)
        try:
            await send({"type": "http.response.body", "body": b"more"})
        except RuntimeError as error:
            failed.append(type(error))

    assert [reply.body for reply in replies_to_requests(app)] == [b"ok"]
    assert failed == [RuntimeError]


def test_send_after_disconnect_does_not_raise() -> None:
    """A response to a client that has disconnected is dropped without an error."""
    left, ended = asyncio.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await responding(PLAIN, b"ok")(scope, receive, send)
        ended.append(True)
        left.set()

    with RunningServer(app, lifespan="off") as server:
        with server.connect() as connection:
            connection.send(request("GET", "/"))
        server.server.should_exit = True
        server.thread.join(10)
    assert ended == [True]
