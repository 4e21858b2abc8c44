"""Random UUIDs: their form, and that none comes twice."""

import os
import uuid

import pytest

from broker.crypto.random_uuids import CACHED, RandomUuids


def test_random_uuids_differ_and_have_version_4() -> None:
    """UUIDs are different, canonical, and of version 4 and its variant, also behind the cached ones."""
    uuids = RandomUuids()
    made = [uuids.next() for _ in range(3 * CACHED)]
    assert len({*made}) == len(made)
    for text in made:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_forked_child_repeats_no_uuid() -> None:
    """After a fork, parent and child make different UUIDs."""
    uuids = RandomUuids()
    uuids.next()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, " ".join(uuids.next() for _ in range(CACHED)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        of_child = {*pipe.read().split()}
    os.waitpid(child, 0)
    assert len(of_child) == CACHED
    assert of_child.isdisjoint({uuids.next() for _ in range(CACHED)})


def test_restart_drops_cached_uuids(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart the random bytes are new ones of the operating system."""
    uuids = RandomUuids()
    uuids.next()
    monkeypatch.setattr(os, "urandom", bytes)
    uuids.restart()
    assert uuids.next() == "00000000-0000-4000-8000-000000000000"
