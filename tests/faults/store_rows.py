"""Faults between broker and store, one after the other, under a constant load."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tests.stores.place import Place

from .journal import Journal, opened, refusals, summary, unexpected_lines
from .selective import THROTTLED, EmptyTag, Once, Only, of_one_in
from .standing import (
    NONE,
    BlackHole,
    Cut,
    Drip,
    Fault,
    FixedResponse,
    Garbage,
    Latency,
    Mute,
    Refused,
    Reset,
    StandingProxy,
    s3_error,
)
from .steady import Load, Pace, Result, paced
from .table import Signing, signing, statuses

EDGE_PAGE = b"<!DOCTYPE html><title>Web server is returning an unknown error</title>"
BLACK_HOLE = "black hole: accepts connections and never responds"
ONE_OBJECT = "returns 429 for one object in ten"
ONCE = "returns 520 once, then succeeds, for one object in ten"
NO_TAG = "returns an empty ETag from CompleteMultipartUpload"
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        ONE_OBJECT: Only(of_one_in(10), THROTTLED),
        ONCE: Once(of_one_in(10), s3_error(520, "Unknown")),
        NO_TAG: EmptyTag(),
        "responds 0.5 s late": Latency(0.5),
        "responds 2 s late": Latency(2),
        "responds 5 s late": Latency(5),
        "responses drip, one byte every 20 ms": Drip(0.02),
        "connection ends after 40 bytes of a response": Cut(40),
        "connections are reset": Reset(),
        BLACK_HOLE: BlackHole(),
        "never responds to copies": Mute("PUT"),
        "responses are garbage": Garbage(),
        "returns 500": s3_error(500, "InternalError"),
        "returns 503 SlowDown": s3_error(503, "SlowDown"),
        "returns 520": FixedResponse(520, EDGE_PAGE),
        "returns 530": FixedResponse(530, EDGE_PAGE),
        "returns 403": s3_error(403, "AccessDenied"),
        "connections are refused": Refused(),
    }
)

REFUSES_ONLY: Mapping[str, str | None] = MappingProxyType({ONE_OBJECT: "returned 429", ONCE: None, NO_TAG: None})
"""Faults of single objects, with the only allowed reason of a refused confirm; ``None`` allows no refusal."""

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

REFUSED_WITHIN = 3.5
"""Limit of the duration of a 503, in seconds: the deadline of a call is 3, and the machine may be busy."""

RECOVERS_WITHIN = 30.0
"""Seconds after a fault in which confirms must succeed again."""

SLOWER = 2.0
"""Limit of the 99th percentile while the store does not respond, relative to that without a fault."""


@dataclass(frozen=True, slots=True)
class Row:
    """The measurements during one fault. Times are in seconds; ``recovered`` is ``None`` without recovery."""

    name: str
    signing: Signing
    confirms: Sequence[Result]
    recovered: float | None
    log: str
    wrong: Sequence[str]
    """Unexpected responses, and unexpected lines in the log."""

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
            "some creates or downloads failed": self.signing.available == 1,
            f"a 503 took more than {REFUSED_WITHIN} s": self.longest_refusal <= REFUSED_WITHIN,
            f"no recovery within {RECOVERS_WITHIN:.0f} s": self.recovered is not None
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
        self._journal.new_lines()
        began = time.monotonic()
        self._proxy.apply(fault)
        async with paced(self._load, *beside):
            await asyncio.sleep(seconds)
            await self._load.wait_for_all(time.monotonic() if beside else 0)
        ended = time.monotonic()
        self._proxy.apply(NONE)
        recovered = 0.0 if fault is NONE else await self._recovered(ended)
        await self._load.wait_for_all(ended)
        signed = self._load.of("create", "download", since=began, until=ended)
        confirms = [one for one in self._load.of("confirm", until=ended) if one.ended > began]
        lines = self._journal.new_lines()
        others = self._load.of("begin", "parts", since=began, until=ended)
        wrong = unexpected([*signed, *confirms, *others]) + unexpected_lines(lines) + self._load.errors
        if name in REFUSES_ONLY:
            wrong += spread(lines, REFUSES_ONLY[name])
        return Row(name, signing(signed), confirms, recovered, summary(lines), wrong)

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


def unexpected(seen: Sequence[Result]) -> list[str]:
    """Return the statuses that are neither success nor, for a confirm, 503."""
    good = {"create": (201,), "download": (200,), "confirm": (200, 503), "begin": (201,), "parts": (200,)}
    bad = [one for one in seen if one.status not in good[one.kind]]
    return [f"unexpected responses to {kind}: {statuses(found)}" for kind in good if (found := _of(kind, bad))]


def _of(kind: str, seen: Sequence[Result]) -> list[Result]:
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
