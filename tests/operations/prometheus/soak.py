"""Minutes of load without a fault, in which no alert may fire: ``python -m tests.operations.prometheus.soak``.

Some uploads are refused and some are not finished, as in every product. Prometheus has all durations divided by
``SPEED``, so that ten minutes are ten hours of the rules. Prints the greatest values that alerts compare with
limits. Exits with 1 if an alert fired.
"""

import argparse
import asyncio
import math
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.faults.table import markdown

from .deployments import HEALTHY, IDENTITY, Deployments, running
from .load import clients
from .server import INTERVAL, SPEED

RATE = 3.0
"""How much more load than in the tests: 18 uploads a second."""

REFUSED_IN, GIVEN_UP_IN = 20, 12

EXTREMES: Mapping[str, str] = MappingProxyType(
    {
        "share of files that are refused": "job:broker_uploads:refused_ratio_rate15m",
        "share of requests that fail": "job:broker_requests:error_ratio_rate5m",
        "share of calls to the store that fail": "job:broker_store_calls:failed_ratio_rate5m",
        "failed fetches of keys": 'broker_jwks_fetches_total{outcome="failed"}',
        "clock skew, s": "abs(broker_clock_skew_seconds)",
        "event-loop lag, s": "broker_event_loop_lag_seconds",
        "event-loop lag of every scrape in ten minutes, s": "min_over_time(broker_event_loop_lag_seconds[10m])",
        "log lines dropped": "broker_log_lines_dropped_total",
    }
)
"""Expressions that alerts compare with upper limits."""


def main() -> int:
    """Print the results; return 1 if an alert fired."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=600, help="duration of the load")
    seconds = arguments.parse_args().seconds
    hours = seconds * SPEED / 3600
    print(f"{seconds:.0f} s of load, {hours:.1f} h in the time of the rules", flush=True)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), HEALTHY, IDENTITY) as deployments:
        asyncio.run(load(deployments, seconds))
        prometheus = deployments.prometheus
        rows = [[name, f"{prometheus.value(greatest(what, hours)) or 0:.3f}"] for name, what in EXTREMES.items()]
        share = prometheus.value(f'job:broker_uploads:success_ratio_rate1h{{job="{HEALTHY}"}}') or 0
        confirmed = prometheus.value("sum(broker_uploads_confirmed_total)") or 0
        fired = sorted(prometheus.fired())
    print(markdown(("value", "greatest of all evaluations"), rows))
    print(f"{confirmed:.0f} uploads confirmed, {share:.0%} of the last hour")
    print("\n".join(map(str, fired)) or "no alert fired")
    return 1 if fired else 0


async def load(deployments: Deployments, seconds: float) -> None:
    """Run the clients for ``seconds``."""
    async with clients(deployments, RATE) as uploaders:
        uploaders[HEALTHY].refused_in, uploaders[HEALTHY].given_up_in = REFUSED_IN, GIVEN_UP_IN
        await asyncio.sleep(seconds)


def greatest(expression: str, hours: float) -> str:
    """Return the expression of the greatest value of all series, at all evaluations of the last ``hours``."""
    return f"max(max_over_time(({expression})[{math.ceil(hours)}h:{INTERVAL}]))"


if __name__ == "__main__":
    sys.exit(main())
