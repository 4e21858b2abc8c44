"""A table of the effect of one user's misuse on another user, with and without the rate limit."""

import asyncio
from pathlib import Path

from tests.e2e.processes import Broker
from tests.stores.place import Place

from .misuse import KINDS, UnknownKeys
from .neighbour_rows import HEAD, SETTLES, Row, Runner, Seconds, best
from .standing import StandingProxy
from .store_rows import settings
from .table import markdown

LIMITS = (3000, 0)
"""The default rate limit, and none: it must not be the only protection."""

MEASURED = 10.0
"""Seconds for which a victim is measured."""

TRIES = 3
"""Measurements of a row until no kind of request is slow: the machine may be busy."""


def neighbour_table(folder: Path, store: Place, proxy: StandingProxy, only: str = "") -> list[str]:
    """Print one line for each misuse with ``only`` in its name; return the broken rules."""
    rows: list[Row] = []
    slow: list[str] = []
    for limit in LIMITS:
        for access in ("authenticated", "owner"):
            names = [name for name in KINDS if only in name and access_of(name) == access]
            if names:
                given = {
                    **settings(store, proxy.endpoint),
                    "BROKER_RATE_LIMIT": str(limit),
                    "DOWNLOAD_ACCESS": access,
                }
                with Broker(folder, given, counted=False) as broker:
                    runner = Runner(broker, store.endpoint, proxy, limit)
                    slow += asyncio.run(measured(runner, names, rows))
    print("\n" + markdown(HEAD, [row.cells() for row in rows]), flush=True)
    return [rule for row in rows for rule in row.broken()] + slow


def access_of(name: str) -> str:
    """Return the setting with which a misuse costs the most."""
    return "owner" if KINDS[name] is UnknownKeys else "authenticated"


async def measured(runner: Runner, names: list[str], rows: list[Row]) -> list[str]:
    """Add one row for each name, the last measured one; return the kinds that were slow in the last try.

    A victim alone is measured before each row, and the best of these measurements counts: other work of the machine
    does not weaken the rule.
    """
    slow: list[str] = []
    await runner.alone(SETTLES)  # warm
    alone: Seconds | None = None
    for name in names:
        for _ in range(TRIES):
            alone = best(alone, await runner.alone(MEASURED))
            row = await runner.row(name, alone, MEASURED)
            print(" ", *row.cells(), sep=" | ", flush=True)
            if row.broken() or not row.slow():
                break
        rows.append(row)
        slow += row.slow()
    return slow
