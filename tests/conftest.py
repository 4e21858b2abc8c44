"""Real stores, each started once a session by the first test that uses it.

A store that cannot start is an error, never a reason to skip a test.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from broker.store import admin
from tests.grouping import ByFileAndEngine
from tests.stores import local_r2 as local_r2_server
from tests.stores import ministack as ministack_server
from tests.stores import moto_server
from tests.stores import seaweedfs as seaweedfs_server
from tests.stores.place import Place

# Examples that take long say that the machine has other work. All else of the profile in use stays as it is.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFileAndEngine | None:
    """Group the tests with ``--dist loadgroup``."""
    return ByFileAndEngine(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Start a SeaweedFS with an empty bucket."""
    with seaweedfs_server.running(tmp_path_factory.mktemp("seaweedfs")) as place:
        yield place


@pytest.fixture
def seaweedfs_hosts(seaweedfs: Place) -> Iterator[Place]:
    """Return the SeaweedFS with a host for each bucket."""
    with seaweedfs_server.at_its_hosts(seaweedfs) as place:
        yield place


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Start a MiniStack with an empty bucket."""
    with ministack_server.running(tmp_path_factory.mktemp("ministack")) as place:
        yield place


@pytest.fixture(scope="session")
def local_r2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Start Cloudflare's local R2 with an empty bucket."""
    with local_r2_server.running(tmp_path_factory.mktemp("local_r2")) as place:
        yield place


@pytest.fixture(scope="session")
def moto() -> Iterator[Place]:
    """Start a moto server with an empty bucket."""
    with moto_server.running() as place:
        yield place


@pytest.fixture(params=["seaweedfs", "moto"])
def place(request: pytest.FixtureRequest) -> Place:
    """Return a running store whose rules can be set."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bucket(place: Place) -> Iterator[str]:
    """Create a bucket that must be empty after the test."""
    client, name = admin.connect(place.endpoint, place.credentials), f"test-{uuid4()}"
    located: Any = {"CreateBucketConfiguration": {"LocationConstraint": "auto"}}  # moto requires that it is signed for
    client.create_bucket(Bucket=name, **(located if place.name == "moto" else {}))
    yield name
    assert client.list_objects_v2(Bucket=name).get("Contents", []) == []
    client.delete_bucket(Bucket=name)
