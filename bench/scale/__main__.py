"""Measure the broker under load and with network faults: ``python -m bench.scale [--quick] [ROW ...]``.

Rows F22 to F28 have targets. ``CAPACITY`` is a table of its own. A missed target is reported in the table and does not
fail the command.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

from bench.__main__ import table
from bench.figures import FULL, QUICK, Effort, Figure

from . import blocking, capacity, closing, keeping, outage, overload, promotions, resolving

MODULES = {
    "F22": overload,
    "F23": promotions,
    "F24": outage,
    "F25": blocking,
    "F26": resolving,
    "F27": closing,
    "F28": keeping,
}
REPORTS = {"CAPACITY": capacity}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description="Measure the broker under load and with network faults."
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, two minutes")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to measure, such as F22 (default: all)")
    given = parser.parse_args()
    effort = QUICK if given.quick else FULL
    if figures := list(measured(effort, given.rows)):
        print(table(figures))
    for row, module in REPORTS.items():
        if not given.rows or row in given.rows:
            print(f"\n{module.report(effort)}")


def measured(effort: Effort, rows: Sequence[str]) -> Iterator[Figure]:
    """Measure the given rows, or all."""
    for row, module in MODULES.items():
        if not rows or row in rows:
            for found in module.figures(effort):
                print(f"{found.id}: {found.measure}: {found.value}", file=sys.stderr)
                yield found


if __name__ == "__main__":
    main()
