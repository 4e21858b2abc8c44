"""The effect of one user's misuse on another user, the victim.

The victim creates uploads, requests links, and confirms its new uploads, at a constant rate. It is measured alone
first, with the same store and the same delay.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from tests.e2e.processes import Broker

from .journal import Journal, opened, summary, unexpected_lines
from .selective import THROTTLED, Only, of_object
from .standing import Latency, StandingProxy
from .steady import Client, Load, Result, paced
from .table import Signing, signing, statuses

DELAY = Latency(0.04)
"""The delay of the store."""

EXPECTED: Mapping[str, int] = {"create": 201, "download": 200, "confirm": 200}
RATES: Mapping[str, float] = {"create": 20, "download": 20, "confirm": 10}
"""Requests a second: above the sustained rate limit of a user, and within its burst."""

SLOWER = 2.0
"""Limit of the victim's 99th percentile, relative to the victim alone."""

UNNOTICED = 10.0
"""Milliseconds below which it may grow by more: signing takes 2, and on a busy machine 6."""

SETTLES = 1.0
"""Seconds of misuse and of load before the measurement."""

HEAD = (
    "what one user does",
    "rate limit",
    "the victim's requests that succeed",
    "p99 of creates",
    "p99 of downloads",
    "p99 of confirms",
    "p99 of all",
    "responses to this user",
    "the broker's log",
)


@dataclass(frozen=True, slots=True)
class Seconds:
    """The measurements of the victim, by kind of request and for all of them."""

    kinds: Mapping[str, Signing]
    wrong: Sequence[str]
    """Unexpected responses."""


@dataclass(frozen=True, slots=True)
class Row:
    """The measurements of the victim during one user's misuse."""

    name: str
    limit: int
    alone: Seconds
    beside: Seconds
    misused: Mapping[str, int]
    log: str
    wrong: Sequence[str]

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        whole = self.beside.kinds["all"]
        return [
            self.name,
            str(self.limit or "off"),
            f"{whole.available:.2%} of {whole.count}",
            *(self._p99(kind) for kind in (*EXPECTED, "all")),
            ", ".join(f"{name}: {number}" for name, number in Counter(self.misused).most_common()) or "-",
            self.log,
        ]

    def broken(self) -> list[str]:
        """Return the broken rules, except those on time."""
        wrong = [f"alone: {each}" for each in self.alone.wrong] + [*self.beside.wrong, *self.wrong]
        return [f"{self.name}, rate limit {self.limit or 'off'}: {each}" for each in wrong]

    def slow(self) -> list[str]:
        """Return the kinds of requests that became slow."""
        return [
            f"{self.name}, rate limit {self.limit or 'off'}: p99 of {kind} is {self._p99(kind)}"
            for kind in self.beside.kinds
            if self._slower(kind) > SLOWER and self.beside.kinds[kind].p99 > UNNOTICED
        ]

    def _slower(self, kind: str) -> float:
        return self.beside.kinds[kind].p99 / self.alone.kinds[kind].p99

    def _p99(self, kind: str) -> str:
        alone, beside = self.alone.kinds[kind].p99, self.beside.kinds[kind].p99
        return f"{alone:.1f} → {beside:.1f} ms ({self._slower(kind):.2f})"


def seconds(seen: Sequence[Result]) -> Seconds:
    """Return the measurements of these requests."""
    kinds = {kind: [one for one in seen if one.kind == kind] for kind in EXPECTED}
    wrong = [
        f"the victim's {kind} returned {statuses(bad)}"
        for kind, status in EXPECTED.items()
        if (bad := [one for one in kinds[kind] if one.status != status])
    ]
    return Seconds({kind: signing(found) for kind, found in {**kinds, "all": seen}.items()}, wrong)


def best(before: Seconds | None, now: Seconds) -> Seconds:
    """Return the lower 99th percentile of each kind, of two measurements of a victim alone."""
    if before is None:
        return now
    kinds = {kind: min(before.kinds[kind], now.kinds[kind], key=lambda each: each.p99) for kind in now.kinds}
    return Seconds(kinds, [*before.wrong, *now.wrong])


@dataclass
class Runner:
    """Measures victims at one broker, whose rate limit is ``limit``."""

    broker: Broker
    store: str
    proxy: StandingProxy
    limit: int
    rates: Mapping[str, float] = field(default_factory=lambda: RATES)
    settles: float = SETTLES
    _numbers: "count[int]" = field(default_factory=count)

    async def alone(self, length: float) -> Seconds:
        """Measure a victim without misuse."""
        self.proxy.apply(DELAY)
        return await self._victim(length)

    async def row(self, name: str, alone: Seconds, length: float) -> Row:
        """Measure a victim during the misuse ``name``."""
        journal = Journal(self.broker)
        journal.new_lines()
        self.proxy.apply(DELAY)
        async with misusing(name, self.broker.url, self.store, f"misuser-{next(self._numbers)}") as user:
            if user.object:
                self.proxy.apply(Only(of_object(user.object), THROTTLED, DELAY))
            user.start()
            beside = await self._victim(length)
        lines = journal.new_lines()
        wrong = (
            unexpected_lines(lines)
            + ["the circuit opened"] * bool(opened(lines))
            + ([] if user.outcomes else ["no misuse"])
        )
        return Row(name, self.limit, alone, beside, user.outcomes, summary(lines), wrong)

    async def _victim(self, length: float) -> Seconds:
        """Measure a new user, whose rate limit is unused."""
        load = Load()
        client = Client(self.broker.url, self.store, load, f"victim-{next(self._numbers)}")
        client.key = (await client.confirm())["key"]
        works = {"create": client.create, "download": client.download, "confirm": client.confirm}
        async with paced(load, *((works[kind], rate) for kind, rate in self.rates.items())):
            await asyncio.sleep(self.settles)
            began = time.monotonic()
            await asyncio.sleep(length)
            ended = time.monotonic()
            await load.wait_for_all(ended)
        await client.close()
        found = seconds(load.of(*EXPECTED, since=began, until=ended))
        return Seconds(found.kinds, [*found.wrong, *load.errors])


@dataclass
class User:
    """A user's process that misbehaves once started: the misused object, if any, and the outcomes."""

    process: asyncio.subprocess.Process
    object: str = ""
    outcomes: Mapping[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Start the misuse."""
        assert self.process.stdin
        self.process.stdin.write(b"begin\n")


@contextlib.asynccontextmanager
async def misusing(name: str, broker: str, store: str, subject: str) -> AsyncIterator[User]:
    """Run a misuse in a process of its own, so that it does not delay the victim's measurements."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.misuse", name, broker, store, subject),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    user = User(process)
    try:
        user.object = (await process.stdout.readline()).decode().strip()
        yield user
    finally:
        output, _ = await process.communicate(b"")  # closes its standard input
    user.outcomes = json.loads(output or b"{}")
