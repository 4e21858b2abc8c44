"""The price of an upload at R2: the calls of each operation to the store, and R2's price list.

``tests/e2e/test_store_calls.py`` counts the calls at a real store and compares them with ``operations``.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

AS_OF: Final = "2026-11-27"
USD: Final[Mapping[str, float]] = {"A": 4.50, "B": 0.36, "free": 0.0}
"""USD per million operations of a class, Standard storage: developers.cloudflare.com/r2/pricing on ``AS_OF``."""

USD_A_GB: Final = 0.015
"""USD per gigabyte (10⁹ bytes) and month of Standard storage, from the same page."""

INCLUDED: Final[Mapping[str, float]] = {"A": 1e6, "B": 1e7, "GB": 10}
"""Operations and gigabytes of each month that cost nothing, from the same page."""

CLASSES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("PutObject", "CopyObject", "ListParts", "ListMultipartUploads"), "A"),
    **dict.fromkeys(("CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"), "A"),
    **dict.fromkeys(("HeadObject", "GetObject"), "B"),
    **dict.fromkeys(("DeleteObject", "AbortMultipartUpload"), "free"),
    "DeleteObjects": "A",  # the page does not list it: this is the dearest possibility
}
"""The class of each operation, from the same page."""

PARTS: Final = 8
"""The parts of an upload in parts, in the table."""

RANGES: Final = 88
"""The ranges in which the broker copies a file of 5.5 GiB."""

DELETED: Final = 100
"""The objects of one call that deletes several, in the table."""

BY_CLIENT: Final = "by the client"
"""The end of the name of an operation whose calls the client sends."""


class Operation(NamedTuple):
    """One operation with the number of its calls to the store, by the S3 name."""

    name: str
    calls: Mapping[str, int]

    def of_class(self, name: str) -> int:
        """Return the number of calls of a class."""
        return sum(count for call, count in self.calls.items() if CLASSES[call] == name)

    @property
    def price(self) -> float:
        """The price of a million operations, in USD."""
        return sum(USD[CLASSES[call]] * count for call, count in self.calls.items())


def operations(parts: int = PARTS, ranges: int = RANGES, deleted: int = DELETED) -> list[Operation]:
    """Return every operation, for uploads of so many parts, promotions in so many ranges, and deletions of so many."""
    delete = {"PutObject": 1, "ListMultipartUploads": 2, "DeleteObject": 1}
    confirm = {"HeadObject": 1, "GetObject": 1, "CopyObject": 1}
    join = {"ListParts": 1, "CompleteMultipartUpload": 1, "GetObject": 2}
    in_ranges = {
        "HeadObject": 4,
        "ListMultipartUploads": 1,
        "CreateMultipartUpload": 1,
        "UploadPartCopy": ranges,
        "GetObject": 2,
        "ListParts": 3,
        "CompleteMultipartUpload": 2,
    }
    table: dict[str, dict[str, int]] = {
        "create, also retried": {},
        f"PUT {BY_CLIENT}": {"PutObject": 1},
        "status": {"HeadObject": 2},
        "confirm": confirm,
        "confirm, repeated": {"HeadObject": 1, "GetObject": 1},
        "confirm, with a SHA-256": {**confirm, "HeadObject": 2},
        "create in parts": {"CreateMultipartUpload": 1},
        "create in parts, with an `Idempotency-Key`": {
            "ListMultipartUploads": 1,
            "HeadObject": 1,
            "CreateMultipartUpload": 1,
        },
        "the same, retried": {"ListMultipartUploads": 1, "HeadObject": 1},
        f"{parts} PUTs of parts {BY_CLIENT}": {"UploadPart": parts},
        "status of parts": {"HeadObject": 2, "ListParts": 1},
        "confirm of parts": {**confirm, **join},
        f"confirm of parts, promoted in {ranges} ranges": in_ranges,
        "each further confirm of such a promotion": {
            "HeadObject": 1,
            "GetObject": 1,
            "ListMultipartUploads": 1,
            "ListParts": 1,
        },
        "upload in a form, one file below 5 MiB": {"PutObject": 1},
        "abort of one PUT": {**delete, "HeadObject": 2},
        "abort of parts": {**delete, "HeadObject": 2, "AbortMultipartUpload": 1},
        "object": {"HeadObject": 1},
        "download link": {},
        "download link, `DOWNLOAD_ACCESS=owner`": {"HeadObject": 1},
        f"GET {BY_CLIENT}": {"GetObject": 1},
        "delete an object": {**delete, "HeadObject": 1},
        f"delete {deleted} objects in one call": {"PutObject": deleted, "ListMultipartUploads": 2, "DeleteObjects": 1},
        "`/readyz`, at most every 2 seconds": {"GetObject": 1},
    }
    return [Operation(name, calls) for name, calls in table.items()]


DOWNLOADS: Final = 5
"""Downloads of an upload."""

MIX: Final[Mapping[str, float]] = {
    "create, also retried": 0.9,
    f"PUT {BY_CLIENT}": 0.9,
    "status": 0.18,
    "confirm": 0.9,
    "create in parts": 0.1,
    f"{PARTS} PUTs of parts {BY_CLIENT}": 0.1,
    "status of parts": 0.02,
    "confirm of parts": 0.1,
    "download link": DOWNLOADS,
    f"GET {BY_CLIENT}": DOWNLOADS,
}
"""Operations per upload on average: 10 % of uploads have parts, and clients request the status of 20 %."""


def upload_of_the_mix(*, client: bool = True, broker: bool = True) -> Mapping[str, float]:
    """Return the calls of an upload by class; without those of the ``client``, or of the ``broker``, if so wanted."""
    total = dict.fromkeys(USD, 0.0)
    for each in operations():
        if client if each.name.endswith(BY_CLIENT) else broker:
            for name in total:
                total[name] += MIX.get(each.name, 0) * each.of_class(name)
    return total


def table(found: Sequence[Operation]) -> str:
    """Return one line for each operation, and one for an upload of the mix."""
    lines = [
        f"| operation | calls to R2 | class A | class B | USD per million, {AS_OF} |",
        "|---|---|---|---|---|",
    ]
    for each in found:
        classes = f"{each.of_class('A')} | {each.of_class('B')}"
        lines.append(f"| {each.name} | {_listed(each.calls)} | {classes} | {each.price:,.2f} |")
    mix = upload_of_the_mix()
    price = sum(USD[name] * count for name, count in mix.items())
    name = f"**an upload of the mix, with {DOWNLOADS} downloads**"
    return "\n".join([*lines, f"| {name} | | {mix['A']:.2f} | {mix['B']:.2f} | **{price:.2f}** |"])


def _listed(calls: Mapping[str, int]) -> str:
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in sorted(calls.items())) or "none"
