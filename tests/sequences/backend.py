"""What a sequence is played against: the broker and its store, with a clock that the sequence turns."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from unittest.mock import patch

from broker.core.parts import PartPlan

USERS = ("user-1", "user-2")
SERVICE = "service"
EVERYBODY = (*USERS, SERVICE)


class Call(NamedTuple):
    """One call of the API in somebody's name, or a client's PUT, which is in nobody's name."""

    who: str
    name: str
    arguments: tuple[Any, ...] = ()


class Answer(NamedTuple):
    """A status and a document; a refusal's document is its problem without the request id."""

    status: int
    document: dict[str, Any]

    @property
    def code(self) -> str:
        """The code of the problem; empty for any other document."""
        return str(self.document.get("code", ""))

    @property
    def outcome(self) -> str:
        """The code of the problem, or the status."""
        return self.code or str(self.status)


class Served(NamedTuple):
    """What a GET of a signed link brings."""

    status: int
    body: bytes = b""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """What the bucket's lifecycle removed: keys of objects, and the store's ids of multipart uploads."""

    keys: frozenset[str] = frozenset()
    multiparts: frozenset[str] = frozenset()


class Backend(Protocol):
    """A broker over a store. ``plays_store``: the store is played too, so that its lifecycle and its order are ours.

    ``checks_digests``: the store refuses bytes with another checksum than the signed one; ``None`` where that is open.
    """

    plays_store: bool
    checks_digests: bool | None
    part_size: int
    links_for_all: bool

    def begin(self, variant: int) -> None:
        """Begin a sequence: nobody owns anything, and the clock is at its start."""
        ...

    def subject(self, who: str) -> str:
        """The subject in the token of ``who``."""
        ...

    def jwks(self) -> dict[str, Any]:
        """The keys that verify receipts."""
        ...

    def now(self) -> int:
        """The broker's clock."""
        ...

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        ...

    def clean(self) -> Removed:
        """Let the bucket's lifecycle rules work."""
        ...

    def ask(self, call: Call) -> Answer:
        """The answer to one call."""
        ...

    def race(self, calls: Sequence[Call], order: Sequence[int]) -> list[Answer]:
        """The answers to calls that run at once; ``order`` chooses whose request the store gets next."""
        ...

    def put(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of a client's PUT."""
        ...

    def get(self, url: str) -> Served:
        """What a client gets from a link."""
        ...

    def end(self) -> None:
        """End a sequence."""
        ...


@contextmanager
def hurried(part_size: int, pause: float, *, ranges: bool) -> Iterator[None]:
    """Small parts and no long pauses in this process.

    With ``ranges`` an object of more than two parts is promoted in ranges of a part, one range in each confirm.
    """

    def plan(size: int, _preferred: int = 0) -> PartPlan:
        return PartPlan(size, part_size)

    changes: dict[str, object] = {
        "core.upload_rules.plan": plan,
        "service.deletion.COPY_GRACE": pause,
        "service.promotion.NEXT_SECOND": pause,
        "service.exclusive.LOCK_TIMEOUT": pause,
    }
    if ranges:
        changes |= {
            "service.promotion.plan": plan,
            "service.promotion.COPY_MAX": 2 * part_size,
            "service.promotion.CONCURRENCY": 1,
            "service.promotion.DEADLINE": 0.0,
        }
    with ExitStack() as stack:
        for name, value in changes.items():
            stack.enter_context(patch(f"broker.{name}", value))
        yield
