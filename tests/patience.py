"""The waiting times of tests. They are long, because a busy machine is not a fault of the tested code."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 60.0
"""Seconds for what comes soon on an idle machine: past them it never comes."""

SLACK: Final = 5.0
"""Seconds that an answer may be late beyond a deadline which is promised."""

A_DAY: Final = 86_400
"""Seconds that a token is good. Some are made when tests are collected, and used by the last that runs."""

_PAUSE: Final = 0.02


def until(holds: Callable[[], object]) -> None:
    """Wait until a condition holds; fail after ``PATIENCE``."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(_PAUSE)  # between two looks


async def becomes(true: Callable[[], object]) -> None:
    """Wait on the event loop until a condition holds; fail after ``PATIENCE``."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(_PAUSE)
