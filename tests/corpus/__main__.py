"""Gather the corpus, measure the broker's decisions, write the confusion table, and check the targets.

Needs the programs that ``make corpus`` installs. The cache is ``build/corpus``.
"""

import sys
from pathlib import Path
from typing import Final

from . import encoders, registries, sources
from .measure import Findings, measure, microseconds
from .report import targets, written
from .truth import truths

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = ROOT / "build" / "corpus"


def main() -> int:
    """Return the exit status: 0 if all targets are met."""
    CACHE.mkdir(parents=True, exist_ok=True)
    files = [*sources.gather(CACHE), *encoders.encode(CACHE)]
    true = truths(files, CACHE)
    found: Findings = measure(true)
    good = [path for path, truth in true.items() if truth.is_good]
    time = microseconds(good)
    report = written(len(files), found, time)
    (CACHE / "report.md").write_text(report, encoding="utf-8")
    print(report)
    unknown = registries.missing(CACHE)
    print("Names in public registries that the broker does not know:", *(unknown or ["none"]), sep="\n- ")
    failed = [line for line, is_met in targets(len(files), found, time) if not is_met]
    print(*failed, sep="\n", file=sys.stderr)
    return 1 if failed or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
