"""Faults between broker and store, one after the other under a steady load."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tests.stores.place import Place

from .journal import Journal, accidents, opened, refusals, said
from .selective import THROTTLED, EmptyTag, Once, Only, of_one_in
from .standing import (
    NONE,
    BlackHole,
    Cut,
    Drip,
    Fault,
    Garbage,
    Latency,
    Mute,
    Refused,
    Reset,
    Says,
    StandingProxy,
    s3_error,
)
from .steady import Load, Pace, Seen, paced
from .table import Signing, signing, statuses

EDGE_PAGE = b"<!DOCTYPE html><title>Web server is returning an unknown error</title>"
BLACK_HOLE = "black hole: it takes connections and says nothing"
ONE_OBJECT = "answers 429 for one object in ten"
ONCE = "answers 520 once, then well, for one object in ten"
NO_TAG = "answers a CompleteMultipartUpload with an empty ETag"
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        ONE_OBJECT: Only(of_one_in(10), THROTTLED),
        ONCE: Once(of_one_in(10), s3_error(520, "Unknown")),
        NO_TAG: EmptyTag(),
        "answers 0.5 s late": Latency(0.5),
        "answers 2 s late": Latency(2),
        "answers 5 s late": Latency(5),
        "answers drip, a byte in 20 ms": Drip(0.02),
        "connection ends after 40 bytes of an answer": Cut(40),
        "connections are reset": Reset(),
        BLACK_HOLE: BlackHole(),
        "only copies are never answered": Mute("PUT"),
        "answers are garbage": Garbage(),
        "answers 500": s3_error(500, "InternalError"),
        "answers 503 SlowDown": s3_error(503, "SlowDown"),
        "answers 520": Says(520, EDGE_PAGE),
        "answers 530": Says(530, EDGE_PAGE),
        "answers 403": s3_error(403, "AccessDenied"),
        "connections are refused": Refused(),
    }
)

REFUSES_ONLY: Mapping[str, str | None] = MappingProxyType({ONE_OBJECT: "answered 429", ONCE: None, NO_TAG: None})
"""Faults that are not a failure of the whole store, by the only reason for which a confirm may be refused."""

HEAD = (
    "what the store does",
    "creates and downloads that succeed",
    "p50",
    "p99 (by that of no fault)",
    "confirms",
    "longest 503",
    "longest",
    "back after",
    "the broker's log",
)

ANSWERED_WITHIN = 3.5
"""Seconds in which a 503 is there: the deadline of a call is 3, the rest is for a machine with other work."""

RECOVERS_WITHIN = 30.0
SLOWER = 2.0
"""How much the 99th percentile may grow while the store says nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """The measurements during one fault. Times are in seconds; ``recovered`` is ``None`` without recovery."""

    name: str
    signing: Signing
    confirms: Sequence[Seen]
    recovered: float | None
    log: str
    wrong: Sequence[str]
    """What must never be: other answers than were to be expected, accidents in the log."""

    @property
    def longest_refusal(self) -> float:
        """The longest confirm with status 503, in seconds."""
        return max((one.seconds for one in self.confirms if one.status == 503), default=0.0)

    @property
    def longest(self) -> float:
        """The longest confirm, in seconds."""
        return max((one.seconds for one in self.confirms), default=0.0)

    def cells(self, baseline: Signing) -> list[str]:
        """Return the cells of the table."""
        return [
            self.name,
            f"{self.signing.available:.2%} of {self.signing.count}",
            f"{self.signing.p50:.1f} ms",
            f"{self.signing.p99:.1f} ms ({self.signing.p99 / baseline.p99:.2f})",
            statuses(self.confirms),
            f"{self.longest_refusal:.1f} s" if self.longest_refusal else "-",
            f"{self.longest:.1f} s",
            "never" if self.recovered is None else f"{self.recovered:.1f} s",
            self.log,
        ]

    def broken(self) -> list[str]:
        """Return the broken rules, whatever the fault is."""
        rules = {
            "creates and downloads were not all answered well": self.signing.available == 1,
            f"a 503 took more than {ANSWERED_WITHIN} s": self.longest_refusal <= ANSWERED_WITHIN,
            f"not back within {RECOVERS_WITHIN:.0f} s": self.recovered is not None
            and self.recovered <= RECOVERS_WITHIN,
        }
        return [f"{self.name}: {rule}" for rule in (*(name for name, kept in rules.items() if not kept), *self.wrong)]


def is_slow(row: Row, baseline: Signing) -> bool:
    """Return whether signing had to wait for the store."""
    return row.signing.p99 > SLOWER * baseline.p99


class Runner:
    """Applies faults during one load."""

    def __init__(self, proxy: StandingProxy, journal: Journal, load: Load) -> None:
        self._proxy = proxy
        self._journal = journal
        self._load = load

    async def row(self, name: str, fault: Fault, seconds: float, *beside: Pace) -> Row:
        """Apply ``fault`` for ``seconds``, then wait until a confirm succeeds and all requests of that time ended.

        ``beside`` is an additional load.
        """
        self._journal.news()
        began = time.monotonic()
        self._proxy.stand(fault)
        async with paced(self._load, *beside):
            await asyncio.sleep(seconds)
            await self._load.all_answered(time.monotonic() if beside else 0)
        ended = time.monotonic()
        self._proxy.stand(NONE)
        recovered = 0.0 if fault is NONE else await self._recovered(ended)
        await self._load.all_answered(ended)
        signed = self._load.of("create", "download", since=began, until=ended)
        confirms = [one for one in self._load.of("confirm", until=ended) if one.ended > began]
        lines = self._journal.news()
        others = self._load.of("begin", "parts", since=began, until=ended)
        wrong = unexpected([*signed, *confirms, *others]) + accidents(lines) + self._load.accidents
        if name in REFUSES_ONLY:
            wrong += spread(lines, REFUSES_ONLY[name])
        return Row(name, signing(signed), confirms, recovered, said(lines), wrong)

    async def _recovered(self, ended: float) -> float | None:
        """Return the seconds from the end of the fault to the first confirm that began later and succeeded."""
        while time.monotonic() < ended + 2 * RECOVERS_WITHIN:
            good = [one.ended for one in self._load.of("confirm", since=ended) if one.status == 200]
            if good:
                return min(good) - ended
            await asyncio.sleep(0.05)
        return None


def spread(lines: list[dict[str, Any]], reason: str | None) -> list[str]:
    """Return the effects on other objects: refusals for another ``reason``, and an open circuit."""
    others = [why for line in lines for why in refusals(line) if reason is None or reason not in why]
    return [f"refused because {why}" for why in sorted(set(others))] + ["the circuit opened"] * bool(opened(lines))


def unexpected(seen: Sequence[Seen]) -> list[str]:
    """Return the statuses that are neither success nor, for a confirm, 503."""
    good = {"create": (201,), "download": (200,), "confirm": (200, 503), "begin": (201,), "parts": (200,)}
    bad = [one for one in seen if one.status not in good[one.kind]]
    return [f"unexpected answers to {kind}: {statuses(found)}" for kind in good if (found := _of(kind, bad))]


def _of(kind: str, seen: Sequence[Seen]) -> list[Seen]:
    return [one for one in seen if one.kind == kind]


def settings(store: Place, endpoint: str) -> dict[str, str]:
    """Return the settings of a broker with this store at ``endpoint``."""
    return {
        "R2_ENDPOINT": endpoint,
        "R2_ACCESS_KEY_ID": store.credentials.access_key_id,
        "R2_SECRET_ACCESS_KEY": store.credentials.secret_access_key,
        "R2_BUCKET_NAME": store.bucket,
        "BROKER_RATE_LIMIT": "0",
    }
