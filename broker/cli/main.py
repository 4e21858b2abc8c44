"""The ``broker`` command: its words, and where they lead."""

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from broker.server.exits import StartError

from . import serve

WORKERS_MAX: Final = 1 if sys.platform == "win32" else 64
"""Processes. Several of them need the signals of POSIX."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status, which is one of ``Exit``."""
    given = _parser().parse_args(arguments)
    try:
        _check_working_directory()
        if given.command == "serve":
            return serve.run(given.host, given.port, given.workers, given.env_file)
        return _demo(given.port, given.data)
    except StartError as error:
        print(f"broker: {error}", file=sys.stderr)
        return error.status


def _demo(port: int, data: Path | None) -> int:
    try:
        from . import demo  # noqa: PLC0415  it brings boto3, which a serving process must not carry
    except ModuleNotFoundError as error:
        if error.name != "boto3":
            raise
        text = "the demo needs boto3, which is not installed: pip install 'r2-upload-broker[demo]'"
        raise StartError(text) from None
    gc.enable()
    return demo.run(port, data)


def _check_working_directory() -> None:
    try:
        Path.cwd()
    except OSError as error:
        text = f"the working directory cannot be used: {error.strerror}. Change to a folder that exists."
        raise StartError(text) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="broker", description="Presigned-URL broker for Cloudflare R2.")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run the service")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serving.add_argument("--port", type=_port, default=8000, help="port to listen on (default %(default)s)")
    serving.add_argument("--workers", type=_workers, default=1, help="processes (default %(default)s)")
    serving.add_argument("--env-file", type=Path, help="file of settings (default .env, if there is one)")
    showing = commands.add_parser("demo", help="run the whole thing here, with a store of its own")
    showing.add_argument("--port", type=_port, default=8000, help="port of the broker (default %(default)s)")
    showing.add_argument("--data", type=Path, help="folder that keeps the store's data (default: one that goes away)")
    return parser


def _port(text: str) -> int:
    return _whole(text, 0, 65_535)


def _workers(text: str) -> int:
    return _whole(text, 1, WORKERS_MAX)


def _whole(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
    return int(text)
