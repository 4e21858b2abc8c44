"""The multipart uploads that killed processes left behind: found by age and key, and aborted by a later form."""

import asyncio
import json
import logging
import re
from typing import Any

import pytest

from broker.core.model import ObjectRef
from broker.errors import StorageUnavailableError
from broker.service import abandoned_forms
from broker.service.abandoned_forms import AGE_MIN, AbandonedForms, new_uuid
from broker.web.form import FORM_DEADLINE
from tests.stores.memory import MemoryObjectStore

from .deployment import DECLARED, Deployment
from .test_proxied_uploads import GOOD, arriving, stored

BUCKET = "songs"
NOW = 1_800_000_000


class Left:
    """A store with open multipart uploads of given ages, and a search in it."""

    def __init__(self, *ages: int) -> None:
        self.now = NOW
        self.store = MemoryObjectStore(clock=lambda: self.now)
        self.forms = AbandonedForms(self.store, BUCKET, lambda: self.now)
        self.ages = ages

    async def open(self, key: str) -> None:
        """Open one for each age."""
        for age in self.ages:
            self.now = NOW - age
            await self.store.create_multipart(ObjectRef(BUCKET, key), headers={})
        self.now = NOW

    async def search(self) -> list[int]:
        """Search, and return the ages of those that are left."""
        self.forms.search()
        for _ in range(9):
            await asyncio.sleep(0)
        return [NOW - found.initiated for found in self.store.multiparts.values()]


def test_new_uuids_have_version_8() -> None:
    """The UUID of a form's file is random and has version 8, by which its upload is recognised."""
    found = {new_uuid() for _ in range(300)}
    assert len(found) == 300
    pattern = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(pattern.fullmatch(uuid) for uuid in found)


async def test_only_old_uploads_are_aborted(caplog: pytest.LogCaptureFixture) -> None:
    """An upload of a form is aborted once it is older than any form can be, and the number is logged."""
    left = Left(0, 3600, AGE_MIN, AGE_MIN + 1, 10**6, NOW)
    await left.open(f"media/{new_uuid()}.mp3")
    with caplog.at_level(logging.WARNING):
        assert await left.search() == [0, 3600, AGE_MIN, NOW]
    (line,) = map(json.loads, caplog.messages)
    assert line == {"event": "broker.abandoned_forms_aborted", "count": 2}
    assert AGE_MIN >= FORM_DEADLINE + 3600


@pytest.mark.parametrize(
    "key",
    [
        "media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3",
        "media/8b8c8a52-8d8e-4c7b-8c8f-8f8f8a8e8d88.8",
        "incoming/8b8c8a52-8d8e-8c7b-8c8f-8f8f8a8e8d88.mp3",
        "media/x",
    ],
)
async def test_other_uploads_are_left_alone(key: str) -> None:
    """A promotion, a staged upload and a key of somebody else are never aborted."""
    left = Left(10**6)
    await left.open(key)
    assert await left.search() == [10**6]


async def test_uploads_have_another_version() -> None:
    """The keys of uploads by URL have UUIDs of version 4, with and without an idempotency key."""
    deployment = Deployment()
    for idempotency_key in (None, "a-key-of-the-client"):
        (created,) = await deployment.create_many([DECLARED], idempotency_key=idempotency_key)
        upload = deployment.services.uploads.upload_ids.open(created.upload_id)
        assert upload
        assert upload.uuid[14] == "4"


async def test_a_search_is_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process searches once in an interval, however many forms arrive."""
    left = Left(10**6)
    for _ in range(3):
        await left.search()
    assert left.store.calls["open_multiparts"] == 1
    monkeypatch.setattr(abandoned_forms, "INTERVAL", 0.0)
    left.forms._next_search = 0
    for _ in range(3):
        await left.search()
    assert left.store.calls["open_multiparts"] == 4


async def test_a_failed_search_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A store that fails is logged, and the form is stored."""
    deployment = Deployment()
    deployment.store.failing = {"open_multiparts"}
    with caplog.at_level(logging.WARNING):
        (media,) = await stored(deployment, arriving(GOOD))
        await asyncio.sleep(0)
    assert media.key[len("media/") + 14] == "8"
    (line,) = map(json.loads, caplog.messages)
    assert line["event"] == "broker.abandoned_forms_search_failed"


async def test_a_refused_abort_keeps_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """If the store does not abort one upload, the others are aborted all the same."""
    left = Left(10**6, 10**5)
    await left.open(f"media/{new_uuid()}.mp3")
    abort, refused = left.store.abort_multipart, min(left.store.multiparts)

    async def abort_others(ref: ObjectRef, s3_upload_id: str) -> None:
        if s3_upload_id == refused:
            raise StorageUnavailableError("the store returned 403")
        await abort(ref, s3_upload_id)

    left.store.abort_multipart = abort_others  # type: ignore[method-assign]  # one call of the store fails
    with caplog.at_level(logging.WARNING):
        assert len(await left.search()) == 1
    events = [json.loads(message)["event"] for message in caplog.messages]
    assert events == ["broker.abandoned_forms_search_failed", "broker.abandoned_forms_aborted"]


async def test_a_stopping_process_ends_its_search() -> None:
    """The end of the process does not wait for a store that does not respond."""
    deployment, endless = Deployment(), asyncio.Event()

    async def slow(*_: Any) -> Any:
        await endless.wait()

    deployment.store.open_multiparts = slow  # type: ignore[assignment, method-assign]  # one call of the store
    await stored(deployment, arriving(GOOD))
    await asyncio.wait_for(deployment.services.proxied_uploads.close(), 5)
    await Deployment().services.proxied_uploads.close()
