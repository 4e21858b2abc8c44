"""The records of one sequence: every upload, upload id, URL and receipt that the broker returned."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from . import signed_urls
from .backend import Backend, Call, Removed, Response
from .model import DAY, File, Grant, Parts, SentUrl, Upload

UNKNOWN_KEYS = tuple(f"media/{UUID(int=number, version=4)}.mp3" for number in range(3))
UNKNOWN_IDS = ("x" * 120, "AAAA")

Request = tuple[str, tuple[File, ...], str | None]
"""A create: its caller, its files and its Idempotency-Key."""


class Records:
    """The recorded state after each step."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.uploads: dict[str, Upload] = {}
        self.grants: list[Grant] = []
        self.requests: list[Request] = []
        self.receipts: dict[str, str] = {}
        self._parts: dict[str, Parts] = {}
        self._named: dict[tuple[object, ...], list[tuple[int, int, str]]] = {}

    def created(self, request: Request, made: Sequence[dict[str, Any]], began: int) -> list[Grant]:
        """Record the response to a create that was sent at ``began``."""
        caller, files, key = request
        assert len(made) == len(files)
        self.requests.append(request)
        grants = [self._grant(caller, file, each, began) for file, each in zip(files, made, strict=True)]
        if key is None:
            assert all(len(grant.upload.grants) == 1 for grant in grants), "an id was given out twice"
        else:
            for index, grant in enumerate(grants):
                self._name((caller, key, index, *grant.upload.file.promise), began, grant.upload.key)
        return grants

    def may_be_deleted(self, request: Request) -> bool:
        """Return whether a create may be refused because it names a deleted multipart upload."""
        caller, files, key = request
        return key is not None and any(
            upload.has_tombstone and upload.owner == caller and upload.file.promise == file.promise
            for upload in self.uploads.values()
            for file in files
            if file.in_parts
        )

    def cleaned(self, removed: Removed) -> None:
        """Record the objects that the lifecycle rules removed."""
        for upload in self.uploads.values():
            if upload.key.replace("media/", "incoming/") in removed.keys:
                upload.staged, upload.has_tombstone = None, False
        for upload_id in removed.multiparts & self._parts.keys():
            self._parts[upload_id].is_gone = True

    def part_urls(self, caller: str, upload_id: str, parts: Sequence[int]) -> tuple[Response, list[dict[str, Any]]]:
        """Request URLs of parts; return the response and its parts."""
        response = self.backend.call(Call(caller, "parts", (upload_id, parts)))
        return response, list(response.document.get("parts", ()))

    def sent_urls(self, grant: Grant, response: Response) -> list[SentUrl]:
        """Record the URLs of parts."""
        assert grant.parts
        expires_at = _epoch(response.document["expiresAt"])
        urls = [
            SentUrl(part["url"], part["headers"], expires_at, grant.parts, part["partNumber"])
            for part in response.document["parts"]
        ]
        grant.upload.urls += urls
        return urls

    def _grant(self, caller: str, file: File, made: dict[str, Any], began: int) -> Grant:
        if made["method"] == "PUT":
            upload = self._upload(made["url"], caller, file)
            expires_at = began + DAY
            upload.urls.append(SentUrl(made["url"], made["headers"], _epoch(made["expiresAt"])))
            grant = Grant(made["uploadId"], upload, expires_at, None)
        else:
            response, parts = self.part_urls(caller, made["uploadId"], range(1, made["partCount"] + 1))
            assert response.status == 200, response
            upload = self._upload(parts[0]["url"], caller, file)
            grant = Grant(made["uploadId"], upload, _epoch(made["expiresAt"]), self._begun(parts[0]["url"], made))
            self.sent_urls(grant, response)
        upload.grants.append(grant)
        self.grants.append(grant)
        return grant

    def _upload(self, url: str, owner: str, file: File) -> Upload:
        key = signed_urls.read(url).ref.key.replace("incoming/", "media/")
        upload = self.uploads.setdefault(key, Upload(key, owner, file))
        assert (upload.owner, upload.file.promise) == (owner, file.promise), "one id stands for two promises"
        return upload

    def _begun(self, url: str, made: dict[str, Any]) -> Parts:
        part = signed_urls.read(url).part
        assert part
        return self._parts.setdefault(part[0], Parts(part[0], made["partSize"], made["partCount"]))

    def _name(self, name: tuple[object, ...], began: int, key: str) -> None:
        """Check that an Idempotency-Key names one upload for a day, and starts at most one new upload a day."""
        earlier = self._named.setdefault(name, [])
        earlier.append((began, self.backend.now(), key))
        same = [each for each in earlier if each[2] == key]
        assert earlier[-len(same) :] == same, "an Idempotency-Key names an earlier upload again"
        assert same[-1][0] - same[0][1] < DAY, "an Idempotency-Key names one upload for more than a day"
        changes = [(a[0], b[1]) for a, b in pairwise(earlier) if a[2] != b[2]]
        for one, next_one in pairwise(changes):
            assert next_one[1] - one[0] >= DAY, "an Idempotency-Key names three uploads within a day"


def _epoch(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())
