"""Measure every row, print the table, and write it as JSON and as a chart: ``python -m bench [--quick] [ROW ...]``.

The rows are F1 to F16; ``MODULES`` lists the rows of each module. A missed target does not fail the run: the table
marks it. A run fails if a server refuses a request, or if two signers disagree.
"""

import argparse
import datetime as dt
import json
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from . import answering, confirming, growing, signing, starting, unknown_tokens
from .chart import chart
from .figures import FULL, QUICK, Effort, Figure, Series
from .peers import servers

MODULES = {
    signing: ("F1", "F2", "F3"),
    answering: ("F4", "F5", "F6", "F7", "F10", "F14", "F15"),
    confirming: ("F8", "F9"),
    starting: ("F11",),
    growing: ("F12",),
    unknown_tokens: ("F16",),
}
VERDICTS = {True: "met", False: "**missed**", None: ""}
RESULTS = Path(__file__).parent / "results"
VERSIONS = ("starlette", "uvicorn", "uvloop", "httptools", "msgspec", "pyjwt", "cryptography", "boto3")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Compare the cost of the broker with other services."
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, for daily use")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="FOLDER", help="folder for results.json and chart.svg"
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to measure, such as F4 (default: all)")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    servers.set_up()
    found = list(measured(QUICK if given.quick else FULL, given.rows))
    figures = sorted((each for each in found if isinstance(each, Figure)), key=lambda each: int(each.id[1:]))
    series = [each for each in found if isinstance(each, Series)]
    print(table(figures))
    write(given.results, figures, series)


def measured(effort: Effort, rows: Sequence[str]) -> Iterator[Figure | Series]:
    """Measure the given rows, or all, with the other rows of their modules."""
    for module, named in MODULES.items():
        if not rows or set(rows) & set(named):
            for found in module.figures(effort):
                print(f"{found.id}: {found.measure if isinstance(found, Figure) else found.title}", file=sys.stderr)
                yield found


def table(figures: Sequence[Figure]) -> str:
    """Return the Markdown table of the figures."""
    lines = ["| row | measure | target | value (quartiles) | | ours | beside it |", "|---|---|---|---|---|---|---|"]
    for each in figures:
        beside = f"{each.peer_name}: {each.peer.median:.4g} {each.unit}" if each.peer else ""
        verdict = VERDICTS[each.is_met]
        mine = f"{each.ours.median:.4g} {each.unit}"
        lines.append(
            f"| {each.id} | {each.measure} | {each.target or '-'} | {each.value} | {verdict} | {mine} | {beside} |"
        )
    return "\n".join(lines)


def write(folder: Path, figures: Sequence[Figure], series: Sequence[Series]) -> None:
    """Write ``results.json`` and ``chart.svg`` to a folder."""
    folder.mkdir(exist_ok=True)
    document: dict[str, Any] = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in VERSIONS},
        "figures": [{**asdict(each), "is_met": each.is_met} for each in figures],
        "series": [asdict(each) for each in series],
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    note = f"{document['date'][:10]}, Python {document['python']}"
    (folder / "chart.svg").write_text(chart(figures, series, note), encoding="utf-8")


if __name__ == "__main__":
    main()
