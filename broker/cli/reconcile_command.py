"""``broker reconcile``: compare the ready objects with the keys that the product knows, and delete the others."""

import asyncio
import logging
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from broker import settings
from broker.reconcile.key_list import KeyList, KeyListError
from broker.reconcile.reconciliation import DEFAULT_AGE, Limits, UnsafeDeletionError, check_list, least_age
from broker.server.exits import Exit, StartError
from broker.service.assembly import assemble

from .env_file import load_env_file
from .reconcile_run import ReconcileRun, RunOptions

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class ReconcileOptions(NamedTuple):
    """The options of the command. ``keys`` is a path or ``-``; ``older_than`` is in seconds."""

    keys: str
    is_deleting: bool
    older_than: int | None
    limits: Limits
    output: str
    env_file: Path | None


def run(options: ReconcileOptions) -> int:
    """Compare, print and delete, and return the exit status; raise ``StartError`` or ``SettingsError``."""
    load_env_file(options.env_file)
    parsed = settings.from_environment()
    if parsed.store is None:
        raise StartError(f"reconcile needs the settings of the store: set {', '.join(parsed.missing)}")
    least = least_age(parsed.uploads)
    age = max(DEFAULT_AGE, least) if options.older_than is None else options.older_than
    if age < least:
        text = f"--older-than must be at least {least} seconds: until then the product may still store a new key."
        raise StartError(text)
    previous = [(number, signal.signal(number, _interrupt)) for number in SIGNALS]
    logging.disable()  # the messages have what the log would have
    try:
        with _temporary_files(), closing(KeyList()) as keys:
            return _reconcile(options, parsed, keys, age)
    except KeyboardInterrupt:
        return end(Exit.INTERRUPTED, "interrupted. No object was deleted.")
    finally:
        logging.disable(logging.NOTSET)
        for number, handler in previous:
            signal.signal(number, handler)


def end(status: Exit, text: str) -> Exit:
    """Print the reason of an exit status, and return it."""
    print(f"broker: reconcile: {text}", file=sys.stderr)
    return status


def _reconcile(options: ReconcileOptions, parsed: settings.Settings, keys: KeyList, age: int) -> Exit:
    before = _read(options.keys, keys) - age
    limits = options.limits if options.is_deleting else None
    try:
        if limits:
            check_list(keys, limits)
    except UnsafeDeletionError as error:
        return end(Exit.NOT_CHANGED, f"{error}. No object was deleted.")
    deployment = assemble(parsed)
    with ReconcileRun(deployment, RunOptions(before, age, limits, options.output)) as started:
        status, text = asyncio.run(started.run(keys.sorted(), SIGNALS))
    return end(status, text) if text else status


def _read(name: str, keys: KeyList) -> float:
    """Read the list, and return the instant of which it is; raise ``StartError``.

    That is the date of the file, because the list has no object that was confirmed later. A pipe has no date: its list
    is made while the command runs.
    """
    began = time.time()
    try:
        source = open(0, "rb", closefd=False) if name == "-" else Path(name).open("rb")  # noqa: SIM115  closed below
    except OSError as error:
        raise StartError(f"--keys {name} cannot be read: {error.strerror}.") from None
    with source:
        found = os.fstat(source.fileno())
        try:
            keys.read(source)
        except KeyListError as error:
            raise StartError(f"--keys {name}: {error}") from None
    return min(began, found.st_mtime) if stat.S_ISREG(found.st_mode) else began


@contextmanager
def _temporary_files() -> Iterator[None]:
    """Raise ``StartError`` if a temporary file cannot be written."""
    try:
        yield
    except OSError as error:
        text = f"a temporary file cannot be written: {error.strerror}. Set TMPDIR to a folder with more room."
        raise StartError(text) from None


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
