"""X11, minutes of load while faults of the store occur at random: ``python -m tests.faults.soak``.

Prints the resources of the broker's process. Exits with 1 if they grew, or if a response or a log line was
unexpected. ``--seed`` repeats the same faults in the same order.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .campaign import Bench, bench, versions
from .journal import Journal, unexpected_lines
from .process import Sample, quarters, slope, watch
from .standing import NONE
from .steady import Load, steady
from .store_rows import FAULTS, unexpected
from .table import markdown, signing, statuses

WARM_UP = 60.0
"""Seconds before memory is measured: it grows once with the number of concurrent calls."""
EVERY = 5.0
"""Seconds between two samples."""

STANDS = (4.0, 8.0)
PAUSES = (18.0, 26.0)
"""Limits of the duration of a fault and of the pause after it, in seconds."""

AFTER = 10.0
"""Seconds after a fault with possible 503s: 5 between two attempts of the broker, and 3 for one attempt."""

GROWS_BY = 1.0  # MiB a minute
LARGER = 1.05  # memory of the last quarter, relative to the first
MORE = 5  # more file descriptors or threads in the last quarter than in the first


@dataclass
class Period:
    """A fault, with the instants of its start and end."""

    name: str
    began: float
    ended: float = float("inf")


@dataclass
class Faults:
    """The faults so far, and whether there is none at the moment."""

    stood: list[Period] = field(default_factory=list)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    async def change(self, setup: Bench, chance: random.Random, warm_up: float) -> None:
        """Apply each fault once during the warm-up, and then random ones without end."""
        for name in FAULTS:
            await self._apply(setup, name, warm_up / len(FAULTS))
        while True:
            await asyncio.sleep(AFTER)
            self.quiet.set()
            await asyncio.sleep(chance.uniform(*PAUSES) - AFTER)
            self.quiet.clear()
            await self._apply(setup, chance.choice(sorted(FAULTS)), chance.uniform(*STANDS))

    async def _apply(self, setup: Bench, name: str, seconds: float) -> None:
        now = Period(name, time.monotonic())
        self.stood.append(now)
        setup.proxy.apply(FAULTS[name])
        await asyncio.sleep(seconds)
        setup.proxy.apply(NONE)
        now.ended = time.monotonic()

    def explain(self, began: float, ended: float) -> bool:
        """Return whether a request of that time may have met a fault."""
        return any(began < fault.ended + AFTER and ended > fault.began for fault in self.stood)


def main() -> int:
    """Print the results; return 1 if a rule is broken."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=600, help="at least 120")
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    print(versions(), f"seed {given.seed}, {given.seconds:.0f} s", sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as setup:
        broken = asyncio.run(soak(setup, given.seconds, random.Random(given.seed)))
    print("\n".join(broken or ["no rule is broken"]))
    return 1 if broken else 0


async def soak(setup: Bench, seconds: float, chance: random.Random) -> list[str]:
    """Run load and faults for ``seconds``; return the broken rules."""
    faults, samples, journal = Faults(), list[Sample](), Journal(setup.broker)
    warm_up = min(WARM_UP, seconds / 4)
    async with steady(setup.broker.url, setup.store.endpoint) as load:
        began = time.monotonic()
        tasks = [
            asyncio.create_task(faults.change(setup, chance, warm_up)),
            asyncio.create_task(watch(setup.broker.process.pid, EVERY, samples, faults.quiet)),
        ]
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        wrong = [f"the soak failed: {task.exception()!r}" for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        setup.proxy.apply(NONE)
        await load.wait_for_all(time.monotonic())
        ended = time.monotonic()
    warm = [one for one in samples if one.at >= began + warm_up]
    show(load, faults, warm)
    return (
        wrong + of_answers(load, faults, ended) + of_process(warm) + unexpected_lines(journal.new_lines()) + load.errors
    )


def show(load: Load, faults: Faults, samples: Sequence[Sample]) -> None:
    """Print the requests, the faults and the resources of the process."""
    signed = signing(load.of("create", "download"))
    print(f"creates and downloads: {signed.available:.3%} of {signed.count}, p50 {signed.p50:.1f} ms, ", end="")
    print(f"p99 {signed.p99:.1f} ms; confirms: {statuses(load.of('confirm'))}")
    stood = Counter(fault.name for fault in faults.stood)
    print(f"{stood.total()} faults:", ", ".join(f"{name} ({count})" for name, count in stood.most_common()))
    rows = [[what, *(f"{value:.1f}" for value in quarters(_of(samples, what), name))] for what, name in HELD.items()]
    print("\n" + markdown(("median of each quarter", "first", "second", "third", "last"), rows))
    print(f"\nmemory grows by {slope(samples):+.2f} MiB a minute", flush=True)


HELD = {"memory, MiB": "rss", "open file descriptors, without a fault": "fds", "threads, without a fault": "threads"}


def _of(samples: Sequence[Sample], what: str) -> list[Sample]:
    """Return the samples; those without a fault if ``what`` says so, because requests that wait are not a leak."""
    return [one for one in samples if one.quiet or "without" not in what]


def of_answers(load: Load, faults: Faults, until: float) -> list[str]:
    """Return the broken rules on responses: only expected statuses, and 503 only because of a fault."""
    refused = [one for one in load.of("confirm", until=until) if one.status == 503]
    unexplained = sum(not faults.explain(one.began, one.ended) for one in refused)
    return unexpected(load.seen) + ([f"{unexplained} refusals without a fault"] if unexplained else [])


def of_process(samples: Sequence[Sample]) -> list[str]:
    """Return the broken rules on resources."""
    memory = quarters(samples, "rss")
    rules = {f"memory grows by more than {GROWS_BY} MiB a minute": slope(samples) < GROWS_BY}
    rules["memory of the last quarter is larger than the first's"] = memory[-1] <= LARGER * memory[0]
    for what, name in HELD.items():
        if name != "rss":
            held = quarters(_of(samples, what), name)
            rules[f"{name} grow"] = held[-1] <= held[0] + MORE
    return [rule for rule, kept in rules.items() if not kept]


if __name__ == "__main__":
    sys.exit(main())
