"""A SHA-256 stands in the answer and the receipt with the evidence for it, or not at all."""

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
    """An upload with a declared SHA-256, whose staged object is ``content``."""
    created = await deployment.create(WITH_SHA256)
    deployment.put(created, content)
    first = await deployment.confirm(created.upload_id)
    assert await deployment.confirm(created.upload_id) == first
    return first


def proof(outcome: ConfirmedUpload) -> tuple[bytes | None, Evidence | None]:
    """What the answer says, which the receipt says too."""
    claims: dict[str, Any] = jwt.decode(outcome.receipt, options={"verify_signature": False})
    assert (claims["sha256"] is None) is (outcome.track.sha256 is None)
    assert claims["sha256Evidence"] == outcome.track.evidence
    return outcome.track.sha256, outcome.track.evidence


async def test_a_checksum_that_the_store_returns_is_evidence() -> None:
    """The first kind."""
    assert proof(await confirmed(Deployment())) == (DIGEST, Evidence.STORE)


async def test_seq03_another_checksum_is_a_mismatch() -> None:
    """Whatever the upload URL signed."""
    with pytest.raises(ChecksumMismatchError):
        await confirmed(Deployment(), MP3[:-1] + b"x")


async def test_a_store_that_refuses_other_bytes_is_evidence_where_it_returns_nothing() -> None:
    """The second kind: R2."""
    deployment = Deployment()
    deployment.store.returns_checksums = False
    assert proof(await confirmed(deployment)) == (DIGEST, Evidence.UPLOAD)


@pytest.mark.parametrize("changes", [OTHER_STORE, {"SHA256_EVIDENCE": "store"}])
async def test_seq03_without_evidence_there_is_no_checksum_and_one_warning(
    changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A store of which nothing is known, or a deployment that demands the first kind."""
    deployment = Deployment(changes)
    deployment.store.returns_checksums = False
    assert [proof(await confirmed(deployment)) for _ in range(2)] == [(None, None)] * 2
    events = [json.loads(record.getMessage())["event"] for record in caplog.records if record.name == "broker.service"]
    assert events == ["broker.checksum_unproven"]


async def test_evidence_is_kept_with_the_ready_object() -> None:
    """A confirm after the staged object is gone repeats what was proved, also after the setting changed."""
    deployment = Deployment()
    created = await deployment.create(WITH_SHA256)
    staged = deployment.put(created)
    first = await deployment.confirm(created.upload_id)
    await deployment.store.delete(staged)
    later = Deployment({"SHA256_EVIDENCE": "store"}, deployment.store)
    assert await later.confirm(created.upload_id) == first


@pytest.mark.parametrize("digest", ["", "not base64", "QUJD"])
async def test_metadata_that_is_not_this_files_proves_nothing(digest: str) -> None:
    """A ready object that was made before there was evidence, or by others."""
    deployment = Deployment()
    created = await deployment.create(WITH_SHA256)
    deployment.put(created)
    key = (await deployment.confirm(created.upload_id)).track.key
    (ready,) = [ref for ref in deployment.store.objects if ref.key == key]
    deployment.store.put(ready, MP3, metadata={"sha256": digest, "sha256-evidence": "store"})
    assert proof(await deployment.confirm(created.upload_id)) == (None, None)


async def test_without_a_declared_checksum_nothing_is_asked_or_stated() -> None:
    """Three calls of the store, as ever."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    outcome = await deployment.services.uploads.confirm(USER, created.upload_id)
    assert isinstance(outcome, ConfirmedUpload)
    assert proof(outcome) == (None, None)
