"""The tables of docs/scaling.md: one worker, prices, and what a number of uploads a day needs.

CPU, throughput and memory are those of docs/performance.md. ``python -m bench.scaling`` reads them, and writes the
tables.
"""

import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.core.upload_rules import UploadPolicy

from .prices import DOWNLOADS, INCLUDED, USD, USD_A_GB, operations, table, upload_of_the_mix
from .scale.capacity import PEAK, USED

PAGES: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = PAGES / "scaling.md"
A_DAY: Final = (10_000, 1_000_000, 100_000_000)
"""The uploads a day of the worked examples."""

DAYS: Final = 30
"""Days of a month, as R2 counts them."""

FILE_MB: Final = 10
"""The assumed mean size of a file, in megabytes (10⁶ bytes)."""

REQUESTS: Final = 2.3 + DOWNLOADS
"""Requests to the broker for an upload of the mix: create, confirm, some for status and parts, and the links."""

STAGED_DAYS: Final = UploadPolicy().retention_days + 1
"""Days for which a staged object is stored: the lifecycle rule, and the day within which R2 applies it."""

END: Final = "<!-- end of the table -->"


@dataclass(frozen=True, slots=True)
class Worker:
    """The figures of one worker: CPU seconds of an upload with its links, uploads a second, and megabytes of memory."""

    cpu: float
    uploads: float
    memory: float


def worker_of(page: str) -> Worker:
    """Return the figures that docs/performance.md has."""

    def figure(pattern: str) -> float:
        (found,) = re.findall(pattern, page)
        return float(found)

    return Worker(
        figure(r"\| CPU of an upload: [^|]*\| ([\d.]+) ms \|") / 1e3,
        figure(r"\| most uploads a second, store latency 60 ms, [^|]*\| ([\d.]+) \|"),
        figure(r"\| F11 \| memory while it serves, MB \|[^|]*\| ([\d.]+) \("),
    )


_UNKNOWN: Final = r"\| F16 \| create, ES256 by JWKS, unknown token:.*\| ([\d,]+ requests/s) \|[^|]*\|$"

_FIGURES: Final[tuple[tuple[str, str], ...]] = (
    ("creates a second (F4)", r"\| F4 \| create, HS256:.*\| ([\d,]+ requests/s) \|[^|]*\|$"),
    ("download links a second (F7)", r"\| F7 \| download link:.*\| ([\d,]+ requests/s) \|[^|]*\|$"),
    ("creates a second, each with a token that is not cached, ES256 (F16)", _UNKNOWN),
    ("CPU of a confirm (F8)", r"\| F8 \| confirm: .*\| ([\d.]+ µs) \|[^|]*\|$"),
    ("CPU of an upload: create, confirm, 5 links", r"\| CPU of an upload: [^|]*\| ([\d.]+ ms) \|"),
    (
        "uploads a second at latencies like those of R2",
        r"\| most uploads a second, store latency 60 ms, .*\| (\d+) \|$",
    ),
    ("memory while it serves (F11)", r"\| F11 \| memory while it serves, MB \|.*\| ([\d.]+ MB) \|[^|]*\|$"),
    ("memory of a kept connection, bytes", r"\| kept connections [^|]*\| ([\d,]+) \|"),
    ("memory of a user with a rate limit, bytes", r"\| users with a rate limit [^|]*\| ([\d,]+) \|"),
)
"""The rows of the table of one worker, each with the place of its figure in docs/performance.md."""


def worker_table(page: str) -> str:
    """Return the table of one worker."""
    lines = ["| one worker, on one core of the machine of the measurement | |", "|---|---|"]
    for name, pattern in _FIGURES:
        (found,) = re.findall(pattern, page, re.MULTILINE)
        lines.append(f"| {name} | {found.removesuffix(' requests/s')} |")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Example:
    """A number of uploads a day, and what it needs."""

    uploads: int
    worker: Worker

    @property
    def mean(self) -> float:
        """Uploads a second in the mean of a day."""
        return self.uploads / 86_400

    @property
    def peak(self) -> float:
        """Uploads in the busiest second."""
        return self.mean * PEAK

    @property
    def cores(self) -> float:
        """Cores that are used to 60 % at the peak."""
        return self.peak * self.worker.cpu / USED

    @property
    def workers(self) -> int:
        """Workers, by CPU or by the confirms that one worker handles at the same time; two are the least."""
        return max(2, math.ceil(self.cores), math.ceil(self.peak / self.worker.uploads / USED))

    def calls(self, *, client: bool = True, broker: bool = True) -> float:
        """Return the calls to the store in the busiest second: those of clients, of the broker, or of both."""
        return self.peak * sum(upload_of_the_mix(client=client, broker=broker).values())

    def operations(self, name: str) -> float:
        """Return the operations of a class in a month."""
        return self.uploads * DAYS * upload_of_the_mix()[name]

    def price(self, name: str) -> float:
        """Return the price of a class in a month. R2 bills whole millions above the included ones."""
        return USD[name] * math.ceil(max(0.0, self.operations(name) - INCLUDED[name]) / 1e6)

    @property
    def gigabytes(self) -> float:
        """Gigabytes that arrive in a day."""
        return self.uploads * FILE_MB / 1e3

    def stored(self, days: float) -> float:
        """Return the price of a month in which the files of so many days are stored."""
        return USD_A_GB * math.ceil(self.gigabytes * days)


Row = tuple[str, Callable[[Example], str]]

ROWS: Final[tuple[Row, ...]] = (
    ("uploads a second, mean", lambda each: _number(each.mean)),
    (f"uploads a second, peak ({PEAK} times the mean)", lambda each: _number(each.peak)),
    ("cores", lambda each: _number(each.cores)),
    ("workers, at least two", lambda each: f"{each.workers:,}"),
    ("memory of the workers", lambda each: _bytes(each.workers * each.worker.memory / 1e3)),
    ("calls a second of the broker to R2, peak", lambda each: _number(each.calls(client=False))),
    ("calls a second of clients to R2, peak", lambda each: _number(each.calls(broker=False))),
    ("class A operations a month", lambda each: _million(each.operations("A"))),
    ("class B operations a month", lambda each: _million(each.operations("B"))),
    ("lines of the log a day", lambda each: _million(each.uploads * REQUESTS)),
    ("USD a month, class A", lambda each: f"{each.price('A'):,.0f}"),
    ("USD a month, class B", lambda each: f"{each.price('B'):,.0f}"),
    (f"USD a month, staged objects of {STAGED_DAYS} days", lambda each: f"{each.stored(STAGED_DAYS):,.0f}"),
    ("USD a month, ready objects: more with each month", lambda each: f"{each.stored(DAYS):,.0f}"),
)


def examples_table(worker: Worker) -> str:
    """Return the table of the worked examples."""
    found = [Example(uploads, worker) for uploads in A_DAY]
    head = f"| uploads a day | {' | '.join(f'{each.uploads:,}' for each in found)} |"
    return "\n".join(
        [
            head,
            "|---" * (1 + len(found)) + "|",
            *(f"| {name} | {' | '.join(map(cell, found))} |" for name, cell in ROWS),
        ]
    )


def tables() -> Mapping[str, str]:
    """Return the tables by the names that their marks on the page have."""
    page = (PAGES / "performance.md").read_text(encoding="utf-8")
    return {
        "worker": worker_table(page),
        "prices": table(operations()),
        "examples": examples_table(worker_of(page)),
    }


def written(page: str, name: str) -> str:
    """Return the table of the page with this name."""
    return page.partition(_mark(name))[2].partition(END)[0].strip()


def replaced(page: str, name: str, text: str) -> str:
    """Return the page with another table of this name."""
    head, mark, rest = page.partition(_mark(name))
    return f"{head}{mark}\n{text}\n\n{END}{rest.partition(END)[2]}"


def _mark(name: str) -> str:
    return f"<!-- written by python -m bench.scaling: {name} -->\n"


def _number(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def _million(value: float) -> str:
    return f"{_number(value / 1e6)} million"


def _bytes(gigabytes: float) -> str:
    return f"{gigabytes:.1f} GB" if gigabytes >= 1 else f"{gigabytes * 1e3:.0f} MB"


def main() -> int:
    """Write the tables; return 1 if the page has changed."""
    before = after = PAGE.read_text(encoding="utf-8")
    for name, text in tables().items():
        after = replaced(after, name, text)
    PAGE.write_text(after, encoding="utf-8")
    if after != before:
        print(f"{PAGE.name} has changed: check the difference, and commit it.", file=sys.stderr)
    return after != before


if __name__ == "__main__":
    sys.exit(main())
