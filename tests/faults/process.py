"""What a process holds, by Linux's /proc, and whether that grows."""

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
    """At one moment, in seconds: MiB in memory, open file descriptors, threads."""

    at: float
    rss: float
    fds: int
    threads: int
    quiet: bool
    """Whether no fault stood, nor had a moment ago."""


def sample(pid: int, *, quiet: bool) -> Sample:
    """Of the process ``pid``."""
    process = Path(f"/proc/{pid}")
    lines = (process / "status").read_text(encoding="ascii").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    held = sum(1 for _ in (process / "fd").iterdir())
    return Sample(time.monotonic(), int(status["VmRSS"].split()[0]) / MIB, held, int(status["Threads"]), quiet)


def slope(samples: Sequence[Sample]) -> float:
    """MiB a minute by which memory grew, by least squares."""
    return linear_regression([one.at / 60 for one in samples], [one.rss for one in samples]).slope


def quarters(samples: Sequence[Sample], what: str) -> list[float]:
    """The median of each quarter of the samples."""
    values = [float(getattr(one, what)) for one in samples]
    edges = [len(values) * number // 4 for number in range(5)]
    return [median(values[first:end]) for first, end in pairwise(edges)]


async def watch(pid: int, pause: float, samples: list[Sample], is_quiet: "asyncio.Event") -> None:
    """A sample every so many seconds, until this is cancelled."""
    while True:
        samples.append(sample(pid, quiet=is_quiet.is_set()))
        await asyncio.sleep(pause)
