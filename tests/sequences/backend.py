"""The interface of a back end: a broker and its store, with a clock that the sequence advances."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from unittest.mock import patch

from broker.core.parts import PartPlan

USERS = ("user-1", "user-2")
SERVICE = "service"
CALLERS = (*USERS, SERVICE)


class Call(NamedTuple):
    """One API call of a caller, or a client's PUT, which has no caller."""

    caller: str
    name: str
    arguments: tuple[Any, ...] = ()


class Response(NamedTuple):
    """A status and a document; that of a refusal is its problem document without the request id."""

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
    """The response to a GET of a signed link."""

    status: int
    body: bytes = b""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """The keys of objects and the S3 UploadIds that the lifecycle rules removed."""

    keys: frozenset[str] = frozenset()
    multiparts: frozenset[str] = frozenset()


class Backend(Protocol):
    """A broker with a store. With ``simulates_store`` the store is simulated, with its lifecycle and order of requests.

    ``checks_checksums``: whether the store refuses bytes with another checksum than the signed one; ``None`` if
    unknown.
    """

    simulates_store: bool
    checks_checksums: bool | None
    part_size: int
    links_for_all: bool

    def begin(self, variant: int) -> None:
        """Start a sequence without uploads, with the clock at its start."""
        ...

    def subject(self, caller: str) -> str:
        """Return the subject in the token of ``caller``."""
        ...

    def jwks(self) -> dict[str, Any]:
        """Return the keys that verify receipts."""
        ...

    def now(self) -> int:
        """Return the broker's time."""
        ...

    def wait(self, seconds: int) -> None:
        """Advance the clock."""
        ...

    def clean(self) -> Removed:
        """Apply the bucket's lifecycle rules."""
        ...

    def call(self, call: Call) -> Response:
        """Perform one call."""
        ...

    def race(self, calls: Sequence[Call], order: Sequence[int]) -> list[Response]:
        """Perform concurrent calls; ``order`` chooses whose request the store gets next."""
        ...

    def put(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Perform a client's PUT; return its status."""
        ...

    def get(self, url: str) -> Served:
        """GET a link."""
        ...

    def end(self) -> None:
        """End a sequence."""
        ...


@contextmanager
def small_and_fast(part_size: int, pause: float, *, ranges: bool) -> Iterator[None]:
    """Use small parts and no long pauses in this process.

    With ``ranges`` an object of more than two parts is promoted in ranges of one part, one in each confirm.
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
            "service.promotion.CONCURRENT_RANGES_PER_OBJECT": 1,
            "service.promotion.DEADLINE": 0.0,
        }
    with ExitStack() as stack:
        for name, value in changes.items():
            stack.enter_context(patch(f"broker.{name}", value))
        yield
