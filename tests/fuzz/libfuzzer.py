"""Fuzz one parser with libFuzzer in this process, until its options end the run. ``guided`` starts it."""

import importlib
import inspect
import sys
import urllib.parse
from collections.abc import Callable

import atheris

# Functions of the standard library that the parsers call and that are written in Python.
LEANED_ON: tuple[Callable[..., object], ...] = (urllib.parse.urlsplit, urllib.parse.unquote, urllib.parse.quote)


def main() -> None:
    """Instrument the broker during its import, then fuzz the parser that the first argument names."""
    for function in LEANED_ON:
        atheris.instrument_func(inspect.unwrap(function))
    with atheris.instrument_imports(include=["broker"]):
        parsers = importlib.import_module("tests.fuzz.parsers").PARSERS
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], parsers[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
