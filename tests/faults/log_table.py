"""A table of a log reader that stops under load: ``python -m tests.faults.log_table``.

It has the requests of clients in each state of the reader. Exits with 1 if a rule is broken.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.log_reader import Reader
from tests.e2e.processes import Broker
from tests.metrics.scrapes import named, requests, samples, scrape
from tests.patience import becomes
from tests.ports import free_ports
from tests.web.application import ENVIRONMENT
from tests.web.reading import NOTICE

from .steady import Client, Load, Result, paced
from .table import Signing, markdown, signing

STOPS = 60.0
"""Seconds for which the log is not read."""

READS = 15.0
"""Seconds for which the log is read, before and after."""

RATE = 400
"""Creates and downloads a second, half of each."""

USER = "user-" + "x" * 195
"""A long subject, with which the lines of a minute are twice as many as memory holds."""

SLOWER = 2.0
"""Limit of the 99th percentile, relative to the larger of those while the log is read."""

DROPPED = named("broker_log_lines_dropped_total")
HEAD = ("the reader of the log", "creates and downloads that succeed", "p50", "p99", "lines dropped")


@dataclass(frozen=True, slots=True)
class Row:
    """The measurements in one state of the log reader, with the number of dropped lines."""

    name: str
    signing: Signing
    dropped: int

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        return [
            self.name,
            f"{self.signing.available:.2%} of {self.signing.count}",
            f"{self.signing.p50:.1f} ms",
            f"{self.signing.p99:.1f} ms",
            str(self.dropped),
        ]


def log_table(folder: Path, stops: float = STOPS) -> list[str]:
    """Print one line for each state of the reader; return the broken rules."""
    reader = Reader(log := folder / "log.pipe")
    reader.read()
    port = free_ports(1)
    environment = {**ENVIRONMENT, "R2_ENDPOINT": "http://127.0.0.1:9", "BROKER_METRICS_PORT": str(port)}
    with Broker(folder, environment, log=log, counted=False) as broker:
        rows, wrong = asyncio.run(measured(broker, reader, port, stops))
    print("\n" + markdown(HEAD, [row.cells() for row in rows]), flush=True)
    return wrong + broken(rows)


async def measured(broker: Broker, reader: Reader, port: int, stops: float) -> tuple[list[Row], list[str]]:
    """Return the rows, and the errors of the load and of the number of lines."""
    load = Load()
    client = Client(broker.url, "", load, USER)
    rows: list[Row] = []

    async def row(name: str, seconds: float) -> None:
        before, began = dropped(port), time.monotonic()
        await asyncio.sleep(seconds)
        ended = time.monotonic()
        await load.wait_for_all(ended)
        rows.append(Row(name, signing(seen(load, began, ended)), dropped(port) - before))
        print(" ", *rows[-1].cells(), sep=" | ", flush=True)

    async with paced(load, (client.download, RATE / 2), (client.create, RATE / 2)):
        await asyncio.sleep(3)  # warm-up
        await row("reads", READS)
        reader.stop()
        await row(f"stops for {stops:.0f} s", stops)
        reader.read()
        await row("reads again", READS)
    await client.close()
    return rows, load.errors + await miscounted(reader, port)


def seen(load: Load, began: float, ended: float) -> list[Result]:
    """Return the results that began in that time."""
    return load.of("create", "download", since=began, until=ended)


def dropped(port: int) -> int:
    """Return the number of dropped lines, from the metrics."""
    return int(samples(scrape(port))[DROPPED])


async def miscounted(reader: Reader, port: int) -> list[str]:
    """Wait for all lines; return an error if log and metrics differ in the number of dropped lines."""
    await becomes(lambda: reader.accounted() == sum(requests(samples(scrape(port))).values()))
    counts = sum(line["count"] for line in reader.lines() if line["event"] == NOTICE)
    return [] if counts == dropped(port) else [f"the log counts {counts} dropped lines, the metric {dropped(port)}"]


def broken(rows: Sequence[Row]) -> list[str]:
    """Return the broken rules."""
    first, stopped, again = rows
    rules = {
        "a request did not succeed": all(row.signing.available == 1 for row in rows),
        "no line was dropped, so the run proves nothing": stopped.dropped > 0,
        "signing is slow": stopped.signing.p99 <= SLOWER * max(first.signing.p99, again.signing.p99),
    }
    return [f"the reader of the log {stopped.name}: {rule}" for rule, kept in rules.items() if not kept]


def main() -> int:
    """Print the table; return 1 if a rule is broken."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=STOPS, help="seconds for which the log is not read")
    with tempfile.TemporaryDirectory() as folder:
        wrong = log_table(Path(folder), arguments.parse_args().seconds)
    print("\n".join(wrong or ["no rule is broken"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
