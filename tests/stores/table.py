"""``python -m tests.stores.table``: write the tables of docs/stores.md from requests to each store.

It exits 1 if they have changed, so that a difference is seen and committed.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from . import journeys, local_r2, ministack, moto_server, probes, seaweedfs
from .place import Place

PAGE: Final = Path(__file__).parents[2] / "docs" / "stores.md"
NAMES: Final = {
    "seaweedfs": "SeaweedFS",
    "seaweedfs_hosts": "SeaweedFS as Amazon S3",
    "local_r2": "local R2",
    "ministack": "MiniStack",
    "moto": "moto",
}
"""The columns of the tables."""

WITHOUT_JOURNEYS: Final = frozenset({"seaweedfs_hosts"})
"""A broker of its own process cannot resolve the hosts of this store."""

END: Final = "<!-- end -->"
"""The end of a table in the page."""

Results = Mapping[str, Mapping[str, bool]]
"""The results of each store, by row."""


@contextmanager
def running(name: str, folder: Path) -> Iterator[Place]:
    """Start a store with its data in ``folder``."""
    if name == "moto":
        with moto_server.running() as place:
            yield place
    elif name == "seaweedfs_hosts":
        with seaweedfs.running(folder) as place, seaweedfs.at_its_hosts(place) as at_hosts:
            yield at_hosts
    else:
        modules = {"seaweedfs": seaweedfs, "local_r2": local_r2, "ministack": ministack}
        with modules[name].running(folder) as place:
            yield place


def measured(place: Place, folder: Path) -> tuple[dict[str, bool], dict[str, bool]]:
    """Return the results of the checks and of the end-to-end uploads."""
    uploads = {} if place.name in WITHOUT_JOURNEYS else journeys.travelled(place, folder)
    return asyncio.run(probes.verified(place)), uploads


def table(results: Results) -> str:
    """Return the table of some stores."""
    (first, *_) = results.values()
    lines = [f"| | {' | '.join(NAMES[name] for name in results)} |", "|---" * (1 + len(results)) + "|"]
    lines += [
        f"| {row} | {' | '.join('yes' if found[row] else '**no**' for found in results.values())} |" for row in first
    ]
    return "\n".join(lines)


def written(page: str, kind: str) -> dict[str, dict[str, bool]]:
    """Return the results in one table of the page."""
    head, _, *rows = _between(page, kind).strip().splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *rows)]
    by_title = {title: name for name, title in NAMES.items()}
    return {
        by_title[title]: {row[0]: row[column] == "yes" for row in cells[1:]}
        for column, title in enumerate(cells[0])
        if title
    }


def replaced(page: str, kind: str, text: str) -> str:
    """Return the page with another table of this kind."""
    head, mark, rest = page.partition(_mark(kind))
    return f"{head}{mark}\n{text}\n\n{END}{rest.partition(END)[2]}"


def _between(page: str, kind: str) -> str:
    return page.partition(_mark(kind))[2].partition(END)[0]


def _mark(kind: str) -> str:
    return f"<!-- written by make stores: {kind} -->\n"


def main() -> int:
    """Write the tables; return the exit status."""
    checks: dict[str, dict[str, bool]] = {}
    uploads: dict[str, dict[str, bool]] = {}
    for name in NAMES:
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            for part in ("store", "broker"):
                (folder / part).mkdir()
            with running(name, folder / "store") as place:
                checks[name], uploads[name] = measured(place, folder / "broker")
    before = PAGE.read_text(encoding="utf-8")
    after = replaced(before, "requests", table(checks))
    after = replaced(after, "uploads", table({name: found for name, found in uploads.items() if found}))
    PAGE.write_text(after, encoding="utf-8")
    print(after[after.index("<!-- written by") :])
    if after != before:
        print(f"{PAGE.name} has changed: check the difference, and commit it.", file=sys.stderr)
    return after != before


if __name__ == "__main__":
    sys.exit(main())
