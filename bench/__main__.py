"""Measures every row, prints the table, and writes it as JSON and as a chart: ``python -m bench [--quick] [ROW ...]``.

The rows' names are F1 to F15; which module measures which stands in ``MODULES``. It fails on no figure: the table says
which are met. It does fail when a server refuses, or signs something else than it should.
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

from . import answering, confirming, growing, signing, starting
from .chart import chart
from .figures import FULL, QUICK, Effort, Figure, Series
from .peers import servers

MODULES = {
    signing: ("F1", "F2", "F3"),
    answering: ("F4", "F5", "F6", "F7", "F10", "F14", "F15"),
    confirming: ("F8", "F9"),
    starting: ("F11",),
    growing: ("F12",),
}
RESULTS = Path(__file__).parent / "results"
VERSIONS = ("starlette", "uvicorn", "uvloop", "httptools", "msgspec", "pyjwt", "cryptography", "boto3")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What the service costs, beside others.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, for daily use")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the files go")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="measure these alone, as F4; all by default")
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
    """All that was asked for, and what its modules measure beside it."""
    for module, named in MODULES.items():
        if not rows or set(rows) & set(named):
            for found in module.figures(effort):
                print(f"{found.id}: {found.measure if isinstance(found, Figure) else found.title}", file=sys.stderr)
                yield found


def table(figures: Sequence[Figure]) -> str:
    """For a terminal and for the README alike."""
    lines = ["| row | measure | target | value (quartiles) | | ours | beside it |", "|---|---|---|---|---|---|---|"]
    for each in figures:
        beside = f"{each.peer_name}: {each.peer.median:.4g} {each.unit}" if each.peer else ""
        verdict = "met" if each.is_met else "**missed**"
        mine = f"{each.ours.median:.4g} {each.unit}"
        lines.append(f"| {each.id} | {each.measure} | {each.target} | {each.value} | {verdict} | {mine} | {beside} |")
    return "\n".join(lines)


def write(folder: Path, figures: Sequence[Figure], series: Sequence[Series]) -> None:
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
