"""The promises about everything that the broker returned, checked after each step."""

import base64
import hashlib
from typing import Any

import jwt

from .backend import CALLERS, SERVICE, USERS, Backend, Call, Response
from .model import Grant, Upload, may_confirm, may_look
from .records import UNKNOWN_IDS, UNKNOWN_KEYS, Records

BY_TICKET: tuple[tuple[str, tuple[Any, ...]], ...] = (("look", ()), ("confirm", ()), ("abort", ()), ("parts", ((1,),)))
BY_KEY = ("object", "head", "delete")


def refuse_server_errors(call: Call, response: Response) -> None:
    """Check that the status is below 500, because the store works."""
    assert response.status < 500, (call, response)


class Promises:
    """The checks of one sequence."""

    def __init__(self, backend: Backend, records: Records) -> None:
        self._backend = backend
        self._records = records
        self._verified: dict[str, dict[str, Any]] = {}
        self._unknown: dict[Call, Response] = {}
        self._checks = 0

    def check(self) -> None:
        """Check everything."""
        self._unknown.clear()
        self._is_unknown(UNKNOWN_KEYS[0], CALLERS)
        self._checks += 1
        for upload in self._in_turn():
            self._is_private(upload)
            if not upload.is_ready:
                self._is_unknown(upload.key, (upload.owner, SERVICE))
        for upload in self._records.uploads.values():
            if upload.is_ready:
                self._is_ready(upload)
            else:
                self.served(upload)
            if upload.is_deleted:
                for grant in upload.grants:
                    self._stays_deleted(grant)

    def _in_turn(self) -> list[Upload]:
        """Return all uploads; over HTTP one after the other, so that a step has a constant cost."""
        uploads = [*self._records.uploads.values()]
        if self._backend.simulates_store or not uploads:
            return uploads
        return [uploads[self._checks % len(uploads)]]

    def receipt(self, upload: Upload, document: dict[str, Any]) -> None:
        """Check that a receipt verifies, is the only one of its upload, and agrees with the response."""
        text = document["receipt"]
        assert self._records.receipts.setdefault(upload.id, text) == text, "two receipts of one upload"
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
        elif self._backend.checks_checksums:
            assert "sha256" not in upload.file.checksums, "a checksum that was compared is not certified"

    def served(self, upload: Upload) -> None:
        """Check that a link serves exactly the first bytes, or 404 after a deletion."""
        link = self._call(SERVICE, "link", upload.key)
        found = self._backend.get(link.document["url"])
        if not upload.is_ready:
            assert found.status == 404, (upload, found)
            return
        assert (found.status, found.body) == (200, upload.ready), (upload, found)
        if upload.id in self._records.receipts:
            assert self._claims(self._records.receipts[upload.id])["etag"] == found.etag

    def _is_ready(self, upload: Upload) -> None:
        assert upload.ready is not None
        owned = self._call(upload.owner, "object", upload.key)
        assert (owned.status, owned.document["size"]) == (200, len(upload.ready))
        assert owned == self._call(SERVICE, "object", upload.key)
        for grant in upload.grants:
            self.receipt(upload, self._call(upload.owner, "confirm", grant.id).document)
            assert self._call(upload.owner, "abort", grant.id).outcome == "upload_confirmed"
            look = self._call(upload.owner, "look", grant.id)
            assert (look.document["status"], look.document["key"]) == ("ready", upload.key)
        self.served(upload)

    def _stays_deleted(self, grant: Grant) -> None:
        now = self._backend.now()
        owner = grant.upload.owner
        assert grant.upload.has_tombstone or grant.is_expired(now), "the tombstone went before the id"
        outcomes = may_confirm(grant, now, in_ranges=0, compares_sha256=False)
        confirm = self._call(owner, "confirm", grant.id)
        assert confirm.status == 410, confirm
        assert confirm.outcome in outcomes, (confirm, outcomes)
        assert self._call(owner, "look", grant.id).document["status"] == may_look(grant, now)

    def _is_private(self, upload: Upload) -> None:
        """Check that for another user the upload does not exist."""
        for other in USERS:
            if other == upload.owner:
                continue
            self._is_unknown(upload.key, (other,))
            for grant in upload.grants:
                for name, more in BY_TICKET:
                    foreign = self._call(other, name, grant.id, *more)
                    assert foreign.outcome == "not_found", (name, foreign)
                    assert foreign == self._to_unknown(other, name, UNKNOWN_IDS[0], *more), name

    def _is_unknown(self, key: str, callers: tuple[str, ...]) -> None:
        names = BY_KEY if self._backend.links_for_all else (*BY_KEY, "link")
        for caller in callers:
            for name in names:
                if name == "link" and caller == SERVICE:
                    continue
                response = self._call(caller, name, key)
                assert response.status == 404, (caller, name, response)
                assert response == self._to_unknown(caller, name, UNKNOWN_KEYS[-1]), name

    def _to_unknown(self, caller: str, name: str, *arguments: Any) -> Response:
        """Return the response for an unknown resource, requested once in each step."""
        call = Call(caller, name, arguments)
        if call not in self._unknown:
            self._unknown[call] = self._call(*call[:2], *arguments)
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

    def _call(self, caller: str, name: str, *arguments: Any) -> Response:
        call = Call(caller, name, arguments)
        response = self._backend.call(call)
        refuse_server_errors(call, response)
        return response
