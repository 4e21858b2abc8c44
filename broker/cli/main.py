"""The ``broker`` command: its arguments, and the call of the subcommand."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from broker.server.exits import Exit, StartError
from broker.settings import SettingsError, seconds_of

from . import output

WORKERS_MAX: Final = 1 if sys.platform == "win32" else 64
"""Maximum number of worker processes; more than one need the signals of POSIX."""

_SECONDS_MAX: Final = 2**31


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status, which is one of ``Exit``."""
    try:
        with output.flushed():
            options = _parser().parse_args(arguments)
            _check_working_directory()
            return _run(options)
    except SettingsError as error:
        print("broker: the configuration is wrong:", *error.faults, sep="\n  ", file=sys.stderr)
        return Exit.WRONG_CALL
    except StartError as error:
        print(f"broker: {error}", file=sys.stderr)
        return error.status
    except (output.OutputError, BrokenPipeError) as error:
        broken = output.failure(error) if isinstance(error, OSError) else error
        print(f"broker: {broken}.", file=sys.stderr)
        return Exit.WRONG_CALL


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "serve":
            from . import serve  # noqa: PLC0415  each command imports only its own modules

            place = serve.Place(options.host, options.port, options.uds, options.fd)
            return serve.run(place, options.workers, options.env_file)
        case "token":
            from . import token  # noqa: PLC0415  see above

            return token.run(options.subject, options.lifetime, options.env_file, is_service=options.service)
        case "setup":
            return _setup(options)
        case "reconcile":
            return _reconcile(options)
        case "doctor":
            from . import doctor_command  # noqa: PLC0415  see above

            return doctor_command.run(options.output, options.token, options.env_file)
        case _:
            return _demo(options.port, options.data)


def _setup(options: argparse.Namespace) -> int:
    with _boto3_for("setup", "admin"):
        from . import setup_command  # noqa: PLC0415  it imports boto3, which serving processes must not load
    chosen = setup_command.SetupOptions(options.apply, options.print, options.jurisdiction, options.env_file)
    return setup_command.run(chosen)


def _reconcile(options: argparse.Namespace) -> int:
    from broker.reconcile.reconciliation import Limits  # noqa: PLC0415  each command imports only its own modules

    from . import reconcile_command  # noqa: PLC0415  see above

    limits = Limits(options.rate, options.max_share, options.allow_empty)
    chosen = reconcile_command.ReconcileOptions(
        options.keys, options.delete, options.older_than, limits, options.output, options.env_file
    )
    return reconcile_command.run(chosen)


def _demo(port: int, data: Path | None) -> int:
    with _boto3_for("the demo", "demo"):
        from . import demo  # noqa: PLC0415  it imports boto3, which serving processes must not load
    return demo.run(port, data)


@contextmanager
def _boto3_for(name: str, extra: str) -> Iterator[None]:
    """Raise ``StartError`` if an import in this context fails because boto3 is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "boto3":
            raise
        text = f"{name} needs boto3, which is not installed: pip install 'r2-upload-broker[{extra}]'"
        raise StartError(text) from None


def _check_working_directory() -> None:
    try:
        Path.cwd()
    except OSError as error:
        text = f"the working directory cannot be used: {error.strerror}. Change to an existing folder."
        raise StartError(text) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="broker", description="Presigned-URL broker for Cloudflare R2.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands.add_parser("serve", help="run the service"))
    demo = commands.add_parser("demo", help="run the broker and a store on this machine")
    demo.add_argument("--port", type=_port, default=8000, help="port of the broker (default %(default)s)")
    demo.add_argument("--data", type=Path, help="folder that keeps the store's data (default: a temporary one)")
    token = commands.add_parser("token", help="print a development token, signed with JWT_SECRET")
    token.add_argument("--subject", default="user-1", help="subject of the token (default %(default)s)")
    token.add_argument("--service", action="store_true", help="add the scope of a service to the token")
    token.add_argument("--lifetime", type=_seconds, help="validity in seconds (default 43200, which is 12 hours)")
    token.add_argument("--env-file", type=Path, help="file of settings (default .env, if there is one)")
    _add_setup(commands.add_parser("setup", help="set the CORS and lifecycle rules of the buckets"))
    _add_reconcile(commands.add_parser("reconcile", help="find or delete objects that the product does not refer to"))
    doctor = commands.add_parser("doctor", help="prove that the deployment works, and leave nothing behind")
    doctor.add_argument("-o", "--output", choices=("text", "short", "json"), default="text", help="form of the report")
    doctor.add_argument("--token", help="a bearer token to examine too; - reads it from the input")
    doctor.add_argument("--env-file", type=Path, help="file of settings (default .env, if there is one)")
    return parser


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=_port, help="port to listen on (default 8000)")
    serve.add_argument("--uds", type=Path, metavar="PATH", help="listen on a Unix socket at this path instead")
    serve.add_argument(
        "--fd", type=_descriptor, metavar="N", help="accept from this listening socket instead, such as 3"
    )
    serve.add_argument("--workers", type=_workers, default=1, help="processes (default %(default)s)")
    serve.add_argument("--env-file", type=Path, help="file of settings (default .env, if there is one)")


def _add_setup(setup: argparse.ArgumentParser) -> None:
    output = setup.add_mutually_exclusive_group()
    output.add_argument("--apply", action="store_true", help="make the changes (default: print them)")
    output.add_argument("--print", choices=("wrangler", "terraform", "json"), help="print the rules for another tool")
    setup.add_argument("-J", "--jurisdiction", choices=("eu", "fedramp", "us"), help="of the buckets, for --print")
    setup.add_argument("--env-file", type=Path, help="file of settings (default .env, if there is one)")


def _add_reconcile(reconcile: argparse.ArgumentParser) -> None:
    reconcile.add_argument("--keys", required=True, help="file with the product's keys, one a line; - reads the input")
    reconcile.add_argument(
        "--older-than", type=_duration, help="age of objects to report, such as 10d (default 7d, or the minimum)"
    )
    reconcile.add_argument("--delete", action="store_true", help="delete the unreferenced objects (default: list them)")
    reconcile.add_argument("--rate", type=_rate, default=50, help="deletions in a second (default %(default)s)")
    reconcile.add_argument(
        "--max-share",
        type=_percent,
        default=10,
        help="percent of all objects that may be deleted (default %(default)s)",
    )
    reconcile.add_argument("--allow-empty", action="store_true", help="delete although the list has no keys")
    reconcile.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form of the output")
    reconcile.add_argument("--env-file", type=Path, help="file of settings (default .env, if there is one)")


class _Version(argparse.Action):
    """An action that prints the version. The import of importlib.metadata takes a tenth of the start."""

    def __call__(self, *_arguments: Any, **_options: Any) -> None:
        from importlib.metadata import version  # noqa: PLC0415  see above

        print(f"broker {version('r2-upload-broker')}")
        sys.exit(Exit.STOPPED)


def _port(text: str) -> int:
    return _integer(text, 0, 65_535)


def _descriptor(text: str) -> int:
    return _integer(text, 3, 65_535)  # the first three are the standard streams


def _workers(text: str) -> int:
    return _integer(text, 1, WORKERS_MAX)


def _seconds(text: str) -> int:
    return _integer(text, 1, _SECONDS_MAX)


def _rate(text: str) -> int:
    return _integer(text, 1, 1000)


def _percent(text: str) -> int:
    return _integer(text, 0, 100)


def _duration(text: str) -> int:
    seconds = seconds_of(text)
    if seconds is None:
        raise argparse.ArgumentTypeError("must be a duration such as 10d or 36h")
    return seconds


def _integer(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
    return int(text)
