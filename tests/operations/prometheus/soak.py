"""Minutes of load without a fault, in which no alert may fire: ``python -m tests.operations.prometheus.soak``.

Some uploads are refused and some are not finished, as in every product. Prometheus has all durations divided by
``SPEED``, so that ten minutes are ten hours of the rules. Prints the most extreme values beside the limits of the
alerts. Exits with 1 if an alert fired.
"""

import argparse
import asyncio
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

EXTREMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "share of uploads that are confirmed": ("min", "job:broker_uploads:success_ratio_rate1h"),
        "share of files that are refused": ("max", "job:broker_uploads:refused_ratio_rate15m"),
        "share of requests that fail": ("max", "job:broker_requests:error_ratio_rate5m"),
        "share of calls to the store that fail": ("max", "job:broker_store_calls:failed_ratio_rate5m"),
        "clock skew, s": ("max", "abs(broker_clock_skew_seconds)"),
        "event-loop lag, s": ("max", "broker_event_loop_lag_seconds"),
        "event-loop lag of each scrape in ten minutes, s": ("max", "min_over_time(broker_event_loop_lag_seconds[10m])"),
        "log lines dropped": ("max", "broker_log_lines_dropped_total"),
    }
)
"""Values that alerts compare with limits: the extreme of all, and the expression."""


def main() -> int:
    """Print the results; return 1 if an alert fired."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=600, help="duration of the load")
    seconds = arguments.parse_args().seconds
    print(f"{seconds:.0f} s of load, {seconds * SPEED / 3600:.1f} h in the time of the rules", flush=True)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), HEALTHY, IDENTITY) as deployments:
        asyncio.run(load(deployments, seconds))
        prometheus = deployments.prometheus
        rows = [[name, f"{prometheus.value(extreme(*what)) or 0:.3f}"] for name, what in EXTREMES.items()]
        confirmed = prometheus.value("sum(broker_uploads_confirmed_total)") or 0
        fired = sorted(prometheus.fired())
    print(markdown(("most extreme value", "of all evaluations"), rows))
    print(f"{confirmed:.0f} uploads confirmed;", *(fired or ["no alert fired"]))
    return 1 if fired else 0


async def load(deployments: Deployments, seconds: float) -> None:
    """Run the clients for ``seconds``."""
    async with clients(deployments, RATE) as uploaders:
        uploaders[HEALTHY].refused_in, uploaders[HEALTHY].given_up_in = REFUSED_IN, GIVEN_UP_IN
        await asyncio.sleep(seconds)


def extreme(of: str, expression: str) -> str:
    """Return the expression of the least or greatest value of all series, at all evaluations."""
    return f"{of}({of}_over_time(({expression})[1d:{INTERVAL}]))"


if __name__ == "__main__":
    sys.exit(main())
