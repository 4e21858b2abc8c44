"""A short run of the sequences; ``make fuzz`` runs longer."""

from collections.abc import Iterator

import pytest

from tests.stores.place import Place

from .backend import CALLERS, Backend, Call
from .campaign import in_memory, machine, over_seaweedfs, run
from .in_memory import InMemory
from .model import content
from .over_seaweedfs import OverSeaweedFS
from .signed_urls import read


@pytest.fixture
def memory() -> Iterator[InMemory]:
    """Yield the back end with the simulated store."""
    with in_memory() as backend:
        yield backend


@pytest.fixture
def real(seaweedfs: Place) -> Iterator[OverSeaweedFS]:
    """Yield the back end with a real store."""
    with over_seaweedfs(seaweedfs) as backend:
        yield backend


def test_sequences_in_memory(memory: InMemory) -> None:
    """Some hundred steps, the same in each run, break no promise."""
    found = machine(memory)
    run(found, sequences=12, steps=40)
    assert found.tally.total() > 200


def test_sequences_with_a_real_store(real: OverSeaweedFS) -> None:
    """Some dozen steps over HTTP, whose signatures the store verifies, break no promise."""
    found = machine(real)
    run(found, sequences=7, steps=10)
    assert found.tally.total() > 30


def test_both_back_ends_return_equal_documents(memory: InMemory, real: OverSeaweedFS) -> None:
    """The responses in the life of one upload have equal statuses and members in memory and over HTTP."""
    backends: tuple[Backend, ...] = (memory, real)
    one, other = (_life(backend) for backend in backends)
    assert one == other


def _life(backend: Backend) -> list[tuple[str, list[str]]]:
    """Return outcome and members of each response of an upload, before and after its PUT, and at the end."""
    backend.begin(0)
    file = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 57, "sha256": None}
    created = backend.call(Call("user-1", "create", ([file], None)))
    (upload,) = created.document["uploads"]
    grant = upload["uploadId"]
    key = read(upload["url"]).ref.key.replace("incoming/", "media/")
    responses = [created]
    for after in ("nothing", "put", "delete"):
        if after == "put":
            assert backend.put(upload["url"], upload["headers"], content(57, "first")) == 200
        if after == "delete":
            responses.append(backend.call(Call("service", "delete", (key,))))
        for caller in CALLERS:
            responses += [backend.call(Call(caller, name, (grant,))) for name in ("look", "confirm")]
            responses += [backend.call(Call(caller, name, (key,))) for name in ("object", "link")]
            responses.append(backend.call(Call(caller, "confirm_many", ([grant, "x"],))))
    responses.append(backend.call(Call("user-1", "abort", (grant,))))
    return [(response.outcome, sorted(response.document)) for response in responses]
