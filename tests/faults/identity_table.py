"""A table of the identity service's faults, for a broker that has its keys and for one that starts without them."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from broker.auth.fetch_budget import COOLDOWN
from tests.e2e.processes import Broker

from .identity_rows import FLOOD, FLOOD_FOR, HEAD, ONE_KEY, UNKNOWN_RATE, Row, settings, watched
from .standing import BlackHole, FixedResponse, StandingProxy
from .table import markdown

BASELINE = COOLDOWN
"""Seconds without a fault, after which the keys may be fetched again."""

STANDS = 35.0
"""Duration of a fault in seconds: longer than the pause between two fetches."""

AWAY_AT_THE_START = 5.0
"""Seconds from the start of the broker in which it gets no keys."""


def identity_table(folder: Path) -> list[str]:
    """Print one line for each fault; return the broken rules."""
    with StandingProxy(fault=ONE_KEY) as service:
        with Broker(folder, settings(service), counted=False) as broker:
            rows = asyncio.run(with_keys(service, broker))
        service.apply(FixedResponse(500))
        earlier = service.request_count
        with Broker(folder, settings(service), counted=False) as broker:
            rows.append(shown(asyncio.run(without_keys(service, broker, earlier))))
    print("\n" + markdown(HEAD, [row.cells() for row in rows]), flush=True)
    return [rule for row in rows for rule in row.broken()]


async def with_keys(service: StandingProxy, broker: Broker) -> list[Row]:
    """Measure the faults of a broker that has keys."""
    async with watched(service, broker) as runner:
        await runner.recovery(time.monotonic())
        await asyncio.sleep(1)  # warm-up
        return [
            shown(await runner.row("(no fault)", ONE_KEY, BASELINE)),
            shown(await runner.row(f"gets {FLOOD} tokens with unknown keys", ONE_KEY, FLOOD_FOR, FLOOD / FLOOD_FOR)),
            shown(await runner.row("returns 500", FixedResponse(500), STANDS, UNKNOWN_RATE)),
            shown(await runner.row("never responds", BlackHole(), STANDS, UNKNOWN_RATE)),
            shown(await runner.rotation()),
        ]


async def without_keys(service: StandingProxy, broker: Broker, earlier: int) -> Row:
    """Measure a broker that starts without keys: its responses, and when it has the keys.

    ``earlier`` is the number of requests to the identity service before the start.
    """
    async with watched(service, broker) as runner:
        name = "returns 500 from the start: the broker has no keys"
        row = await runner.row(name, FixedResponse(500), AWAY_AT_THE_START, statuses_of_good=(503,))
        row = replace(row, fetches=service.request_count - earlier)
        service.apply(ONE_KEY)
        return replace(row, recovered=await runner.recovery(time.monotonic()))


def shown(row: Row) -> Row:
    """Print a row at once, and return it."""
    print(" ", *row.cells(), sep=" | ", flush=True)
    return row
