"""One run of ``broker reconcile`` at the store: its output, its end after a signal, and its exit status."""

import asyncio
import signal
import tempfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self, cast

from broker.errors import StorageUnavailableError
from broker.reconcile.comparison import Finding, Kind, ListingOrderError
from broker.reconcile.output_lines import DELETED, FAILED, FORMATS
from broker.reconcile.reconciliation import (
    Limits,
    Reconciliation,
    StoppedError,
    UnsafeDeletionError,
    check_share,
)
from broker.server.exits import Exit
from broker.service.assembly import Deployment, Services
from broker.settings import StoreSettings
from broker.store.port import ObjectStore

from .output import OutputError, flush, write_line

_AGAIN: Final = "Run the same command again: it continues with the rest."
_FORBIDDEN: Final = (" 401", " 403", "AccessDenied", "Unauthorized")

Ending = tuple[Exit, str]
"""An exit status, and its reason for standard error; an empty text if there is nothing to say."""


class RunOptions(NamedTuple):
    """Objects stored after ``before``, ``age`` seconds before the list, are kept. ``limits`` permit a deletion."""

    before: float
    age: int
    limits: Limits | None
    output: str


class ReconcileRun:
    """The run. What it is to delete waits in a temporary file until the whole listing was compared."""

    def __init__(self, deployment: Deployment, options: RunOptions) -> None:
        self._deployment = deployment
        self._options = options
        self._lines = FORMATS[options.output]()
        self._candidates = tempfile.TemporaryFile()  # noqa: SIM115  closed with this object
        services = cast("Services", deployment.services)  # the deployment has a store
        store = cast("ObjectStore", deployment.store)
        self._task = Reconciliation(store, services.objects.deletion, self._report)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._candidates.close()

    async def run(self, keys: Iterator[str], signals: Sequence[signal.Signals]) -> Ending:
        """Compare, delete if there are limits, and return the exit status with its reason."""
        for number in signals:
            asyncio.get_running_loop().add_signal_handler(number, self._task.stop.set)
        try:
            return await self._run(keys)
        except (OutputError, ListingOrderError, UnsafeDeletionError) as error:
            return self._broken_off(f"{error}.")
        except StoppedError:
            return Exit.INTERRUPTED, f"interrupted. {self._done()} {_AGAIN}"
        except StorageUnavailableError as error:
            if self._task.stop.is_set():
                return Exit.INTERRUPTED, f"interrupted. {self._done()} {_AGAIN}"
            return self._broken_off(f"{error.reason}. {self._remedy(error.reason)}")
        finally:
            for store in self._deployment.stores:
                await store.close()

    async def _run(self, keys: Iterator[str]) -> Ending:
        task, options = self._task, self._options
        await task.compare(keys, options.before)
        try:
            if options.limits:
                check_share(task.counts, options.limits)
                await self._delete(options.limits)
        finally:
            deletions = {DELETED: task.deleted, FAILED: task.failed} if options.limits else {}
            write_line(self._lines.summary(task.counts, deletions, options.age))
            flush()
        return self._finding()

    async def _delete(self, limits: Limits) -> None:
        self._candidates.seek(0)
        keys = (line[:-1].decode() for line in self._candidates)
        async for batch in self._task.delete(keys, limits.rate):
            for key in batch.deleted:
                write_line(self._lines.deletion(key))
            for key, reason in batch.failed.items():
                write_line(self._lines.deletion(key, reason))
            flush()

    def _finding(self) -> Ending:
        """Return the end of a complete run."""
        counts, limits = self._task.counts, self._options.limits
        if self._task.failed:
            return self._broken_off("some objects were not deleted.")
        if counts.missing:
            return Exit.CHECK_FAILED, f"{counts.missing} keys have no object."
        if counts.unreferenced and not limits:
            return Exit.CHANGES_NEEDED, "to delete the unreferenced objects, add --delete."
        return Exit.STOPPED, ""

    def _report(self, finding: Finding) -> None:
        if finding.kind is Kind.UNREFERENCED and self._options.limits:
            self._candidates.write(finding.key.encode() + b"\n")
        else:
            write_line(self._lines.finding(finding))

    def _broken_off(self, reason: str) -> Ending:
        status = Exit.HALF_CHANGED if self._task.deleted or self._task.failed else Exit.NOT_CHANGED
        return status, f"{reason} {self._done()}" + (f" {_AGAIN}" if status is Exit.HALF_CHANGED else "")

    def _done(self) -> str:
        if not self._task.deleted:
            return "No object was deleted."
        return f"{self._task.deleted} of {self._task.counts.unreferenced} objects were deleted."

    def _remedy(self, reason: str) -> str:
        """Return what to do after the store refused the key of the service, or did not respond."""
        configured = cast("StoreSettings", self._deployment.settings.store)
        if any(code in reason for code in _FORBIDDEN):
            buckets = " and ".join(dict.fromkeys((configured.bucket, configured.staging_bucket)))
            return f"The key of R2_ACCESS_KEY_ID needs Object Read & Write for {buckets}."
        return "Run broker doctor to find the cause."
