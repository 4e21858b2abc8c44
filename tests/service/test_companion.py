"""Uploads of Uppy: expiry, sessions, and files whose size is not declared."""

import asyncio
from typing import Any

import pytest

from broker.core.limits import MIB, PARTS_MAX
from broker.core.model import Part, Principal
from broker.core.parts import UNSIZED, stored_plan
from broker.crypto.capabilities import Capabilities, Capability
from broker.errors import (
    BrokerError,
    InvalidRequestError,
    NotFoundError,
    PartsMissingError,
    SizeMismatchError,
    TooLargeError,
    UploadConfirmedError,
    UploadDeletedError,
)
from broker.service.companion import WantedFile
from broker.service.confirmation import ConfirmedUpload
from broker.service.uploads import CreatedUpload, Uploads
from tests.small_files import mp3
from tests.web.application import ENVIRONMENT

from .deployment import OTHER, USER, Deployment

PART = 5 * MIB
SIZED = WantedFile(filename="song.mp3", content_type="audio/mpeg", size=PART + 5)
UNKNOWN = WantedFile(filename="song.mp3", content_type="audio/mpeg", size=None)
UNKNOWN_PUT = WantedFile(filename="song.mp3", content_type="audio/mpeg", size=None, in_parts=False)


@pytest.fixture
def deployment() -> Deployment:
    """Return a deployment that takes files without a size, of at most 12 MiB."""
    return Deployment({"UPLOAD_ALLOW_UNSIZED": "on", "UPLOAD_MAX_BYTES": "12MiB"})


async def create(deployment: Deployment, wanted: WantedFile = SIZED) -> tuple[CreatedUpload, str]:
    """Create an upload; return it with its key."""
    uppy = deployment.services.companion
    (created,) = await uppy.create(USER, [uppy.accept(wanted)])
    return created, uppy.key_of(created.upload)


def send(deployment: Deployment, created: CreatedUpload, *sizes: int) -> None:
    """Store parts of these sizes, with few bytes."""
    assert created.upload.multipart
    for number, size in enumerate(sizes, start=1):
        body = mp3(60) if number == 1 else b"part"
        deployment.store.put_part(created.upload.multipart.s3_upload_id, number, body, size=size)


async def complete(deployment: Deployment, created: CreatedUpload, key: str) -> Any:
    """Complete an upload without patience."""
    until = asyncio.get_running_loop().time() + 5
    return await deployment.services.companion.complete(USER, created.upload_id, key, until=until)


async def test_expired_upload_is_not_found(deployment: Deployment) -> None:
    """An expired upload is answered like an unknown one by every use case."""
    created, key = await create(deployment)
    send(deployment, created, PART)
    deployment.now = created.upload.expires_at
    uppy, upload_id = deployment.services.companion, created.upload_id
    texts = set()
    for act in (
        lambda: complete(deployment, created, key),
        lambda: uppy.list_parts(USER, upload_id, key),
        lambda: uppy.abort(USER, upload_id, key),
        lambda: asyncio.to_thread(uppy.presign_parts, USER, upload_id, key, [1]),
        lambda: uppy.abort(OTHER, upload_id, key),
        lambda: uppy.abort(USER, "x", key),
    ):
        with pytest.raises(NotFoundError) as caught:
            await act()
        texts.add(caught.value.detail)
    assert len(texts) == 1


async def test_expired_upload_keeps_its_confirmed_object(deployment: Deployment) -> None:
    """A completion of a confirmed upload succeeds after its expiry, too."""
    created, key = await create(deployment)
    send(deployment, created, PART, 5)
    confirmed = await complete(deployment, created, key)
    deployment.now = created.upload.expires_at
    assert await complete(deployment, created, key) == confirmed
    assert len(await deployment.services.companion.list_parts(USER, created.upload_id, key)) == 2


async def test_session_is_the_user_until_it_expires(deployment: Deployment) -> None:
    """A session stands for its user, without the scope of a service, until it expires."""
    uppy = deployment.services.companion
    token, expires_at = uppy.open_session(USER)
    assert uppy.principal_of(token, None) == USER
    assert expires_at == deployment.now + 900
    deployment.now = expires_at
    with pytest.raises(NotFoundError):
        uppy.principal_of(token, None)


async def test_secret_makes_sessions_of_any_user(deployment: Deployment) -> None:
    """With the deployment's secret alone, anybody can make a session of any user, but not one of a service."""
    made = Capabilities([ENVIRONMENT["BROKER_SECRET"].encode()]).seal(Capability("user-7", deployment.now + 60))
    assert deployment.services.companion.principal_of(made, None) == Principal("user-7")


async def test_capability_ends_one_upload_only(deployment: Deployment) -> None:
    """The capability of an upload opens neither another upload nor a request without one."""
    uppy = deployment.services.companion
    (first, _), (second, _) = await create(deployment), await create(deployment)
    capability = uppy.capability_of(first.upload)
    assert uppy.principal_of(capability, first.upload_id) == USER
    for upload_id in (second.upload_id, None, "x"):
        with pytest.raises(NotFoundError):
            uppy.principal_of(capability, upload_id)
    assert uppy.capabilities.open(capability, now=0) == Capability("user-1", first.upload.expires_at, first.upload.uuid)


async def test_unsized_file_is_refused_by_default() -> None:
    """Without the setting a file without a size is refused."""
    with pytest.raises(InvalidRequestError):
        Deployment().services.companion.accept(UNKNOWN)


@pytest.mark.parametrize("sizes", [(60,), (PART, 5), (PART, PART, 2 * MIB), (6 * MIB, 6 * MIB)])
async def test_unsized_file_in_parts_is_confirmed(deployment: Deployment, sizes: tuple[int, ...]) -> None:
    """A file without a size is confirmed with the size of its parts."""
    created, key = await create(deployment, UNKNOWN)
    uppy = deployment.services.companion
    assert created.upload.file.size == UNSIZED
    signed = uppy.presign_parts(USER, created.upload_id, key, [1, 3])
    assert all("X-Amz-SignedHeaders=host&" in part.url for part in signed.parts)
    send(deployment, created, *sizes)
    assert [part.size for part in await uppy.list_parts(USER, created.upload_id, key)] == [*sizes]
    confirmed = await complete(deployment, created, key)
    assert isinstance(confirmed, ConfirmedUpload)
    assert confirmed.track.upload.file.size == sum(sizes)
    assert await complete(deployment, created, key) == confirmed
    state = await deployment.services.uploads.progress(USER, created.upload_id)
    assert state.uploaded_bytes == sum(sizes)


@pytest.mark.parametrize(
    ("sizes", "kind"),
    [
        ((), PartsMissingError),
        ((PART, 5, PART), SizeMismatchError),
        ((PART, PART, 2 * MIB + 1), TooLargeError),
        ((13 * MIB,), TooLargeError),
    ],
)
async def test_unsized_parts_have_limits(
    deployment: Deployment, sizes: tuple[int, ...], kind: type[BrokerError]
) -> None:
    """Parts of an unsized file must exist, be equal but for the last, and fit the limit of a file together."""
    created, key = await create(deployment, UNKNOWN)
    send(deployment, created, *sizes)
    with pytest.raises(kind):
        await complete(deployment, created, key)


async def test_unsized_part_numbers_have_a_limit(deployment: Deployment) -> None:
    """No part of an unsized file is signed that begins beyond the limit of a file."""
    created, key = await create(deployment, UNKNOWN)
    with pytest.raises(InvalidRequestError):
        deployment.services.companion.presign_parts(USER, created.upload_id, key, [4])


async def test_unsized_put_is_checked_by_the_confirm(deployment: Deployment) -> None:
    """A PUT of a file without a size signs its type only, and the confirm checks the limit."""
    created, key = await create(deployment, UNKNOWN_PUT)
    assert created.request
    assert "content-type%3Bhost%3Bif-none-match" in created.request.url
    ref = deployment.put(created, mp3(120))
    confirmed = await deployment.confirm(created.upload_id)
    assert (confirmed.track.key, confirmed.track.upload.file.size) == (key, 120)
    other, _ = await create(deployment, UNKNOWN_PUT)
    deployment.put(other, mp3(12 * MIB + 1))
    with pytest.raises(TooLargeError):
        await deployment.confirm(other.upload_id)
    assert ref in deployment.store.objects


async def test_aborted_unsized_upload_is_deleted(deployment: Deployment) -> None:
    """An unsized upload is deleted by an abort until its parts are joined, and is not confirmed afterwards."""
    created, key = await create(deployment, UNKNOWN)
    send(deployment, created, 60)
    await deployment.services.companion.abort(USER, created.upload_id, key)
    assert not deployment.store.multiparts
    with pytest.raises(BrokerError):
        await complete(deployment, created, key)


async def test_abort_that_loses_to_a_confirm_keeps_the_object(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An abort is not an error when another process confirms the upload meanwhile."""

    async def confirmed(*_arguments: object) -> None:
        raise UploadConfirmedError

    created, key = await create(deployment)
    monkeypatch.setattr(Uploads, "abort", confirmed)
    await deployment.services.companion.abort(USER, created.upload_id, key)


async def test_parts_of_a_deleted_upload_are_not_listed(deployment: Deployment) -> None:
    """The list of a deleted upload is refused, because the client could otherwise send its parts again."""
    created, key = await create(deployment)
    await deployment.services.uploads.abort(USER, created.upload_id)
    with pytest.raises(UploadDeletedError):
        await deployment.services.companion.list_parts(USER, created.upload_id, key)


def test_plan_of_stored_parts() -> None:
    """The plan of an unsized file is the sum of its parts in parts of the first; without parts one is missing."""
    assert (stored_plan([Part(1, 5, ""), Part(2, 3, "")]).size, stored_plan([]).count) == (8, 1)
    assert stored_plan([Part(1, 0, "")]).count == 1


def test_plan_of_a_tiny_first_part_is_small() -> None:
    """A first part of one byte does not make a plan of a part for each byte."""
    assert stored_plan([Part(1, 1, ""), Part(2, 5 * 1024 * MIB, "")]).count <= PARTS_MAX
