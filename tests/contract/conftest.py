"""One subject after another."""

from collections.abc import AsyncIterator

import pytest

from .subjects import LACKS, Real, Subject, memory


@pytest.fixture(params=LACKS)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """Each store that must keep the contract."""
    if request.param == "memory":
        yield memory()
        return
    place = request.getfixturevalue(request.param)
    store = place.object_store()
    yield Real(place, store)
    await store.close()
