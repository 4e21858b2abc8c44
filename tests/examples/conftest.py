"""A broker and a store for the examples, and the folders of their installed packages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import Broker
from tests.e2e.stores import settings_of, store_with_bucket
from tests.npm import install

BUCKET = "media-bucket"
EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Run a broker over a store of its own."""
    with (
        store_with_bucket(folder / "store", "AKEXAMPLES", "a secret access key of the examples", BUCKET) as store,
        Broker(folder, settings_of(store, BUCKET)) as broker,
    ):
        yield broker


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run one broker for the examples that do not stop it."""
    with running_broker(tmp_path_factory.mktemp("examples")) as running:
        yield running


def copied(name: str, folder: Path) -> Path:
    """Copy an example below ``folder``, and install its npm packages there."""
    target = folder / name
    left_out = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(EXAMPLES / name, target, ignore=left_out, dirs_exist_ok=True)
    if (target / "package-lock.json").is_file():
        install(target)
    return target
