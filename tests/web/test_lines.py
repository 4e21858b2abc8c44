"""The log's lines: one write for those of one turn of the loop, none lost that a process can still write."""

import asyncio
import io
import logging

from broker.web.lines import JsonLines


class Stream(io.StringIO):
    """Remembers its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


async def test_lines_of_one_turn_leave_in_one_write() -> None:
    lines = JsonLines(stream := Stream())
    lines.write("a")
    lines.write("b")
    assert stream.writes == []
    await asyncio.sleep(0)  # a turn of the loop
    lines.write("c")
    await asyncio.sleep(0)  # another
    assert stream.writes == ["a\nb\n", "c\n"]


def test_where_no_loop_runs_a_line_leaves_at_once() -> None:
    JsonLines(stream := Stream()).write("a")
    assert stream.writes == ["a\n"]


async def test_a_record_leaves_at_once_behind_the_lines_before_it() -> None:
    """It may be the last thing that a process says."""
    lines = JsonLines(stream := Stream())
    lines.write("a")
    lines.emit(logging.LogRecord("x", logging.INFO, "", 0, '{"event":"end"}', None, None))
    assert stream.writes == ['a\n{"event":"end"}\n']
    await asyncio.sleep(0)  # the turn in which it would be written again
    assert len(stream.writes) == 1


def test_without_a_stream_and_with_one_that_takes_nothing_lines_are_lost_and_no_more() -> None:
    class Full(Stream):
        def write(self, text: str) -> int:
            raise OSError(28, text)

    for stream in (None, Full()):
        lines = JsonLines(stream)
        lines.write("a")
        lines.write("b")
