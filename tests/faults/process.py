"""The resources of a process, from Linux's /proc, and their growth."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression, median

MIB = 1024.0  # in the kB of /proc


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: the instant in seconds, memory in MiB, open file descriptors and threads."""

    at: float
    rss: float
    fds: int
    threads: int
    quiet: bool
    """Whether there is no fault, and was none shortly before."""


def sample(pid: int, *, quiet: bool) -> Sample:
    """Sample the process ``pid``."""
    process = Path(f"/proc/{pid}")
    lines = (process / "status").read_text(encoding="ascii").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    held = sum(1 for _ in (process / "fd").iterdir())
    return Sample(time.monotonic(), int(status["VmRSS"].split()[0]) / MIB, held, int(status["Threads"]), quiet)


def slope(samples: Sequence[Sample]) -> float:
    """Return the growth of memory in MiB a minute, by least squares."""
    return linear_regression([one.at / 60 for one in samples], [one.rss for one in samples]).slope


def quarters(samples: Sequence[Sample], what: str) -> list[float]:
    """Return the median of each quarter of the samples."""
    values = [float(getattr(one, what)) for one in samples]
    edges = [len(values) * number // 4 for number in range(5)]
    return [median(values[first:end]) for first, end in pairwise(edges)]


async def watch(pid: int, pause: float, samples: list[Sample], is_quiet: "asyncio.Event") -> None:
    """Sample the process every ``pause`` seconds until cancelled."""
    while True:
        samples.append(sample(pid, quiet=is_quiet.is_set()))
        await asyncio.sleep(pause)
