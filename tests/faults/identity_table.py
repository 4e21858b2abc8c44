"""A table of the identity service's faults, for a broker that has its keys and for one that starts without them."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from broker.auth.jwks_client import COOLDOWN
from tests.e2e.processes import Broker

from .identity_rows import FLOOD, FLOOD_FOR, HEAD, ONE_KEY, STRANGERS, Row, settings, watched
from .standing import BlackHole, Says, StandingProxy
from .table import markdown

BASELINE = COOLDOWN
"""So that what comes next is a reason to ask for keys."""

STANDS = 35.0
"""Seconds for which a fault stands: longer than there is between two fetches."""

AWAY_AT_THE_START = 5.0


def identity_table(folder: Path) -> list[str]:
    """Print one line for each fault; return the broken rules."""
    with StandingProxy(fault=ONE_KEY) as service:
        with Broker(folder, settings(service), counted=False) as broker:
            rows = asyncio.run(with_keys(service, broker))
        service.stand(Says(500))
        asked = service.asked
        with Broker(folder, settings(service), counted=False) as broker:
            rows.append(shown(asyncio.run(without_keys(service, broker, asked))))
    print("\n" + markdown(HEAD, [row.cells() for row in rows]), flush=True)
    return [rule for row in rows for rule in row.broken()]


async def with_keys(service: StandingProxy, broker: Broker) -> list[Row]:
    """Measure the faults of a broker that has keys."""
    async with watched(service, broker) as runner:
        await runner.recovery(time.monotonic())
        await asyncio.sleep(1)  # warm
        return [
            shown(await runner.row("(no fault)", ONE_KEY, BASELINE)),
            shown(await runner.row(f"is asked for {FLOOD} random keys", ONE_KEY, FLOOD_FOR, FLOOD / FLOOD_FOR)),
            shown(await runner.row("answers 500", Says(500), STANDS, STRANGERS)),
            shown(await runner.row("says nothing", BlackHole(), STANDS, STRANGERS)),
            shown(await runner.rotation()),
        ]


async def without_keys(service: StandingProxy, broker: Broker, asked: int) -> Row:
    """Measure a broker that starts without keys: its responses, and when it has the keys.

    ``asked`` is the number of requests to the identity service before the start.
    """
    async with watched(service, broker) as runner:
        name = "answers 500 from the start, so that there are no keys"
        row = await runner.row(name, Says(500), AWAY_AT_THE_START, statuses_of_good=(503,))
        row = replace(row, fetches=service.asked - asked)
        service.stand(ONE_KEY)
        return replace(row, recovered=await runner.recovery(time.monotonic()))


def shown(row: Row) -> Row:
    """Print a row at once, and return it."""
    print(" ", *row.cells(), sep=" | ", flush=True)
    return row
