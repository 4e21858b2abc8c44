"""The price of an upload at R2: the calls to the store are counted, and priced by R2's price list.

The broker and its client perform each operation once with the store of this benchmark, which counts requests. The
client sends its own requests, without bytes, to the URLs that the broker signed.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bench import ours
from bench.figures import Effort
from bench.processes import Server
from bench.wrk import Request

from .client import Client
from .store import Behaviour, configure
from .uploads import broker, confirm, create, run, service, status, store, users

AS_OF = "2026-11-27"
USD = {"A": 4.50, "B": 0.36, "free": 0.0}
"""USD per million operations of a class, Standard storage: developers.cloudflare.com/r2/pricing on ``AS_OF``."""

CLASSES: Mapping[str, str] = {
    **dict.fromkeys(("PutObject", "CopyObject", "ListParts", "ListMultipartUploads"), "A"),
    **dict.fromkeys(("CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"), "A"),
    **dict.fromkeys(("HeadObject", "GetObject"), "B"),
    **dict.fromkeys(("DeleteObject", "AbortMultipartUpload"), "free"),
}
"""The class of each operation, from the same page."""

MIX: Mapping[str, float] = {
    "create": 0.9,
    "PUT by the client": 0.9,
    "status": 0.18,
    "confirm": 0.9,
    "create, 8 parts": 0.1,
    "8 PUTs of parts by the client": 0.1,
    "status, 8 parts": 0.02,
    "confirm, 8 parts": 0.1,
}
"""Operations per upload on average: 10 % of uploads have 8 parts, and clients request the status of 20 %."""


class Operation(NamedTuple):
    """One operation with the number of its calls to the store."""

    name: str
    calls: Mapping[str, int]

    def of_class(self, name: str) -> int:
        """Return the number of calls of a class."""
        return sum(count for call, count in self.calls.items() if CLASSES[call] == name)

    @property
    def price(self) -> float:
        """The price of a million operations, in USD."""
        return sum(USD[CLASSES[call]] * count for call, count in self.calls.items())


def report(_effort: Effort) -> str:
    """Count the calls, and return the table."""
    with store() as counting, broker(counting) as server:
        return table(run(counted(server, counting)))


def table(operations: Sequence[Operation]) -> str:
    """Return one line for each operation, and one for an upload of the mix."""
    lines = [
        f"| operation | calls to the store | class A | class B | USD per million, {AS_OF} |",
        "|---|---|---|---|---|",
        *(
            f"| {each.name} | {_listed(each.calls)} | {each.of_class('A')} | {each.of_class('B')} | {each.price:.2f} |"
            for each in operations
        ),
    ]
    shares = [(each, MIX[each.name]) for each in operations if each.name in MIX]
    a, b = (sum(share * each.of_class(name) for each, share in shares) for name in "AB")
    price = sum(share * each.price for each, share in shares)
    return "\n".join([*lines, f"| **an upload of the mix** | | {a:.2f} | {b:.2f} | **{price:.2f}** |"])


def _listed(calls: Mapping[str, int]) -> str:
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in sorted(calls.items())) or "none"


async def counted(server: Server, counting: Server) -> list[Operation]:
    """Perform every operation, in an order in which each finds the objects that it needs."""
    session = Session(Client(server.port, timeout=60), Client(counting.port))
    found = []
    for name, work in session.operations().items():
        configure(counting, Behaviour())
        await work()
        found.append(Operation(name, Counter(configure(counting, Behaviour()))))
    session.close()
    return found


class Session:
    """A user and a service, with the upload and the object that they used last."""

    def __init__(self, api: Client, storage: Client) -> None:
        self._api = api
        self._storage = storage
        self._bearer, self._service = users()[0], service()[0]
        self._made: dict[str, Any] = {}
        self._key = ""

    def operations(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """Return the operations by name."""
        return {
            "create": lambda: self._create("mp3"),
            "PUT by the client": lambda: self._send("PUT", self._made["url"]),
            "status": self._status,
            "confirm": self._confirm,
            "create, with a SHA-256": lambda: self._create("mp3", sha256="0" * 64),
            "confirm, with a SHA-256": self._confirm,
            "create, 8 parts": lambda: self._create("flac"),
            "8 PUTs of parts by the client": self._send_parts,
            "status, 8 parts": self._status,
            "confirm, 8 parts": self._confirm,
            "abort": lambda: self._request(Request(self._upload(), "DELETE", _headers(self._bearer))),
            "create, 5.5 GiB": lambda: self._create("mp4"),
            "confirm of 5.5 GiB, after its parts were joined": self._confirm,
            "read an object": lambda: self._object("GET"),
            "download link": self._link,
            "GET by the client": lambda: self._send("GET", self._made["url"]),
            "delete an object": lambda: self._object("DELETE"),
        }

    def close(self) -> None:
        """Close all connections."""
        self._api.close()
        self._storage.close()

    def _upload(self) -> str:
        return f"/api/v1/uploads/{self._made['uploadId']}"

    async def _request(self, request: Request) -> Any:
        """Send a request to the broker, and return the document. Raises ``RuntimeError`` for an error."""
        response = await self._api.send(request)
        if not 200 <= response.status < 300:
            raise RuntimeError(f"{request.path} returned {response.status}: {response.body.decode()}")
        return json.loads(response.body or b"null")

    async def _create(self, extension: str, **more: str) -> None:
        request = create(self._bearer, extension)
        self._made = await self._request(ours.post(request.path, self._bearer, {**json.loads(request.body), **more}))

    async def _status(self) -> None:
        await self._request(status(self._made["uploadId"], self._bearer))

    async def _send(self, method: str, url: str) -> None:
        parts = urlsplit(url)
        response = await self._storage.send(Request(f"{parts.path}?{parts.query}", method))
        if not 200 <= response.status < 300:
            raise RuntimeError(f"The store returned {response.status}.")

    async def _send_parts(self) -> None:
        wanted = {"from": 1, "to": self._made["partCount"]}
        for part in (await self._request(ours.post(f"{self._upload()}/parts", self._bearer, wanted)))["parts"]:
            await self._send("PUT", part["url"])

    async def _confirm(self) -> None:
        document: dict[str, Any] = {}
        while document.get("status") != "ready":
            document = await self._request(confirm(self._made["uploadId"], self._bearer))
        self._key = document["key"]

    async def _object(self, method: str) -> None:
        await self._request(Request(f"/api/v1/objects/{self._key}", method, _headers(self._service)))

    async def _link(self) -> None:
        self._made = await self._request(Request(f"/api/v1/downloads/{self._key}", headers=_headers(self._bearer)))


def _headers(bearer: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {bearer}"}
