"""The four parsers of what strangers send, each with what must hold of it for any bytes.

A parser's ``check`` takes bytes and raises ``AssertionError``, or whatever the parser must not raise. Its ``SEEDS`` are
inputs to begin from, its ``WORDS`` what a mutator may like to put in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import body, disposition, key, token


@dataclass(frozen=True, slots=True)
class Parser:
    """One parser to fuzz."""

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes]
    longest: int


PARSERS = {
    "token": Parser(token.check, token.SEEDS, token.WORDS, 8400),
    "body": Parser(body.check, body.SEEDS, body.WORDS, 4096),
    "key": Parser(key.check, key.SEEDS, key.WORDS, 8400),
    "disposition": Parser(disposition.check, disposition.SEEDS, disposition.WORDS, 1200),
}
