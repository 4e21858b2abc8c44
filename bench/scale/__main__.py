"""Measures the broker under scale and on odd networks: ``python -m bench.scale [--quick] [ROW ...]``.

The rows are F22 to F28, of which each has a target, and CAPACITY and PRICES, which are tables of their own. Which
module measures which stands below. It fails on no figure: the table says which are met.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

from bench.__main__ import table
from bench.figures import FULL, QUICK, Effort, Figure

from . import blocking, capacity, closing, keeping, outage, overload, prices, promotions, resolving

MODULES = {
    "F22": overload,
    "F23": promotions,
    "F24": outage,
    "F25": blocking,
    "F26": resolving,
    "F27": closing,
    "F28": keeping,
}
REPORTS = {"CAPACITY": capacity, "PRICES": prices}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="The broker under scale.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, for daily use")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="measure these alone, as F22; all by default")
    given = parser.parse_args()
    effort = QUICK if given.quick else FULL
    if figures := list(measured(effort, given.rows)):
        print(table(figures))
    for row, module in REPORTS.items():
        if not given.rows or row in given.rows:
            print(f"\n{module.report(effort)}")


def measured(effort: Effort, rows: Sequence[str]) -> Iterator[Figure]:
    """All that was asked for."""
    for row, module in MODULES.items():
        if not rows or row in rows:
            for found in module.figures(effort):
                print(f"{found.id}: {found.measure}: {found.value}", file=sys.stderr)
                yield found


if __name__ == "__main__":
    main()
