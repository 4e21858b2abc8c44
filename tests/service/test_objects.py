"""Ready objects: to a user, another's is not there."""

import pytest

from broker.core import object_keys
from broker.core.model import ObjectRef
from broker.core.tombstone import is_tombstone
from broker.errors import ForbiddenError, InvalidRequestError, NotFoundError, StorageUnavailableError
from broker.service import deletion

from .deployment import MP3, OTHER, SERVICE, USER, Deployment

LEGACY = "media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.MP3"


async def test_an_owner_and_a_service_see_an_object_and_nobody_else() -> None:
    deployment = Deployment()
    key = await deployment.ready()
    objects = deployment.services.objects
    assert await objects.get(USER, key) == await objects.get(SERVICE, key)
    found = await objects.get(USER, key)
    assert (found.owner, found.filename, found.stored.size) == ("user-1", "song.mp3", len(MP3))
    with pytest.raises(NotFoundError):
        await objects.get(OTHER, key)


async def test_an_object_older_than_the_broker_is_the_services_alone() -> None:
    deployment = Deployment()
    deployment.store.put(ObjectRef("songs", LEGACY), MP3)
    assert (await deployment.services.objects.get(SERVICE, LEGACY)).owner is None
    for act in (deployment.services.objects.get, deployment.services.objects.delete):
        with pytest.raises(NotFoundError):
            await act(USER, LEGACY)


@pytest.mark.parametrize("key", ["", "x", f"incoming/{LEGACY[6:]}", f"{LEGACY}\n"])
async def test_what_is_no_key_is_not_found_and_asks_the_store_nothing(key: str) -> None:
    deployment = Deployment()
    for act in (deployment.services.objects.get, deployment.services.objects.delete):
        with pytest.raises(NotFoundError):
            await act(SERVICE, key)
    assert not deployment.store.calls


async def test_deleting_leaves_a_tombstone_and_is_not_found_again() -> None:
    deployment = Deployment()
    key = await deployment.ready()
    await deployment.services.objects.delete(USER, key)
    assert await deployment.store.head(ObjectRef("songs", key)) is None
    assert is_tombstone(await deployment.store.head(ObjectRef("songs", object_keys.staged_twin(key))))
    with pytest.raises(NotFoundError):
        await deployment.services.objects.delete(USER, key)


async def test_another_user_deletes_nothing() -> None:
    deployment = Deployment()
    key = await deployment.ready()
    with pytest.raises(NotFoundError):
        await deployment.services.objects.delete(OTHER, key)
    assert (await deployment.services.objects.get(USER, key)).key == key


async def test_a_tombstone_comes_before_the_removal() -> None:
    """A store that fails between the two leaves nothing that a confirm could bring back."""
    deployment = Deployment()
    key = await deployment.ready()
    deployment.store.failing = {"delete"}
    with pytest.raises(StorageUnavailableError):
        await deployment.services.objects.delete(USER, key)
    assert is_tombstone(await deployment.store.head(ObjectRef("songs", object_keys.staged_twin(key))))
    deployment.store.failing = set()
    await deployment.services.objects.delete(USER, key)


async def test_an_old_object_is_deleted_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """No copy to it can be under way; a day's pause would stop this test."""
    monkeypatch.setattr(deletion, "COPY_GRACE", 86_400)
    deployment = Deployment()
    key = await deployment.ready()
    deployment.now += 2 * 3600
    await deployment.services.objects.delete(SERVICE, key)


async def test_a_bulk_delete_returns_the_keys_that_it_failed_to_delete() -> None:
    deployment = Deployment()
    wanted = [LEGACY.replace("0b9c", start) for start in ("0000", "1111", "2222")]
    deployment.store.undeletable = {object_keys.staged_twin(wanted[0]), wanted[1]}
    failed = await deployment.services.objects.delete_many(SERVICE, [*wanted, wanted[2]])
    assert failed == {wanted[0]: "put_empty fails for this key", wanted[1]: "InternalError"}


async def test_a_bulk_delete_that_fails_for_all_keys_is_refused() -> None:
    deployment = Deployment()
    deployment.store.failing = {"put_empty"}
    with pytest.raises(StorageUnavailableError):
        await deployment.services.objects.delete_many(SERVICE, [LEGACY])


async def test_a_deletion_aborts_what_is_under_way_in_parts() -> None:
    deployment = Deployment()
    key = await deployment.ready()
    other = LEGACY.replace("0b9c", "0000")
    for where in (key, object_keys.staged_twin(key), other):
        await deployment.store.create_multipart(ObjectRef("songs", where), headers={"content-type": "audio/mpeg"})
    await deployment.services.objects.delete_many(SERVICE, [key])
    assert [found.ref.key for found in deployment.store.multiparts.values()] == [other]


async def test_a_store_that_lists_no_multipart_uploads_still_deletes() -> None:
    deployment = Deployment()
    key = await deployment.ready()
    deployment.store.failing = {"open_multiparts"}
    await deployment.services.objects.delete(USER, key)
    assert await deployment.store.head(ObjectRef("songs", key)) is None


async def test_a_bulk_delete_is_for_the_service_and_for_keys_only() -> None:
    deployment = Deployment()
    with pytest.raises(ForbiddenError):
        await deployment.services.objects.delete_many(USER, [LEGACY])
    with pytest.raises(InvalidRequestError) as refused:
        await deployment.services.objects.delete_many(SERVICE, [LEGACY, "x"])
    assert [fault.pointer for fault in refused.value.faults] == ["/keys/1"]
    assert not deployment.store.calls


def test_a_key_is_found_in_a_url_of_this_deployment_alone() -> None:
    objects = Deployment({"R2_PUBLIC_URL": "https://cdn.example"}).services.objects
    assert objects.key_in(f"https://cdn.example/{LEGACY}") == LEGACY
    with pytest.raises(NotFoundError):
        objects.key_in(f"https://evil.example/{LEGACY}")
