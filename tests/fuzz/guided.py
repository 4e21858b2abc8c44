"""Coverage-guided fuzzing of the parsers, one after the other: ``python -m tests.fuzz.guided [--seconds N]``.

Each parser runs in a process of its own, because libFuzzer ends its process, also with the first finding.
"""

import argparse
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from .parsers import PARSERS, Parser

FOLDER = Path(".fuzz")
"""Corpora and findings. It is not part of the repository."""

STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)
COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


def main() -> int:
    """Fuzz the named parsers, or all; return 1 if one has a finding."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parsers", nargs="*", metavar="parser", help=f"of {', '.join(PARSERS)}")
    arguments.add_argument("--seconds", type=int, default=600, help="for each parser")
    given = arguments.parse_args()
    if unknown := set(given.parsers) - PARSERS.keys():
        arguments.error(f"no such parser: {', '.join(sorted(unknown))}")
    print(f"Python {platform.python_version()}, atheris {version('atheris')}, {given.seconds} s for each parser")
    return max(run(name, PARSERS[name], given.seconds) for name in given.parsers or PARSERS)


def run(name: str, parser: Parser, seconds: int) -> int:
    """Fuzz one parser in a child process, and print the result."""
    command = [sys.executable, "-m", "tests.fuzz.libfuzzer", name, *options(name, parser, seconds)]
    with (FOLDER / name / "log").open("w+", encoding="utf-8", errors="replace") as log:
        child = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
        log.seek(0)
        text = log.read()
    statistics = dict(STATISTIC.findall(text))
    edges, features, corpus = (COVERAGE.findall(text) or [("?", "?", "?")])[-1]
    print(
        f"{name}: {statistics.get('number_of_executed_units', '?')} executions, {edges} edges, {features} features, "
        f"corpus {corpus}: {'no finding' if child.returncode == 0 else 'A FINDING'}",
        flush=True,
    )
    if child.returncode:
        print(text[-3000:])
    return min(child.returncode, 1)


def options(name: str, parser: Parser, seconds: int) -> list[str]:
    """Return the options of libFuzzer; write the parser's seeds and words to its folders."""
    corpus, findings, words = FOLDER / name / "corpus", FOLDER / name / "findings", FOLDER / name / "words"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(parser.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words.write_text("".join(f'"{escaped(word)}"\n' for word in parser.words), encoding="ascii")
    return [
        f"-max_total_time={seconds}",
        f"-max_len={parser.longest}",
        f"-dict={words}",
        f"-artifact_prefix={findings}/",
        "-timeout=10",
        "-print_final_stats=1",
        "-use_value_profile=1",
        str(corpus),
    ]


def escaped(word: bytes) -> str:
    """Return bytes in the notation of libFuzzer's dictionaries."""
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
