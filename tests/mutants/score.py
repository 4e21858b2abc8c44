"""What became of the mutants of ``core`` and ``auth``, module by module: ``python -m tests.mutants.score``."""

import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

BAR = 90
"""Per cent of the mutants that the tests must notice."""

NOTICED = {"killed", "timeout", "suspicious", "segfault", "caught by type check"}


def main() -> int:
    """Print the table; return 1 if too many mutants survive."""
    modules = fates()
    everything = sum(modules.values(), Counter[str]())
    print("| module | mutants | noticed | alive | % |\n|---|---|---|---|---|")
    for module, fate in [*sorted(modules.items()), ("all", everything)]:
        print(f"| `{module}` | {fate.total()} | {noticed(fate)} | {fate.total() - noticed(fate)} | {score(fate):.1f} |")
    return int(score(everything) < BAR)


def fates() -> dict[str, Counter[str]]:
    """Return the number of mutants by module and outcome."""
    mutmut = Path(sys.executable).with_name("mutmut")
    listed = subprocess.run([mutmut, "results", "--all", "true"], capture_output=True, text=True, check=True).stdout
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in listed.splitlines():
        name, _, fate = line.strip().partition(": ")
        if fate:
            found[name.partition(".x")[0].removeprefix("broker.")][fate] += 1
    return dict(found)


def noticed(fate: Counter[str]) -> int:
    """Return the number of mutants that a test noticed."""
    return sum(count for name, count in fate.items() if name in NOTICED)


def score(fate: Counter[str]) -> float:
    """Return the noticed mutants in per cent."""
    return 100 * noticed(fate) / max(1, fate.total())


if __name__ == "__main__":
    sys.exit(main())
