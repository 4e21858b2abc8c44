"""The long fuzzing over HTTP of a broker with a real store: ``python -m tests.fuzz.campaign``.

Each round has a seed, which is printed with its results. ``--seed`` starts with that round.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.e2e.processes import Broker
from tests.ports import free_port
from tests.stores import seaweedfs

from . import properties, schemathesis_run
from .conftest import environment
from .journal import findings, memory
from .known import Known, created, created_without_store
from .properties import PROPERTIES, Target
from .verdict import Verdict
from .wire import Wire

ROUND = {"invalid_tokens": 2000, "paths": 1000, "reads": 1000, "bodies": 1500, "creates": 500, "raw": 1000}
"""Examples of a round. Most are sent twice, as a user and as a service."""

WITHOUT_STORE = {"paths": 150, "reads": 100, "bodies": 200}
"""Examples without a store, where many requests wait for a second attempt."""


def main() -> int:
    """Send the requests and print the number of each status; return 1 with the first finding."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--requests", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    names = ("hypothesis", "schemathesis", "starlette", "uvicorn", "httptools")
    print(f"Python {platform.python_version()},", ", ".join(f"{name} {version(name)}" for name in names), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        tally = with_store(Path(folder), given.requests, given.seed) + without_store(Path(folder), given.seed)
    report("all", tally)
    return 0


def with_store(folder: Path, wanted: int, seed: int) -> Counter[str]:
    """Run Schemathesis, then rounds of all properties until ``wanted`` requests were sent."""
    (folder / "store").mkdir()
    with seaweedfs.running(folder / "store") as store, served(folder, environment(store)) as broker:
        tally = schemathesis_run.tally(broker, folder, seed)
        report("schemathesis", tally)
        while tally.total() < wanted:
            tally += one_round(broker, created(broker), ROUND, seed)
            report(f"with the store, round of seed {seed}, {memory(broker)}", tally)
            seed += 1
    return tally


def without_store(folder: Path, seed: int) -> Counter[str]:
    """Run one small round without a store."""
    nowhere = {
        "R2_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "R2_ACCESS_KEY_ID": "AKNOWHERE",
        "R2_SECRET_ACCESS_KEY": "a secret access key of the tests",
        "R2_BUCKET_NAME": "songs",
        "BROKER_RATE_LIMIT": "0",
    }
    with served(folder, nowhere) as broker:
        tally = one_round(broker, created_without_store(broker), WITHOUT_STORE, seed, without_store=True)
    report("without the store", tally)
    return tally


@contextmanager
def served(folder: Path, settings: dict[str, str]) -> Iterator[Broker]:
    """Start a broker, and check its log at the end."""
    with Broker(folder, settings) as broker:
        yield broker
        assert findings(broker) == []


def one_round(
    broker: Broker, known: Known, examples: dict[str, int], seed: int, *, without_store: bool = False
) -> Counter[str]:
    """Run every property with its number of examples."""
    with Wire(broker.port) as wire:
        target = Target(wire, Verdict(without_store=without_store), known)
        for name in PROPERTIES.keys() & examples.keys():
            properties.run(name, target, examples[name], seed)
        return wire.tally


def report(title: str, tally: Counter[str]) -> None:
    """Print the number of requests by status."""
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(tally.items()))
    print(f"{title}: {tally.total()} requests ({counts})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
