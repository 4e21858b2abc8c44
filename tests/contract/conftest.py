"""Each test runs once for each store."""

from collections.abc import AsyncIterator

import pytest

from tests.stores.place import Place

from .subjects import LACKS, VERIFIES_SIGNATURES, Real, Subject, memory, params


@pytest.fixture(params=params(LACKS))
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """Each store that must keep the contract."""
    if request.param == "memory":
        yield memory()
        return
    place = request.getfixturevalue(request.param)
    store = place.object_store()
    yield Real(place, store)
    await store.close()


@pytest.fixture(params=params(name for name in LACKS if VERIFIES_SIGNATURES not in LACKS[name]))
def place(request: pytest.FixtureRequest) -> Place:
    """Each store that verifies signatures."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Place)
    return found
