"""Create, verify, promote: each possible result of a confirm, and the objects that it leaves in the store."""

import hashlib
import uuid
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from broker.core.model import ObjectHead, ObjectRef, PresignedRequest, UploadStatus
from broker.core.tombstone import is_tombstone
from broker.core.upload_rules import Declaration
from broker.errors import (
    BrokerError,
    ChecksumMismatchError,
    ContentMismatchError,
    NotFoundError,
    NotUploadedError,
    SizeMismatchError,
    StorageUnavailableError,
    TypeMismatchError,
    UploadConfirmedError,
    UploadDeletedError,
    UploadExpiredError,
)
from broker.service.uploads import CreatedUpload
from tests.small_files import id3, mp3
from tests.stores.memory import MemoryObjectStore

from .deployment import DECLARED, MP3, OTHER, SERVICE, USER, Deployment


def signed(url: str) -> set[str]:
    """Return the names of the headers that a URL signs."""
    return set(parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"][0].split(";"))


def presigned(created: CreatedUpload) -> PresignedRequest:
    """Return the request of an upload by a single PUT."""
    assert created.request
    return created.request


async def test_upload_url_signs_size_type_and_condition() -> None:
    """The upload URL signs size, type and write-once condition, and expires after its lifetime."""
    request = presigned(await Deployment().create())
    assert request.headers == {"Content-Type": "audio/mpeg", "If-None-Match": "*"}
    assert signed(request.url) == {"host", "content-type", "content-length", "if-none-match"}
    assert request.expires_at == 1_800_000_000 + 900


async def test_declared_checksums_are_signed() -> None:
    """Declared checksums are signed headers that the client must send."""
    request = presigned(await Deployment().create(replace(DECLARED, sha256="00" * 32, md5="11" * 16)))
    assert set(request.headers) == {"Content-Type", "If-None-Match", "x-amz-checksum-sha256", "Content-MD5"}
    assert signed(request.url) == {
        "host", "content-type", "content-length", "if-none-match", "x-amz-checksum-sha256", "content-md5"
    }  # fmt: skip  # a set on one line


async def test_create_needs_no_store() -> None:
    """A create of a single PUT causes no request to the store."""
    deployment = Deployment()
    await deployment.create()
    assert not deployment.store.calls


async def test_staging_bucket_and_credentials_are_used() -> None:
    """Upload URLs use the staging bucket and its credentials if they are configured."""
    deployment = Deployment(
        {
            "R2_STAGING_BUCKET_NAME": "inbox",
            "R2_STAGING_ACCESS_KEY_ID": "AKSTAGING",
            "R2_STAGING_SECRET_ACCESS_KEY": "the staging secret",
        }
    )
    url = presigned(await deployment.create()).url
    assert "/inbox/incoming/" in url
    assert "AKSTAGING" in url


async def test_repeated_confirm_returns_the_same_result() -> None:
    """A confirmed upload is copied once, and every later confirm returns the same result."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    first = await deployment.confirm(created.upload_id, USER)
    deployment.now += 10 * 86_400
    assert await deployment.confirm(created.upload_id, SERVICE) == first
    assert deployment.store.calls["copy"] == 1


async def test_public_bucket_has_urls() -> None:
    """A confirmed upload in a public bucket has its public URL."""
    deployment = Deployment({"R2_PUBLIC_URL": "https://cdn.example"})
    created = await deployment.create()
    deployment.put(created)
    confirmed = await deployment.confirm(created.upload_id, USER)
    assert confirmed.url == f"https://cdn.example/{confirmed.track.key}"


@pytest.mark.parametrize(
    ("declared", "content", "content_type", "error"),
    [
        (DECLARED, MP3 + b"x", "audio/mpeg", SizeMismatchError),
        (DECLARED, MP3, "audio/mp3", TypeMismatchError),
        (replace(DECLARED, md5="00" * 16), MP3, "audio/mpeg", ChecksumMismatchError),
        (DECLARED, b"<html>".ljust(len(MP3)), "audio/mpeg", ContentMismatchError),
    ],
)
async def test_mismatching_object_is_not_promoted(
    declared: Declaration, content: bytes, content_type: str, error: type[BrokerError]
) -> None:
    """An object of another size, type, checksum or content than declared is not promoted."""
    deployment = Deployment()
    created = await deployment.create(declared)
    deployment.put(created, content, content_type)
    with pytest.raises(error):
        await deployment.confirm(created.upload_id, USER)
    assert deployment.store.calls["copy"] == 0


async def test_not_uploaded_and_expired_differ() -> None:
    """An upload without an object is not uploaded, and an expired upload is expired."""
    deployment = Deployment()
    created = await deployment.create()
    with pytest.raises(NotUploadedError):
        await deployment.confirm(created.upload_id, USER)
    deployment.put(created)
    deployment.now += 86_400
    with pytest.raises(UploadExpiredError):
        await deployment.confirm(created.upload_id, USER)


async def test_foreign_and_unknown_uploads_cause_no_request() -> None:
    """Foreign and unknown upload ids are not found, and cause no request to the store (L11, P01)."""
    deployment = Deployment()
    upload_id = (await deployment.create()).upload_id
    uploads = deployment.services.uploads
    for act in (uploads.confirm, uploads.progress, uploads.abort):
        for principal, given in ((OTHER, upload_id), (USER, "x" + upload_id[1:]), (SERVICE, "")):
            with pytest.raises(NotFoundError):
                await act(principal, given)
    assert not deployment.store.calls


async def test_batch_confirm_has_results_in_order() -> None:
    """A batch of confirms returns the result or the error of each upload id in order."""
    deployment = Deployment()
    created = [await deployment.create() for _ in range(2)]
    deployment.put(created[1])
    outcomes = await deployment.services.uploads.confirm_many(USER, [c.upload_id for c in created])
    assert isinstance(outcomes[0], NotUploadedError)
    assert not isinstance(outcomes[1], BrokerError)


class RacingStore(MemoryObjectStore):
    """A store where another process promotes or aborts the upload between the read and the copy."""

    promoted = True

    async def copy(self, source: ObjectRef, target: ObjectRef, **rest: object) -> None:  # noqa: ARG002  the port's shape
        """Fail the condition of the copy; store the object of the other process if it promoted."""
        if self.promoted:
            self.put(target, MP3)


async def test_lost_promotion_returns_the_winners_result() -> None:
    """A confirm whose copy fails because the target exists returns the result for that object."""
    deployment = Deployment(store=RacingStore())
    created = await deployment.create()
    deployment.put(created)
    confirmed = await deployment.confirm(created.upload_id, USER)
    assert confirmed.track.etag == hashlib.md5(MP3).hexdigest()


async def test_failed_copy_without_target_is_unavailable() -> None:
    """A confirm whose copy fails, and whose target does not exist, raises StorageUnavailableError."""
    store = RacingStore()
    store.promoted = False
    deployment = Deployment(store=store)
    created = await deployment.create()
    deployment.put(created)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(created.upload_id, USER)


class ChangingStore(MemoryObjectStore):
    """A store whose object is replaced right after it was read."""

    async def first_bytes(self, ref: ObjectRef, count: int, *, checksum: bool = False) -> ObjectHead | None:
        """Return the first version, and replace it."""
        found = await super().first_bytes(ref, count, checksum=checksum)
        self.put(ref, b"<html>")
        return found


async def test_only_the_verified_version_is_promoted() -> None:
    """A staged object that is replaced after its verification is not promoted (P12)."""
    deployment = Deployment(store=ChangingStore())
    created = await deployment.create()
    staged = deployment.put(created)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(created.upload_id, USER)
    assert set(deployment.store.objects) == {staged}


TAGGED = id3(50_000) + mp3(100)


async def tagged(deployment: Deployment, content: bytes = TAGGED) -> CreatedUpload:
    """Create the upload of a file with a long tag, and store its content."""
    created = await deployment.create(replace(DECLARED, size=len(TAGGED)))
    deployment.put(created, content)
    return created


async def test_long_tag_needs_one_more_read() -> None:
    """A confirm reads the content behind a tag that is longer than the first bytes, and no more of other files."""
    deployment = Deployment()
    confirmed = await deployment.confirm((await tagged(deployment)).upload_id)
    assert confirmed.track.upload.file.media_type.name == "audio/mpeg"
    assert deployment.store.calls == {"head": 1, "first_bytes": 1, "more_bytes": 1, "copy": 1}


async def test_other_bytes_behind_a_long_tag() -> None:
    """Other bytes behind a long tag are a content mismatch that names them."""
    deployment = Deployment()
    created = await tagged(deployment, id3(50_000) + b"<html>".ljust(100))
    with pytest.raises(ContentMismatchError, match="HTML"):
        await deployment.confirm(created.upload_id)


async def test_endless_tags_are_not_followed() -> None:
    """A second long tag behind the first is not followed: a confirm reads at most twice."""
    deployment = Deployment()
    content = (id3(20_000) + id3(20_000) + mp3(20_000))[: len(TAGGED)]
    created = await tagged(deployment, content)
    with pytest.raises(ContentMismatchError):
        await deployment.confirm(created.upload_id)
    assert deployment.store.calls == {"head": 1, "first_bytes": 1, "more_bytes": 1}


async def test_wrong_size_needs_no_second_read() -> None:
    """An object of another size than declared is refused without a second read."""
    deployment = Deployment()
    created = await tagged(deployment, TAGGED + b"x")
    with pytest.raises(SizeMismatchError):
        await deployment.confirm(created.upload_id)
    assert deployment.store.calls == {"head": 1, "first_bytes": 1}


async def test_object_that_changes_between_the_reads() -> None:
    """An object that is replaced between the two reads is not promoted."""
    deployment = Deployment(store=ChangingStore())
    created = await tagged(deployment)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(created.upload_id)
    assert len(deployment.store.objects) == 1


async def test_confirm_makes_three_store_calls() -> None:
    """A confirm reads the ready key and the staged object once and copies once."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    await deployment.confirm(created.upload_id, USER)
    assert deployment.store.calls == {"head": 1, "first_bytes": 1, "copy": 1}


async def test_confirm_succeeds_after_an_outage() -> None:
    """A confirm during an outage of the store fails, and succeeds after it."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    deployment.store.failing.add("head")
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(created.upload_id, USER)
    deployment.store.failing.clear()
    await deployment.confirm(created.upload_id, USER)


async def test_status_follows_the_store() -> None:
    """The status of an upload follows the objects in the store and the upload's expiry."""
    deployment = Deployment()
    created = await deployment.create()
    progress = deployment.services.uploads.progress
    assert (await progress(USER, created.upload_id)).status is UploadStatus.PENDING
    deployment.put(created)
    assert (await progress(USER, created.upload_id)).uploaded_bytes == len(MP3)
    deployment.now += 86_400
    assert (await progress(USER, created.upload_id)).status is UploadStatus.EXPIRED
    deployment.now -= 86_400
    await deployment.confirm(created.upload_id, USER)
    deployment.now += 86_400
    assert (await progress(USER, created.upload_id)).status is UploadStatus.READY


async def test_abort_is_final_and_repeatable() -> None:
    """An abort leaves a tombstone, can be repeated, and makes every confirm fail."""
    deployment = Deployment()
    created = await deployment.create()
    staged = deployment.put(created)
    for _ in range(2):
        await deployment.services.uploads.abort(USER, created.upload_id)
    assert is_tombstone(await deployment.store.head(staged))
    assert (await deployment.services.uploads.progress(USER, created.upload_id)).status is UploadStatus.DELETED
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)


async def test_abort_of_confirmed_upload_is_refused() -> None:
    """An abort of a confirmed upload is refused and changes nothing (P25)."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    confirmed = await deployment.confirm(created.upload_id)
    with pytest.raises(UploadConfirmedError):
        await deployment.services.uploads.abort(USER, created.upload_id)
    assert await deployment.confirm(created.upload_id) == confirmed


async def test_retried_create_gets_the_same_key() -> None:
    """A retried create gets the same keys, and each other file gets another key (B24)."""
    create = Deployment().create_many
    declared = [DECLARED, DECLARED, replace(DECLARED, size=1)]
    first, again = [await create(declared, idempotency_key="retry-1") for _ in range(2)]
    paths = [urlsplit(presigned(created).url).path for created in (*first, *again)]
    assert paths[:3] == paths[3:]
    assert len(set(paths)) == 3


async def test_upload_uuid_is_random_version_4() -> None:
    """Each new upload has a random UUID of version 4 in its canonical form."""
    made = [(await Deployment().create()).upload.uuid for _ in range(200)]
    assert len(set(made)) == len(made)
    parsed = [uuid.UUID(each) for each in made]
    assert {(each.version, each.variant, str(each)) for each in parsed} == {(4, uuid.RFC_4122, each) for each in made}
