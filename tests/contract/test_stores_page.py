"""The tables of docs/stores.md compared with the stores."""

from pathlib import Path

import pytest

from tests.stores import journeys, probes
from tests.stores.place import Place
from tests.stores.table import NAMES, PAGE, WITHOUT_JOURNEYS, written

from .subjects import LACKS, params

REQUESTS = written(PAGE.read_text(encoding="utf-8"), "requests")
UPLOADS = written(PAGE.read_text(encoding="utf-8"), "uploads")
STORES = [name for name in LACKS if name != "memory"]


@pytest.fixture(params=params(STORES))
def place(request: pytest.FixtureRequest) -> Place:
    """Each store of the tables."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Place)
    return found


async def test_stores_verify_what_the_page_says(place: Place) -> None:
    """Each store accepts and refuses the requests as the table says."""
    assert await probes.verified(place) == REQUESTS[place.name]


@pytest.mark.stores
def test_uploads_end_as_the_page_says(place: Place, tmp_path: Path) -> None:
    """End-to-end uploads over each store end as the table says."""
    if place.name in WITHOUT_JOURNEYS:
        assert place.name not in UPLOADS
    else:
        assert journeys.travelled(place, tmp_path) == UPLOADS[place.name]


def test_the_page_has_each_store_of_the_contract() -> None:
    """The tables have a column for each store of the contract tests, and SeaweedFS lacks no upload."""
    assert set(REQUESTS) == set(NAMES) == set(STORES)
    assert set(UPLOADS) == set(NAMES) - WITHOUT_JOURNEYS
    assert all(UPLOADS["seaweedfs"].values())
