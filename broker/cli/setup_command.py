"""``broker setup``: compare the rules of the buckets with those that the deployment needs, and make the changes.

The admin key is read from the environment of this command, or from the terminal. It is never stored, and not read from
a file of settings: the service must not have it.
"""

import getpass
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from broker import settings
from broker.crypto.sigv4 import Credentials
from broker.server.exits import Exit, StartError
from broker.settings import Settings, StoreSettings
from broker.settings.endpoint import Jurisdiction, parts_of_endpoint
from broker.setup.change_plan import Kind, make_plan
from broker.setup.desired_rules import bucket_needs
from broker.setup.plan_text import plan_lines
from broker.setup.plan_writer import BucketRules, NotRestoredError, apply
from broker.setup.printed_rules import FORMATS
from broker.store import admin

from .env_file import load_env_file

ADMIN_KEY_ID: Final = "R2_ADMIN_ACCESS_KEY_ID"
"""Variable with the access key ID of the admin key."""

ADMIN_SECRET: Final = "R2_ADMIN_SECRET_ACCESS_KEY"  # noqa: S105  # the name of a variable
"""Variable with the secret access key of the admin key."""


class SetupOptions(NamedTuple):
    """The options of the command. ``printed`` is a name of ``FORMATS``, or ``None`` to compare with the buckets."""

    is_applied: bool
    printed: str | None
    jurisdiction: str | None
    env_file: Path | None


def run(options: SetupOptions) -> int:
    """Print the plan or apply it, and return the exit status; raise ``StartError`` or ``SettingsError``."""
    given = os.environ.get(ADMIN_KEY_ID, ""), os.environ.get(ADMIN_SECRET, "")
    load_env_file(options.env_file)
    parsed = settings.from_environment()
    if parsed.store is None:
        raise StartError(f"setup needs the settings of the store: set {', '.join(parsed.missing)}")
    if options.printed:
        _check_jurisdiction(parsed.store, options.jurisdiction)
        print(_printed(parsed, parsed.store, options.printed, options.jurisdiction), end="")
        return Exit.STOPPED
    if options.jurisdiction:
        raise StartError("-J is an option of --print: without it, the endpoint has the jurisdiction")
    endpoint = parsed.store.endpoint
    return change_buckets(
        parsed, parsed.store, lambda: StoredRules(endpoint, _admin_key(*given)), is_applied=options.is_applied
    )


class StoredRules:
    """The rules of buckets at an S3 store, read and written with the admin key."""

    def __init__(self, endpoint: str, key: Credentials) -> None:
        self._client = admin.connect(endpoint, key)

    def read(self, bucket: str, kind: Kind) -> Sequence[admin.Rule]:
        """Return the rules of one kind; raise ``BucketRulesError``."""
        return (admin.read_cors if kind is Kind.CORS else admin.read_lifecycle)(self._client, bucket)

    def write(self, bucket: str, kind: Kind, rules: Sequence[admin.Rule]) -> None:
        """Replace the rules of one kind; raise ``BucketRulesError``."""
        (admin.write_cors if kind is Kind.CORS else admin.write_lifecycle)(self._client, bucket, rules)


def change_buckets(
    parsed: Settings, store: StoreSettings, connect: Callable[[], BucketRules], *, is_applied: bool
) -> int:
    """Print the plan, make the changes if ``is_applied``, and return the exit status; raise ``StartError``.

    Signals are handled before ``connect`` is called: it may read the terminal, whose echo is then off.
    """
    previous = [(number, signal.signal(number, _interrupt)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        return _change(parsed, store, connect(), is_applied=is_applied)
    except KeyboardInterrupt:
        return _end(Exit.INTERRUPTED, "interrupted. The rules of the buckets are as they were.")
    except NotRestoredError as error:
        return _end(Exit.HALF_CHANGED, f"{error}. Run broker setup again to see what the buckets have.")
    except admin.BucketRulesError as error:
        return _end(Exit.NOT_CHANGED, f"{error}. {_remedy(str(error))} The rules of the buckets are as they were.")
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


def _change(parsed: Settings, store: StoreSettings, rules: BucketRules, *, is_applied: bool) -> int:
    plan = make_plan(bucket_needs(parsed, store), rules.read)
    is_applied = is_applied and not plan.conflicts
    if is_applied:
        apply(plan.needed, rules, before_restore=_ignore_signals)
    print(*plan_lines(plan, is_applied=is_applied), sep="\n")
    if plan.conflicts:
        return Exit.NOT_CHANGED
    return Exit.CHANGES_NEEDED if plan.needed and not is_applied else Exit.STOPPED


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    """Ignore signals while changes are undone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _end(status: Exit, text: str) -> Exit:
    print(f"broker: setup: {text}", file=sys.stderr)
    return status


def _remedy(reason: str) -> str:
    """Return what to do after the store refused the admin key, or did not respond."""
    if "AccessDenied" in reason or " 403" in reason or " 401" in reason:
        return "Use an API token with Admin Read & Write, of the account of R2_ENDPOINT, and compare the bucket names."
    if "NoSuchBucket" in reason or " 404" in reason:
        return "Create the bucket first, or correct its name, account and jurisdiction."
    if "NotImplemented" in reason or " 501" in reason:
        return "This store has no such rules."
    return "Check R2_ENDPOINT and the network, and run the command again."


def _admin_key(key_id: str, secret: str) -> Credentials:
    """Return the admin key from the environment or from the terminal; raise ``StartError``."""
    if bool(key_id) != bool(secret):
        raise StartError(f"{ADMIN_KEY_ID} and {ADMIN_SECRET} must both be set, or neither.")
    if not key_id:
        if not (sys.stdin and sys.stdin.isatty()):  # None if the descriptor is closed
            raise StartError(f"setup needs an admin key: set {ADMIN_KEY_ID} and {ADMIN_SECRET} for this command.")
        with suppress(EOFError):
            key_id = input("Access key ID of an API token with Admin Read & Write: ").strip()
            secret = getpass.getpass("Secret access key (not shown, not stored): ").strip()
    if not (key_id and secret):
        raise StartError("The admin key is empty.")
    return Credentials(key_id, secret)


def _check_jurisdiction(store: StoreSettings, given: str | None) -> None:
    """Raise ``StartError`` if the option contradicts the endpoint."""
    parts = parts_of_endpoint(store.endpoint)
    if given and parts and given != parts.jurisdiction:
        raise StartError(f"-J {given} contradicts the endpoint, whose jurisdiction is {parts.jurisdiction}.")


def _printed(parsed: Settings, store: StoreSettings, name: str, given: str | None) -> str:
    parts = parts_of_endpoint(store.endpoint)
    account, jurisdiction = parts or ("", given or Jurisdiction.DEFAULT)
    option = "" if jurisdiction == Jurisdiction.DEFAULT else jurisdiction
    return FORMATS[name](bucket_needs(parsed, store), account, option)
