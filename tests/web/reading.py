"""Reads what a log wrote into a pipe or a terminal, and holds its lines to what was handed over."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

NOTICE = "broker.log_lines_dropped"


@dataclass
class Pipe:
    """Both ends of a pipe."""

    reads: int
    writes: int

    def lines(self, count: int) -> list[bytes]:
        """The next lines, once so many are there. A byte at a time, so that what follows stays in the pipe."""
        return [self.line() for _ in range(count)]

    def line(self) -> bytes:
        """The next line, without its newline."""
        found = bytearray()
        while not found.endswith(b"\n"):
            byte = os.read(self.reads, 1)
            assert byte, bytes(found)
            found += byte
        return bytes(found[:-1])


def until_last(source: int, last: bytes) -> list[bytes]:
    """All lines that can be read up to the one that ends so."""
    found = b""
    while not found.endswith(last + b"\n"):
        more = os.read(source, 65_536)
        assert more
        found += more
    return found.splitlines()


def holds(lines: Sequence[bytes], count: int) -> int:
    """Assert that numbered lines are whole and in their order, and that each gap has a notice of its size.

    Returns how many lines are missing.
    """
    following, missing = 0, 0
    for line in lines:
        if line.startswith(b"{"):
            missing += (gone := json.loads(line)["count"])
            following += gone
        else:
            assert line == numbered(following).rstrip()
            following += 1
    assert following == count
    return missing


def numbered(number: int) -> bytes:
    """A line that is like no other; its length differs from that of the next."""
    return f"{number} {'x' * (number * 37 % 900)}.\n".encode()
