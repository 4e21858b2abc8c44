"""Clients of Python: httpx, requests, and a socket that sends chunked requests as .NET's HttpClient does."""

import json
import socket
from collections.abc import Callable
from typing import Any

import httpx2
import requests

from tests.e2e.processes import token
from tests.patience import PATIENCE
from tests.plain_http import NO_TLS

from .plan import Call

API = "/api/v1"


def put(url: str, headers: dict[str, str], content: bytes) -> int:
    """Send the file to the store, and return the status."""
    return httpx2.put(
        url, content=content, headers=headers, timeout=PATIENCE, trust_env=False, verify=NO_TLS
    ).status_code


def put_by_requests(url: str, headers: dict[str, str], content: bytes) -> int:
    """Send the file to the store by requests, and return the status."""
    return requests.put(url, data=content, headers=headers, timeout=PATIENCE).status_code


def by_httpx(url: str) -> tuple[Call, Callable[[], object]]:
    """Return a call by httpx, whose pool keeps connections as long as the server does."""
    limits = httpx2.Limits(keepalive_expiry=None)
    headers = {"Authorization": f"Bearer {token()}"}
    client = httpx2.Client(
        base_url=url + API, headers=headers, limits=limits, timeout=PATIENCE, trust_env=False, verify=NO_TLS
    )

    def call(path: str, media_type: str, body: bytes) -> Any:
        response = client.post(path, content=body, headers={"Content-Type": media_type})
        return response.status_code, response.json()

    return call, client.close


def by_requests(url: str) -> tuple[Call, Callable[[], object]]:
    """Return a call by a session of requests."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {token()}"

    def call(path: str, media_type: str, body: bytes) -> Any:
        response = session.post(url + API + path, data=body, headers={"Content-Type": media_type}, timeout=PATIENCE)
        return response.status_code, response.json()

    return call, session.close


def by_chunks(url: str) -> tuple[Call, Callable[[], object]]:
    """Return a call like ``PostAsJsonAsync`` of .NET: head, one chunk and the last chunk in a packet each.

    The connection is never opened again: one that the server closes is a failure.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(path: str, media_type: str, body: bytes) -> Any:
        head = [
            f"POST {API}{path} HTTP/1.1",
            f"Host: {host}:{port}",
            f"Authorization: Bearer {token()}",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "Transfer-Encoding: chunked",
            f"Content-Type: {media_type}; charset=utf-8",
            "",
            "",
        ]
        for packet in ("\r\n".join(head).encode(), b"%X\r\n%b\r\n" % (len(body), body), b"0\r\n\r\n"):
            connection.sendall(packet)
        return _response(connection)

    return call, connection.close


def _response(connection: socket.socket) -> tuple[int, Any]:
    with connection.makefile("rb") as lines:
        status = int(lines.readline().split()[1])
        fields = {}
        while (line := lines.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            fields[name.lower()] = value.strip()
        assert fields.get("connection") != "close", "the server closes the connection"
        return status, json.loads(lines.read(int(fields["content-length"])))
