"""How an answer leaves: whole in one write where it can be, and framed as HTTP wants it where it cannot."""

import asyncio
from collections.abc import Sequence

import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.web.served import Reply, Served, request

Fields = Sequence[tuple[bytes, bytes]]
PLAIN: Fields = ((b"content-type", b"text/plain"), (b"content-length", b"2"))


def answering(fields: Fields, *pieces: bytes, status: int = 200) -> ASGIApp:
    """An application that sends its body in these pieces."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": status, "headers": [*fields]})
        for left, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})

    return app


def sent(app: ASGIApp, method: str = "GET", *, requests: int = 1) -> list[Reply]:
    """What comes of some requests on one connection."""
    kept = request(method, "/", keep=True) * (requests - 1)
    with Served(app, lifespan="off") as server:
        return server.sends(kept + request(method, "/"))


def test_a_whole_answer_is_the_same_as_one_in_pieces() -> None:
    (whole,), (pieces,) = sent(answering(PLAIN, b"ok")), sent(answering(PLAIN, b"o", b"k"))
    assert (whole.status, whole.body, [*whole.fields]) == (pieces.status, pieces.body, [*pieces.fields])
    assert (whole.status, whole.body, whole.fields["connection"]) == (200, b"ok", "close")


def test_an_answer_whose_length_nobody_said_is_chunked() -> None:
    with Served(answering((), b"ok"), lifespan="off") as server:
        reply = httpx2.get(f"http://127.0.0.1:{server.port}/", trust_env=False)
    assert (reply.headers["transfer-encoding"], reply.content) == ("chunked", b"ok")


def test_the_answer_to_a_head_has_the_length_and_no_body() -> None:
    (reply,) = sent(answering(PLAIN, b"ok"), "HEAD")
    assert (reply.fields["content-length"], reply.body) == ("2", b"")


def test_answers_on_one_connection_come_in_the_order_of_their_requests() -> None:
    assert [reply.body for reply in sent(answering(PLAIN, b"ok"), requests=3)] == [b"ok"] * 3


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\x00b", b"a\x7fb"])
def test_no_field_of_an_answer_can_begin_another(value: bytes) -> None:
    """An answer with a control character in a field is an accident of ours, and none of it leaves."""
    (reply,) = sent(answering([*PLAIN, (b"location", value)], b"ok"))
    assert (reply.status, "location" in reply.fields) == (500, False)


def test_what_is_sent_after_the_answer_is_an_accident() -> None:
    failed: list[type[Exception]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answering(PLAIN, b"ok")(scope, receive, send)
        try:
            await send({"type": "http.response.body", "body": b"more"})
        except RuntimeError as error:
            failed.append(type(error))

    assert [reply.body for reply in sent(app)] == [b"ok"]
    assert failed == [RuntimeError]


def test_a_client_that_left_is_sent_nothing_and_that_is_no_accident() -> None:
    left, ended = asyncio.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await answering(PLAIN, b"ok")(scope, receive, send)
        ended.append(True)
        left.set()

    with Served(app, lifespan="off") as server:
        with server.connect() as connection:
            connection.send(request("GET", "/"))
        server.server.should_exit = True
        server.thread.join(10)
    assert ended == [True]
