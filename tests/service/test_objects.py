"""Ready objects: to a user, another's is not there."""

import pytest

from broker.core import keys
from broker.core.model import ObjectRef
from broker.errors import ForbiddenError, InvalidRequestError, NotFoundError

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


async def test_deleting_removes_the_staged_twin_too_and_may_be_repeated() -> None:
    deployment = Deployment()
    key = await deployment.ready()
    for _ in range(2):
        await deployment.services.objects.delete(USER, key)
    for gone in (key, keys.staged_twin(key)):
        assert await deployment.store.head(ObjectRef("songs", gone)) is None


async def test_another_user_deletes_nothing() -> None:
    deployment = Deployment()
    key = await deployment.ready()
    with pytest.raises(NotFoundError):
        await deployment.services.objects.delete(OTHER, key)
    assert (await deployment.services.objects.get(USER, key)).key == key


async def test_a_service_deletes_without_looking_first() -> None:
    deployment = Deployment()
    await deployment.services.objects.delete(SERVICE, LEGACY)
    assert deployment.store.calls == {"delete": 2}


async def test_a_bulk_delete_says_of_each_key_whether_it_is_gone() -> None:
    deployment = Deployment()
    wanted = [LEGACY.replace("0b9c", start) for start in ("0000", "1111", "2222")]
    deployment.store.undeletable = {keys.staged_twin(wanted[0]), wanted[1]}
    outcome = await deployment.services.objects.delete_many(SERVICE, [*wanted, wanted[2]])
    assert outcome == {wanted[0]: False, wanted[1]: False, wanted[2]: True}


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
