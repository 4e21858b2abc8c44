"""Ready objects: an object of another owner does not exist for a user."""

import pytest

from broker.core import object_keys
from broker.core.model import ObjectRef
from broker.core.tombstone import is_tombstone
from broker.errors import ForbiddenError, InvalidRequestError, NotFoundError, StorageUnavailableError
from broker.service import deletion

from .deployment import MP3, OTHER, SERVICE, USER, Deployment

LEGACY = "media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.MP3"


async def test_object_is_visible_to_owner_and_service() -> None:
    """The owner and a service can read an object, and another user cannot."""
    deployment = Deployment()
    key = await deployment.ready()
    objects = deployment.services.objects
    assert await objects.get(USER, key) == await objects.get(SERVICE, key)
    found = await objects.get(USER, key)
    assert (found.owner, found.filename, found.stored.size) == ("user-1", "song.mp3", len(MP3))
    with pytest.raises(NotFoundError):
        await objects.get(OTHER, key)


async def test_object_without_owner_belongs_to_the_service() -> None:
    """An object without an owner in its metadata exists for a service alone."""
    deployment = Deployment()
    deployment.store.put(ObjectRef("songs", LEGACY), MP3)
    assert (await deployment.services.objects.get(SERVICE, LEGACY)).owner is None
    for act in (deployment.services.objects.get, deployment.services.objects.delete):
        with pytest.raises(NotFoundError):
            await act(USER, LEGACY)


@pytest.mark.parametrize("key", ["", "x", f"incoming/{LEGACY[6:]}", f"{LEGACY}\n"])
async def test_invalid_key_causes_no_request(key: str) -> None:
    """A text that is not a ready key is not found without a request to the store."""
    deployment = Deployment()
    for act in (deployment.services.objects.get, deployment.services.objects.delete):
        with pytest.raises(NotFoundError):
            await act(SERVICE, key)
    assert not deployment.store.calls


async def test_deletion_leaves_a_tombstone() -> None:
    """A deletion leaves a tombstone at the staged key, and the object is not found afterwards."""
    deployment = Deployment()
    key = await deployment.ready()
    await deployment.services.objects.delete(USER, key)
    assert await deployment.store.head(ObjectRef("songs", key)) is None
    assert is_tombstone(await deployment.store.head(ObjectRef("songs", object_keys.staged_twin(key))))
    with pytest.raises(NotFoundError):
        await deployment.services.objects.delete(USER, key)


async def test_other_user_cannot_delete() -> None:
    """Another user's deletion is not found and leaves the object."""
    deployment = Deployment()
    key = await deployment.ready()
    with pytest.raises(NotFoundError):
        await deployment.services.objects.delete(OTHER, key)
    assert (await deployment.services.objects.get(USER, key)).key == key


async def test_tombstone_precedes_the_removal() -> None:
    """A deletion that fails after its tombstone leaves the tombstone, and can be retried."""
    deployment = Deployment()
    key = await deployment.ready()
    deployment.store.failing = {"delete"}
    with pytest.raises(StorageUnavailableError):
        await deployment.services.objects.delete(USER, key)
    assert is_tombstone(await deployment.store.head(ObjectRef("songs", object_keys.staged_twin(key))))
    deployment.store.failing = set()
    await deployment.services.objects.delete(USER, key)


async def test_old_object_is_deleted_without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deletion of an object that is older than every possible copy does not wait."""
    monkeypatch.setattr(deletion, "COPY_GRACE", 86_400)
    deployment = Deployment()
    key = await deployment.ready()
    deployment.now += 2 * 3600
    await deployment.services.objects.delete(SERVICE, key)


async def test_bulk_delete_returns_failed_keys() -> None:
    """A bulk deletion returns the keys that failed, each with its reason."""
    deployment = Deployment()
    wanted = [LEGACY.replace("0b9c", start) for start in ("0000", "1111", "2222")]
    deployment.store.undeletable = {object_keys.staged_twin(wanted[0]), wanted[1]}
    failed = await deployment.services.objects.delete_many(SERVICE, [*wanted, wanted[2]])
    assert failed == {wanted[0]: "put_empty fails for this key", wanted[1]: "InternalError"}


async def test_bulk_delete_fails_if_all_keys_fail() -> None:
    """A bulk deletion raises the error of the store if all keys failed."""
    deployment = Deployment()
    deployment.store.failing = {"put_empty"}
    with pytest.raises(StorageUnavailableError):
        await deployment.services.objects.delete_many(SERVICE, [LEGACY])


async def test_deletion_aborts_open_multiparts() -> None:
    """A deletion aborts the open multipart uploads of its keys and of no other key."""
    deployment = Deployment()
    key = await deployment.ready()
    other = LEGACY.replace("0b9c", "0000")
    for where in (key, object_keys.staged_twin(key), other):
        await deployment.store.create_multipart(ObjectRef("songs", where), headers={"content-type": "audio/mpeg"})
    await deployment.services.objects.delete_many(SERVICE, [key])
    assert [found.ref.key for found in deployment.store.multiparts.values()] == [other]


async def test_deletion_succeeds_without_listing() -> None:
    """A deletion succeeds although the store refuses to list multipart uploads."""
    deployment = Deployment()
    key = await deployment.ready()
    deployment.store.failing = {"open_multiparts"}
    await deployment.services.objects.delete(USER, key)
    assert await deployment.store.head(ObjectRef("songs", key)) is None


async def test_bulk_delete_needs_service_and_ready_keys() -> None:
    """A bulk deletion is refused to users and for texts that are not ready keys."""
    deployment = Deployment()
    with pytest.raises(ForbiddenError):
        await deployment.services.objects.delete_many(USER, [LEGACY])
    with pytest.raises(InvalidRequestError) as refused:
        await deployment.services.objects.delete_many(SERVICE, [LEGACY, "x"])
    assert [fault.pointer for fault in refused.value.faults] == ["/keys/1"]
    assert not deployment.store.calls


def test_key_is_found_in_own_urls_only() -> None:
    """A key is found in a URL of this deployment, and not in a URL of another host."""
    objects = Deployment({"R2_PUBLIC_URL": "https://cdn.example"}).services.objects
    assert objects.key_in(f"https://cdn.example/{LEGACY}") == LEGACY
    with pytest.raises(NotFoundError):
        objects.key_in(f"https://evil.example/{LEGACY}")
