"""The API calls of the steps, with their checks and records."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from .backend import SERVICE, Backend, Call, Response
from .model import Grant, SentUrl, Upload, content, may_confirm, may_look, may_put
from .promises import Promises, refuse_server_errors
from .records import Records, Request

SLACK = 30
"""The longest duration of a call, in seconds of the sequence's clock."""

T = TypeVar("T")


class Actions:
    """API calls, with a check of their possible outcomes."""

    backend: ClassVar[Backend]
    tally: ClassVar[Counter[str]]
    outcomes: ClassVar[Counter[str]]
    records: Records
    promises: Promises

    def call(self, caller: str, name: str, *arguments: Any) -> Response:
        """Perform a call, and check that the response is not a server error."""
        call = Call(caller, name, arguments)
        response = self.backend.call(call)
        refuse_server_errors(call, response)
        self.outcomes[f"{name} {response.outcome}"] += 1
        return response

    def size_of(self, number: int) -> int:
        """Return a small size, one of two parts, or one that is promoted in ranges where that is possible."""
        part = self.backend.part_size
        return (57, part + 9, 3 * part + 5 if self.backend.simulates_store else part - 7)[number]

    def create_for(self, request: Request, then: str) -> None:
        """Create uploads, and send or confirm them if ``then`` says so."""
        caller, files, key = request
        began, may_be_deleted = self.backend.now(), self.records.may_be_deleted(request)
        response = self.call(caller, "create", [file.declaration() for file in files], key)
        if response.outcome == "upload_deleted":
            assert may_be_deleted, response
            return
        assert response.status == 201, response
        for grant in self.records.created(request, response.document["uploads"], began):
            kind, _, is_confirmed = then.partition(", ")
            if kind:
                self.send_to(grant, kind, [])
            if is_confirmed:
                self.confirm_by(grant, caller)

    def send_to(self, grant: Grant, kind: str, numbers: Sequence[int]) -> None:
        """PUT the bytes by the newest URL, or by new URLs of the given parts, or of all parts."""
        upload = grant.upload
        body = content(upload.file.size, kind) if kind != "short" else upload.file.bytes[:-1]
        if grant.parts is None:
            single = [sent for sent in upload.urls if not sent.parts]
            self.put_to(upload, single[-1], body)
            return
        wanted = [number for number in numbers if number <= grant.parts.count] or range(1, grant.parts.count + 1)
        response, _ = self.records.part_urls(upload.owner, grant.id, wanted)
        if response.status != 200:
            assert response.outcome == "upload_expired", response
            assert grant.is_expired(self.backend.now() + SLACK)
            return
        for sent in self.records.sent_urls(grant, response):
            self.put_to(upload, sent, body)

    def put_to(self, upload: Upload, sent: SentUrl, whole: bytes) -> None:
        """PUT the whole, or the part of the URL."""
        body = sent.parts.piece(whole, sent.number) if sent.parts else whole
        if not body:
            return
        if sent.parts and not self.backend.simulates_store and sent.parts.stored.get(sent.number, body) != body:
            return  # SeaweedFS does not always use the later of two versions of a part
        may = may_put(upload, sent, body, self.backend.now(), checks=self.backend.checks_checksums)
        status = self.backend.put(sent.url, sent.headers, body)
        self.outcomes[f"{'part' if sent.parts else 'PUT'} {status}"] += 1
        assert status in may, (status, may, upload)
        if sent.parts:
            sent.parts.is_gone = status == 404 if status in (200, 404) else sent.parts.is_gone
        if status == 200 and sent.parts:
            sent.parts.stored[sent.number] = body
        elif status == 200:
            upload.staged = body

    def confirm_by(self, grant: Grant, caller: str) -> None:
        """Confirm as ``caller``."""
        may = self.may_confirm(grant, caller)
        self.confirmed(grant, self.call(caller, "confirm", grant.id), may)

    def may_confirm(self, grant: Grant, caller: str) -> set[str]:
        """Return the possible outcomes of a confirm that starts now."""
        if not may_act(caller, grant.upload):
            return {"not_found"}
        in_ranges = 2 * self.backend.part_size if self.backend.simulates_store else grant.upload.file.size
        compares = self.backend.checks_checksums is None
        now = self.backend.now()
        return {
            outcome
            for moment in (now, now + SLACK)
            for outcome in may_confirm(grant, moment, in_ranges=in_ranges, compares_sha256=compares)
        }

    def confirmed(self, grant: Grant, response: Response, may: set[str]) -> None:
        """Check and record the response to a confirm."""
        assert response.outcome in may, (response, may)
        upload = grant.upload
        if response.outcome in ("not_found", "upload_expired", "upload_deleted"):
            return
        grant.joins()
        if response.status == 200:
            upload.ready = upload.ready or upload.staged
            self.promises.receipt(upload, response.document)

    def may_look(self, grant: Grant) -> set[str]:
        """Return the possible statuses of an upload now."""
        now = self.backend.now()
        return {may_look(grant, now - SLACK), may_look(grant, now)}


def may_act(caller: str, upload: Upload) -> bool:
    """Return whether the upload exists for this caller."""
    return caller in (upload.owner, SERVICE)


def of_batch(result: dict[str, Any]) -> Response:
    """Return one result of a batch as a single response."""
    problem = result.get("problem")
    if problem:
        return Response(problem["status"], problem)
    return Response(202 if result["status"] == "promoting" else 200, result)


def picked(choices: Sequence[T], pick: int) -> T:
    """Return one of the choices; 0 is the newest."""
    return choices[-1 - pick % len(choices)]
