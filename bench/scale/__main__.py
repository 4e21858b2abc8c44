"""Measures the broker under scale and on odd networks: ``python -m bench.scale [--quick] [ROW ...]``.

The rows are F22 to F28; which module measures which stands in ``MODULES``.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

from bench.__main__ import table
from bench.figures import FULL, QUICK, Effort, Figure

from . import blocking, closing, keeping, outage, overload, promotions, resolving

MODULES = {
    "F22": overload,
    "F23": promotions,
    "F24": outage,
    "F25": blocking,
    "F26": resolving,
    "F27": closing,
    "F28": keeping,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="The broker under scale.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, for daily use")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="measure these alone, as F22; all by default")
    given = parser.parse_args()
    print(table(list(measured(QUICK if given.quick else FULL, given.rows))))


def measured(effort: Effort, rows: Sequence[str]) -> Iterator[Figure]:
    """All that was asked for."""
    for row, module in MODULES.items():
        if not rows or row in rows:
            for found in module.figures(effort):
                print(f"{found.id}: {found.measure}: {found.value}", file=sys.stderr)
                yield found


if __name__ == "__main__":
    main()
