"""The result and the receipt have a SHA-256 together with its evidence, or not at all."""

import hashlib
import json
from typing import Any

import jwt
import pytest
from msgspec.structs import replace

from broker.core.model import Evidence
from broker.errors import ChecksumMismatchError
from broker.service.confirmation import ConfirmedUpload

from .deployment import DECLARED, MP3, USER, Deployment

DIGEST = hashlib.sha256(MP3).digest()
WITH_SHA256 = replace(DECLARED, sha256=DIGEST.hex())
OTHER_STORE = {"R2_ENDPOINT": "http://127.0.0.1:9"}


async def confirmed(deployment: Deployment, content: bytes = MP3) -> ConfirmedUpload:
    """Confirm an upload with a declared SHA-256, whose staged object is ``content``, twice."""
    created = await deployment.create(WITH_SHA256)
    deployment.put(created, content)
    first = await deployment.confirm(created.upload_id)
    assert await deployment.confirm(created.upload_id) == first
    return first


def proof(outcome: ConfirmedUpload) -> tuple[bytes | None, Evidence | None]:
    """Return the checksum and its evidence, which the receipt must have too."""
    claims: dict[str, Any] = jwt.decode(outcome.receipt, options={"verify_signature": False})
    assert (claims["sha256"] is None) is (outcome.track.sha256 is None)
    assert claims["sha256Evidence"] == outcome.track.evidence
    return outcome.track.sha256, outcome.track.evidence


async def test_checksum_from_the_store_is_evidence() -> None:
    """A checksum that the store returns is evidence of the first kind."""
    assert proof(await confirmed(Deployment())) == (DIGEST, Evidence.STORE)


async def test_seq03_other_checksum_is_a_mismatch() -> None:
    """A stored checksum that differs from the declared one is a mismatch."""
    with pytest.raises(ChecksumMismatchError):
        await confirmed(Deployment(), MP3[:-1] + b"x")


async def test_signed_upload_is_evidence_without_store_checksum() -> None:
    """A signed checksum is evidence at a store such as R2 that refuses other bytes and returns no checksum."""
    deployment = Deployment()
    deployment.store.returns_checksums = False
    assert proof(await confirmed(deployment)) == (DIGEST, Evidence.UPLOAD)


@pytest.mark.parametrize("changes", [OTHER_STORE, {"SHA256_EVIDENCE": "store"}])
async def test_seq03_no_evidence_means_no_checksum(changes: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """Without evidence the result has no checksum, and the process logs one warning."""
    deployment = Deployment(changes)
    deployment.store.returns_checksums = False
    assert [proof(await confirmed(deployment)) for _ in range(2)] == [(None, None)] * 2
    events = [json.loads(record.getMessage())["event"] for record in caplog.records if record.name == "broker.service"]
    assert events == ["broker.checksum_unproven"]


async def test_evidence_is_stored_with_the_ready_object() -> None:
    """A repeated confirm returns the first evidence, without the staged object and after a change of settings."""
    deployment = Deployment()
    created = await deployment.create(WITH_SHA256)
    staged = deployment.put(created)
    first = await deployment.confirm(created.upload_id)
    await deployment.store.delete(staged)
    later = Deployment({"SHA256_EVIDENCE": "store"}, deployment.store)
    assert await later.confirm(created.upload_id) == first


@pytest.mark.parametrize("digest", ["", "not base64", "QUJD"])
async def test_foreign_metadata_is_not_evidence(digest: str) -> None:
    """Checksum metadata of a ready object that does not match the declared file is not evidence."""
    deployment = Deployment()
    created = await deployment.create(WITH_SHA256)
    deployment.put(created)
    key = (await deployment.confirm(created.upload_id)).track.key
    (ready,) = [ref for ref in deployment.store.objects if ref.key == key]
    deployment.store.put(ready, MP3, metadata={"sha256": digest, "sha256-evidence": "store"})
    assert proof(await deployment.confirm(created.upload_id)) == (None, None)


async def test_undeclared_checksum_is_not_stated() -> None:
    """An upload without a declared checksum is confirmed without one."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    outcome = await deployment.services.uploads.confirm(USER, created.upload_id)
    assert isinstance(outcome, ConfirmedUpload)
    assert proof(outcome) == (None, None)
