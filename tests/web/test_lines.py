"""The log's lines: one write for those of one turn of the loop, none lost that a process can still write."""

import asyncio
import io
import json
import logging
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from broker.web import notes
from broker.web.lines import JsonLines
from broker.web.telemetry import Telemetry


class Stream(io.StringIO):
    """Remembers its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)

    def untimed(self) -> list[str]:
        """The writes without the times."""
        return [re.sub(r'"time":"[^"]*",', "", text) for text in self.writes]


def record(text: str) -> logging.LogRecord:
    """A record."""
    return logging.LogRecord("x", logging.INFO, "", 0, text, None, None)


async def test_lines_of_one_turn_leave_in_one_write() -> None:
    lines = JsonLines(stream := Stream())
    lines.write('{"a":1}')
    lines.write('{"b":2}')
    assert stream.writes == []
    await asyncio.sleep(0)  # a turn of the loop
    lines.write('{"c":3}')
    await asyncio.sleep(0)  # another
    assert stream.untimed() == ['{"a":1}\n{"b":2}\n', '{"c":3}\n']


def test_where_no_loop_runs_a_line_leaves_at_once() -> None:
    JsonLines(stream := Stream()).write('{"a":1}')
    assert stream.untimed() == ['{"a":1}\n']


async def test_a_record_leaves_at_once_behind_the_lines_before_it() -> None:
    """It may be the last thing that a process writes."""
    lines = JsonLines(stream := Stream())
    lines.write('{"a":1}')
    lines.emit(record('{"event":"end"}'))
    assert stream.untimed() == ['{"a":1}\n{"event":"end"}\n']
    await asyncio.sleep(0)  # the turn in which it would be written again
    assert len(stream.writes) == 1


def test_without_a_stream_and_with_one_that_takes_nothing_lines_are_lost_and_no_more() -> None:
    """The process goes on when nobody reads its lines."""

    class Full(Stream):
        def write(self, text: str) -> int:
            raise OSError(28, text)

    for stream in (None, Full()):
        lines = JsonLines(stream)
        lines.write('{"a":1}')
        lines.write('{"b":2}')


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1795739853.1235, "2026-11-27T00:37:33.123Z"),
        (1795739853.9999, "2026-11-27T00:37:33.999Z"),
        (1709251199.5, "2024-02-29T23:59:59.500Z"),
    ],
)
def test_the_time_of_a_line_is_in_utc_with_milliseconds(seconds: float, written: str) -> None:
    """The time is the first member of our lines and of others' records alike."""
    lines = JsonLines(stream := Stream(), clock=lambda: seconds)
    lines.write('{"event":"request"}')
    lines.emit(record('{"event": "warning"}'))
    lines.emit(record("a server's own words"))
    found = [json.loads(text) for text in stream.writes]
    assert [line["time"] for line in found] == [written] * 3
    assert [[*line][:2] for line in found] == [["time", "event"]] * 3


def test_the_time_follows_the_clock_forwards_and_backwards() -> None:
    """A second's text is kept for that second alone."""
    times = [5.25, 5.5, 6.0, 5.875, 65.0]
    lines = JsonLines(stream := Stream(), clock=iter(times).__next__)
    for _ in times:
        lines.write('{"a":1}')
    assert [json.loads(text)["time"][17:23] for text in stream.writes] == [
        "05.250",
        "05.500",
        "06.000",
        "05.875",
        "05.000",
    ]


def test_lines_of_one_turn_have_the_time_of_their_write() -> None:
    """A turn takes a moment, and to read the clock for each line would be dear."""

    async def turn() -> None:
        lines.write('{"a":1}')
        lines.write('{"b":2}')
        await asyncio.sleep(0)

    lines = JsonLines(stream := Stream(), clock=iter([1.0, 2.0]).__next__)
    asyncio.run(turn())
    (text,) = stream.writes
    assert [json.loads(line)["time"][17:19] for line in text.splitlines()] == ["01", "01"]


def test_the_usual_clock_is_the_systems() -> None:
    """Without a clock of a test's own, a line has the present time."""
    before = time.time()
    JsonLines(stream := Stream()).write('{"a":1}')
    written = json.loads(stream.writes[0])["time"]
    seconds = [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) for moment in (before, time.time())]
    assert seconds[0] <= written[:19] <= seconds[1]


BEYOND = 'é € \\ " \N{GRINNING FACE} \udc80'


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
async def test_what_the_stream_cannot_encode_is_escaped_and_no_line_is_lost(encoding: str) -> None:
    """Every value can be recovered, and the lines that wait for the same write are whole too."""
    written = io.BytesIO()
    lines = JsonLines(io.TextIOWrapper(written, encoding=encoding))
    for value in ("before", BEYOND, "after"):
        lines.write(json.dumps({"a": value}, ensure_ascii=False))
    lines.emit(record(json.dumps({"event": BEYOND}, separators=(",", ":"), ensure_ascii=False)))
    lines.emit(record(BEYOND))
    found = [json.loads(line) for line in written.getvalue().decode(encoding).splitlines()]
    assert [line.get("a") for line in found] == ["before", BEYOND, "after", None, None]
    assert (found[3]["event"], found[4]["message"]) == (BEYOND, BEYOND)


@pytest.mark.parametrize(("encoding", "text"), [("latin-1", "é"), ("utf-8", "é \N{GRINNING FACE}")])
def test_what_the_stream_can_encode_is_written_as_it_is(encoding: str, text: str) -> None:
    """Nothing is escaped without need."""
    written = io.BytesIO()
    lines = JsonLines(io.TextIOWrapper(written, encoding=encoding))  # which closes the stream when it is gone
    lines.write(f'{{"a":"{text}"}}')
    assert f'"a":"{text}"' in written.getvalue().decode(encoding)


async def test_a_request_whose_facts_are_not_utf_8_has_its_line() -> None:
    """The line is written with the value escaped, beside facts of other types."""

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        notes.note(scope, "sub", BEYOND)
        notes.note(scope, "at", datetime(2026, 11, 27, tzinfo=UTC))

    async def unused(*_: object) -> Any:
        raise AssertionError

    taken: list[str] = []
    scope = {"type": "http", "method": "GET", "headers": []}
    await Telemetry(app, taken.append)(scope, unused, unused)
    (line,) = taken
    assert line.isascii()
    assert json.loads(line)["sub"] == BEYOND
    assert json.loads(line)["at"].startswith("2026-11-27")
