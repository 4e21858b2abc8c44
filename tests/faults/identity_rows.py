"""Faults of the identity service, one after the other, while users with valid tokens request links."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from broker.auth.fetch_budget import BURST, COOLDOWN
from tests.auth.minting import document, jwk
from tests.e2e.processes import Broker
from tests.web.application import KEY

from .journal import Journal, summary, unexpected_lines
from .standing import Fault, FixedResponse, StandingProxy
from .steady import Client, Load, Result, paced
from .table import Signing, signing, statuses

FIRST, SECOND, UNKNOWN = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
ONE_KEY = FixedResponse(200, document(jwk(FIRST, "first")))
TWO_KEYS = FixedResponse(200, document(jwk(FIRST, "first"), jwk(SECOND, "second")))

GOOD_TOKENS = 100
"""Valid tokens a second. Each is new, so that its signature is verified."""

UNKNOWN_RATE = 5
"""Tokens a second with unknown key ids: each of them is a reason to fetch the keys again."""

FLOOD, FLOOD_FOR = 1000, 4.0
"""Number of such tokens in a flood, and its duration in seconds."""

RECOVERY_MAX = 8.0
"""Limit of the seconds until new keys are used. After an outage of 5 s the pauses between retries are shorter."""

SLOWEST = 50.0
"""Limit of the 99th percentile of valid tokens, in milliseconds, whatever the identity service does."""

HEAD = (
    "what the identity service does",
    "valid tokens",
    "p50",
    "p99",
    "others",
    "fetches",
    "back after",
    "the broker's log",
)


@dataclass(frozen=True, slots=True)
class Row:
    """The measurements of one fault. ``recovered`` is in seconds until new keys work; ``None`` if it does not apply."""

    name: str
    seconds: float
    good: Signing
    others: str
    fetches: int
    log: str
    wrong: Sequence[str]
    recovered: float | None = None
    without_keys: bool = False
    """Whether the broker has no keys, so that no token can be accepted."""

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        return [
            self.name,
            f"{self.good.available:.2%} of {self.good.count}",
            f"{self.good.p50:.1f} ms",
            f"{self.good.p99:.1f} ms",
            self.others,
            f"{self.fetches} in {self.seconds:.0f} s",
            "-" if self.recovered is None else f"{self.recovered:.1f} s",
            self.log,
        ]

    def _fetches_max(self) -> int:
        """Return the allowed fetches; without keys also the first, and a retry after 1 s, 2 s, 4 s and so on."""
        retries = 1 + int(math.log2(self.seconds + 1)) if self.without_keys else 0
        return BURST + math.floor(self.seconds / COOLDOWN) + retries

    def broken(self) -> list[str]:
        """Return the broken rules."""
        rules = {
            "valid tokens were refused": self.without_keys or self.good.available == 1,
            f"the 99th percentile is over {SLOWEST:.0f} ms": self.good.p99 <= SLOWEST,
            "more than three fetches, and one in 30 s": self.fetches <= self._fetches_max(),
            "no recovery in time": self.recovered is None or self.recovered <= RECOVERY_MAX,
        }
        return [f"{self.name}: {rule}" for rule in (*(name for name, kept in rules.items() if not kept), *self.wrong)]


@dataclass
class Runner:
    """Sets the faults of the identity service, and measures one broker that fetches its keys."""

    service: StandingProxy
    client: Client
    load: Load
    journal: Journal
    _numbers: "count[int]" = field(default_factory=count)

    async def row(
        self,
        name: str,
        fault: Fault,
        seconds: float,
        unknown: float = 0,
        *,
        statuses_of_good: Collection[int] = (200,),
    ) -> Row:
        """Measure a fault for ``seconds``, with ``unknown`` tokens a second that have unknown key ids."""
        watch = self._watch()
        self.service.apply(fault)
        paces = [(partial(self._send, "unknown", UNKNOWN, None), unknown)] if unknown else []
        async with paced(self.load, *paces):
            await asyncio.sleep(seconds)
            until = time.monotonic()
            await self.load.wait_for_all(until)
        return watch.row(name, until, statuses_of_good)

    async def rotation(self) -> Row:
        """Publish a second key and use it at once, until two seconds after its first token is accepted."""
        watch = self._watch()
        self.service.apply(TWO_KEYS)
        async with paced(self.load, (partial(self._send, "rotated", SECOND, "second"), UNKNOWN_RATE)):
            recovered = await self._first("rotated", watch.began)
            await asyncio.sleep(2)  # more tokens of the new key
        return watch.row("publishes a second key and uses it at once", time.monotonic(), (200,), recovered)

    async def recovery(self, since: float) -> float:
        """Return the seconds until a valid token was accepted."""
        return await self._first("good", since)

    async def good_token(self) -> None:
        """Send one request with a valid token."""
        await self._send("good", FIRST, "first")

    async def _first(self, kind: str, since: float) -> float:
        deadline = since + 2 * COOLDOWN
        while time.monotonic() < deadline:
            if good := [one.ended for one in self.load.of(kind, since=since) if one.status == 200]:
                return min(good) - since
            await asyncio.sleep(0.05)
        return math.inf

    async def _send(self, kind: str, key: ec.EllipticCurvePrivateKey, kid: str | None) -> None:
        claims = {"sub": f"user-{next(self._numbers)}", "exp": int(time.time()) + 600}
        token = jwt.encode(claims, key, "ES256", {"kid": kid or str(uuid4())})
        await self.client.send(kind, "GET", f"/downloads/{KEY}", {"Authorization": f"Bearer {token}"})

    def _watch(self) -> "_Watch":
        self.journal.new_lines()
        return _Watch(self, time.monotonic(), self.service.request_count)


@dataclass(frozen=True, slots=True)
class _Watch:
    """The state at the start of a row."""

    runner: Runner
    began: float
    request_count: int

    def row(self, name: str, until: float, good_is: Collection[int], recovered: float | None = None) -> Row:
        """Return the measurements since the start."""
        load = self.runner.load
        good, unknown, rotated = (
            load.of(kind, since=self.began, until=until) for kind in ("good", "unknown", "rotated")
        )
        lines = self.runner.journal.new_lines()
        wrong = [*unexpected_lines(lines), *load.errors]
        for seen, expected in ((good, good_is), (unknown, (401,)), (rotated, (401, 200))):
            wrong += [f"unexpected responses: {statuses([one])}" for one in seen if one.status not in expected]
        return Row(
            name,
            until - self.began,
            signing(good),
            _answers(unknown + rotated),
            self.runner.service.request_count - self.request_count,
            summary(lines),
            wrong,
            recovered,
            503 in good_is,
        )


def _answers(seen: Sequence[Result]) -> str:
    longest = max((one.seconds for one in seen), default=0.0)
    return f"{statuses(seen)}; longest {longest:.1f} s" if seen else "-"


@contextlib.asynccontextmanager
async def watched(service: StandingProxy, broker: Broker) -> AsyncIterator[Runner]:
    """Send valid tokens at a constant rate."""
    load = Load()
    client = Client(broker.url, broker.url, load)
    runner = Runner(service, client, load, Journal(broker))
    async with paced(load, (runner.good_token, GOOD_TOKENS)):
        yield runner
    await client.close()


def settings(service: StandingProxy) -> dict[str, str]:
    """Return the settings of a broker with this identity service. Signing links needs no store."""
    return {
        "R2_ENDPOINT": "http://127.0.0.1:9",
        "R2_ACCESS_KEY_ID": "AKNOWHERE",
        "R2_SECRET_ACCESS_KEY": "a secret access key of the tests",
        "R2_BUCKET_NAME": "songs",
        "BROKER_RATE_LIMIT": "0",
        "JWT_JWKS_URL": f"{service.endpoint}/keys",
    }
