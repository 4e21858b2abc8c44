"""The five parsers of unauthenticated input, each with its rules for any bytes.

A parser's ``check`` takes bytes, and raises ``AssertionError`` or any error that the parser must not raise.
``SEEDS`` are the inputs to start from, and ``WORDS`` are pieces for the mutator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import body, disposition, framing, key, token


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
    "framing": Parser(framing.check, framing.SEEDS, framing.WORDS, 1200),
}
