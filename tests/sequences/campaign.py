"""The long run of the sequences: ``python -m tests.sequences.campaign --steps 20000``.

It goes in rounds, each with a seed of its own, which is printed: ``--seed`` begins there again. A broken promise ends
it with the shortest sequence that breaks it.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from unittest.mock import patch

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.stores import seaweedfs
from tests.stores.place import Place

from .backend import Backend, small_and_fast
from .in_memory import InMemory
from .machine import Sequences
from .over_seaweedfs import OverSeaweedFS

MEMORY_ROUND = (60, 50)
"""Sequences of one round in memory, and steps of each sequence."""

REAL_ROUND = (8, 25)
"""The same for the real store."""

SHARE = 40
"""Steps in memory for each step with the real store."""


@contextmanager
def in_memory() -> Iterator[InMemory]:
    """Yield the back end with the simulated store."""
    backend = InMemory()
    with small_and_fast(backend.part_size, 0, ranges=True), patch("tests.stores.memory.PART_MIN", 1):
        yield backend
    backend.close()


@contextmanager
def over_seaweedfs(place: Place) -> Iterator[OverSeaweedFS]:
    """Yield the back end with a real store."""
    with small_and_fast(OverSeaweedFS.part_size, 0.01, ranges=False):
        backend = OverSeaweedFS(place)
        try:
            yield backend
        finally:
            backend.close()


def machine(over: Backend) -> type[Sequences]:
    """Return the state machine of a back end, with counts of its own."""

    class Machine(Sequences):
        backend = over
        tally: ClassVar[Counter[str]] = Counter()
        outcomes: ClassVar[Counter[str]] = Counter()

    return Machine


def run(found: type[Sequences], sequences: int, steps: int, seed: int | None = None) -> None:
    """Run some sequences, the same ones without a seed; raise the error of the shortest failing one."""
    settings = hypothesis.settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=seed is None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
    )
    if seed is not None:
        hypothesis.seed(seed)(found)
    run_state_machine_as_test(found, settings=settings)


def rounds(title: str, found: type[Sequences], wanted: int, seed: int, size: tuple[int, int]) -> None:
    """Run rounds until ``wanted`` steps were made, and print their counts."""
    began, last = time.monotonic(), seed - 1
    try:
        while found.tally.total() < wanted:
            last += 1
            run(found, *size, last)
    finally:
        print(f"{title}: {found.tally.total()} steps in {time.monotonic() - began:.0f} s, seeds {seed} to {last}")
        for counts in (found.tally, found.outcomes):
            print("  " + ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())), flush=True)


def main() -> int:
    """Make the steps in memory, and a share of them with a real store."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    logging.getLogger("broker").setLevel(logging.ERROR)  # each sequence warns once of a store without checksums
    with in_memory() as memory:
        rounds("in memory", machine(memory), given.steps, given.seed, MEMORY_ROUND)
    with (
        tempfile.TemporaryDirectory() as folder,
        seaweedfs.running(Path(folder)) as place,
        over_seaweedfs(place) as real,
    ):
        rounds("over SeaweedFS", machine(real), given.steps // SHARE, given.seed, REAL_ROUND)
    return 0


if __name__ == "__main__":
    sys.exit(main())
