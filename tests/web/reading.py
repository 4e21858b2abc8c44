"""A reader of the log in a pipe or a terminal, and a check of its numbered lines."""

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
        """Wait for the next lines, and return them; later bytes stay in the pipe."""
        return [self.line() for _ in range(count)]

    def line(self) -> bytes:
        """Read the next line byte by byte, and return it without its newline."""
        found = bytearray()
        while not found.endswith(b"\n"):
            byte = os.read(self.reads, 1)
            assert byte, bytes(found)
            found += byte
        return bytes(found[:-1])


def read_until(source: int, last: bytes) -> list[bytes]:
    """Read all lines up to the one that ends with ``last``."""
    found = b""
    while not found.endswith(last + b"\n"):
        more = os.read(source, 65_536)
        assert more
        found += more
    return found.splitlines()


def missing_lines(lines: Sequence[bytes], count: int) -> int:
    """Assert that numbered lines are whole and in order, and return how many are missing.

    Each gap must have a notice with its size.
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
    """Return a line with its number; its length differs from that of the next."""
    return f"{number} {'x' * (number * 37 % 900)}.\n".encode()
