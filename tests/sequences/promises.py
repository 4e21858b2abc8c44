"""What must hold after each step, of everything that was ever handed out."""

import base64
import hashlib
from typing import Any

import jwt

from .backend import EVERYBODY, SERVICE, USERS, Answer, Backend, Call
from .book import UNKNOWN_KEYS, UNKNOWN_TICKETS, Book
from .model import Grant, Upload, may_confirm, may_look

BY_TICKET: tuple[tuple[str, tuple[Any, ...]], ...] = (("look", ()), ("confirm", ()), ("abort", ()), ("parts", ((1,),)))
BY_KEY = ("object", "head", "delete")


def refuse_server_errors(call: Call, answer: Answer) -> None:
    """Check that the status is below 500, because the store works."""
    assert answer.status < 500, (call, answer)


class Promises:
    """The checks of one sequence."""

    def __init__(self, backend: Backend, book: Book) -> None:
        self._backend = backend
        self._book = book
        self._verified: dict[str, dict[str, Any]] = {}
        self._unknown: dict[Call, Answer] = {}
        self._checks = 0

    def check(self) -> None:
        """Check everything."""
        self._unknown.clear()
        self._is_unknown(UNKNOWN_KEYS[0], EVERYBODY)
        self._checks += 1
        for upload in self._in_turn():
            self._is_private(upload)
            if not upload.is_ready:
                self._is_unknown(upload.key, (upload.owner, SERVICE))
        for upload in self._book.uploads.values():
            if upload.is_ready:
                self._is_ready(upload)
            else:
                self.served(upload)
            if upload.is_deleted:
                for grant in upload.grants:
                    self._stays_deleted(grant)

    def _in_turn(self) -> list[Upload]:
        """Return all uploads; over HTTP one after the other, so that a step has a constant cost."""
        uploads = [*self._book.uploads.values()]
        if self._backend.plays_store or not uploads:
            return uploads
        return [uploads[self._checks % len(uploads)]]

    def receipt(self, upload: Upload, document: dict[str, Any]) -> None:
        """Check that a receipt verifies, is the only one of its upload, and agrees with the response."""
        text = document["receipt"]
        assert self._book.receipts.setdefault(upload.id, text) == text, "two receipts of one upload"
        claims = self._claims(text)
        assert upload.ready is not None
        assert claims["jti"] == upload.id
        assert claims["sub"] == document["owner"] == self._backend.subject(upload.owner)
        assert claims["key"] == document["key"] == upload.key
        assert claims["size"] == document["size"] == len(upload.ready)
        assert claims["etag"] == document["etag"]
        assert claims["contentType"] == document["contentType"] == "audio/mpeg"
        digest, evidence = claims["sha256"], claims["sha256Evidence"]
        assert (digest, evidence) == (document["sha256"], document["sha256Evidence"])
        assert (digest is None) is (evidence is None), "a checksum without evidence, or the reverse"
        if digest:
            assert base64.b64decode(digest) == hashlib.sha256(upload.ready).digest(), "another sha256 than is served"
        elif self._backend.checks_digests:
            assert "sha256" not in upload.file.checksums, "a checksum that was compared is not certified"

    def served(self, upload: Upload) -> None:
        """Check that a link serves exactly the first bytes, or 404 after a deletion."""
        link = self._ask(SERVICE, "link", upload.key)
        found = self._backend.get(link.document["url"])
        if not upload.is_ready:
            assert found.status == 404, (upload, found)
            return
        assert (found.status, found.body) == (200, upload.ready), (upload, found)
        if upload.id in self._book.receipts:
            assert self._claims(self._book.receipts[upload.id])["etag"] == found.etag

    def _is_ready(self, upload: Upload) -> None:
        assert upload.ready is not None
        owned = self._ask(upload.owner, "object", upload.key)
        assert (owned.status, owned.document["size"]) == (200, len(upload.ready))
        assert owned == self._ask(SERVICE, "object", upload.key)
        for grant in upload.grants:
            self.receipt(upload, self._ask(upload.owner, "confirm", grant.id).document)
            assert self._ask(upload.owner, "abort", grant.id).outcome == "upload_confirmed"
            look = self._ask(upload.owner, "look", grant.id)
            assert (look.document["status"], look.document["key"]) == ("ready", upload.key)
        self.served(upload)

    def _stays_deleted(self, grant: Grant) -> None:
        now = self._backend.now()
        owner = grant.upload.owner
        assert grant.upload.has_tombstone or grant.is_expired(now), "the tombstone went before the id"
        outcomes = may_confirm(grant, now, in_ranges=0, compares_sha256=False)
        confirm = self._ask(owner, "confirm", grant.id)
        assert confirm.status == 410, confirm
        assert confirm.outcome in outcomes, (confirm, outcomes)
        assert self._ask(owner, "look", grant.id).document["status"] == may_look(grant, now)

    def _is_private(self, upload: Upload) -> None:
        """Check that for another user the upload does not exist."""
        for other in USERS:
            if other == upload.owner:
                continue
            self._is_unknown(upload.key, (other,))
            for grant in upload.grants:
                for name, more in BY_TICKET:
                    foreign = self._ask(other, name, grant.id, *more)
                    assert foreign.outcome == "not_found", (name, foreign)
                    assert foreign == self._to_unknown(other, name, UNKNOWN_TICKETS[0], *more), name

    def _is_unknown(self, key: str, everybody: tuple[str, ...]) -> None:
        names = BY_KEY if self._backend.links_for_all else (*BY_KEY, "link")
        for who in everybody:
            for name in names:
                if name == "link" and who == SERVICE:
                    continue
                answer = self._ask(who, name, key)
                assert answer.status == 404, (who, name, answer)
                assert answer == self._to_unknown(who, name, UNKNOWN_KEYS[-1]), name

    def _to_unknown(self, who: str, name: str, *arguments: Any) -> Answer:
        """Return the response for an unknown resource, requested once in each step."""
        call = Call(who, name, arguments)
        if call not in self._unknown:
            self._unknown[call] = self._ask(*call[:2], *arguments)
        return self._unknown[call]

    def _claims(self, receipt: str) -> dict[str, Any]:
        if receipt not in self._verified:
            keys = jwt.PyJWKSet.from_dict(self._backend.jwks())
            header = jwt.get_unverified_header(receipt)
            assert header["typ"] == "track-ready+jwt"
            self._verified[receipt] = jwt.decode(
                receipt,
                keys[header["kid"]],
                algorithms=["EdDSA"],
                issuer="r2-upload-broker",
                options={"verify_iat": False},
            )
        return self._verified[receipt]

    def _ask(self, who: str, name: str, *arguments: Any) -> Answer:
        call = Call(who, name, arguments)
        answer = self._backend.ask(call)
        refuse_server_errors(call, answer)
        return answer
