"""The log's lines: a time first, no words of an exception, and every logger of the process."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from broker.server import log_handler as log
from broker.server.log_handler import END_WITHIN, JsonLogHandler, configure_logging
from broker.web import request_record
from broker.web.request_log import RequestLog
from tests.patience import PATIENCE, SLACK
from tests.web.reading import NOTICE, Pipe, until_last


@pytest.fixture
def pipe() -> Pipe:
    """A pipe that stays open, as the thread that writes into it stays."""
    return Pipe(*os.pipe())


def record(text: str, *arguments: object) -> logging.LogRecord:
    """A record."""
    return logging.LogRecord("x", logging.INFO, "", 0, text, arguments, None)


def untimed(line: bytes) -> str:
    """The line without its time."""
    return re.sub(r'"time":"[^"]*",', "", line.decode())


def test_lines_and_records_keep_their_order(pipe: Pipe) -> None:
    lines = JsonLogHandler(pipe.writes)
    lines.write('{"a":1}')
    lines.emit(record('{"event":"b"}'))
    lines.write('{"c":3}')
    assert [untimed(line) for line in pipe.lines(3)] == ['{"a":1}', '{"event":"b"}', '{"c":3}']


def test_the_number_of_dropped_lines_is_a_line_and_a_metric(pipe: Pipe) -> None:
    """It has the time at which the log goes on."""
    lines = JsonLogHandler(pipe.writes, limit=100_000)
    for number in range(5000):
        lines.write(f'{{"number":{number},"x":"{"x" * 100}"}}')
    lines.write('{"last":0}')
    found = [json.loads(line) for line in until_last(pipe.reads, b'"last":0}')]
    notices = [line for line in found if line.get("event") == NOTICE]
    assert sum(line["count"] for line in notices) == lines.lines_dropped() == 5000 + 1 + len(notices) - len(found) > 0
    assert all([*line] == ["time", "event", "count"] for line in notices)


def test_records_wait_once_the_process_ends(pipe: Pipe) -> None:
    """Each may be the last, and a process that ends by a signal writes nothing afterwards."""
    lines = JsonLogHandler(pipe.writes)
    lines.flush()
    lines.emit(record('{"event":"end"}'))
    assert lines._writer._is_idle
    assert untimed(pipe.line()) == '{"event":"end"}'


def test_the_end_is_not_held_up_by_a_log_that_nobody_reads(pipe: Pipe) -> None:
    """All waits together take no longer than one."""
    lines = JsonLogHandler(pipe.writes)
    lines.write(f'{{"x":"{"x" * 100_000}"}}')
    began = time.monotonic()
    lines.flush()
    for _ in range(100):
        lines.emit(record("a last word"))
    assert END_WITHIN <= time.monotonic() - began < END_WITHIN + SLACK


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1795739853.1235, "2026-11-27T00:37:33.123Z"),
        (1795739853.9999, "2026-11-27T00:37:33.999Z"),
        (1709251199.5, "2024-02-29T23:59:59.500Z"),
    ],
)
def test_the_time_of_a_line_is_in_utc_with_milliseconds(seconds: float, written: str, pipe: Pipe) -> None:
    """The time is the first member of our lines and of others' records alike."""
    lines = JsonLogHandler(pipe.writes, clock=lambda: seconds)
    lines.write('{"event":"broker.request_completed"}')
    lines.emit(record('{"event": "broker.warning_raised"}'))
    lines.emit(record("a server's own words"))
    found = [json.loads(line) for line in pipe.lines(3)]
    assert [line["time"] for line in found] == [written] * 3
    assert [[*line][:2] for line in found] == [["time", "event"]] * 3


def test_the_time_follows_the_clock_forwards_and_backwards(pipe: Pipe) -> None:
    """A millisecond's text is kept for that millisecond alone."""
    times = [5.25, 5.2505, 5.5, 6.0, 5.875, 65.0]
    lines = JsonLogHandler(pipe.writes, clock=iter(times).__next__)
    for _ in times:
        lines.write('{"a":1}')
    assert [json.loads(line)["time"][17:23] for line in pipe.lines(6)] == [
        "05.250",
        "05.250",
        "05.500",
        "06.000",
        "05.875",
        "05.000",
    ]


def test_the_usual_clock_is_the_systems(pipe: Pipe) -> None:
    """Without a clock of a test's own, a line has the present time."""
    before = time.time()
    JsonLogHandler(pipe.writes).write('{"a":1}')
    written = json.loads(pipe.line())["time"]
    seconds = [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) for moment in (before, time.time())]
    assert seconds[0] <= written[:19] <= seconds[1]


BEYOND = 'é € \\ " \N{GRINNING FACE} \udc80'


def test_what_utf_8_does_not_have_is_escaped_and_no_line_is_lost(pipe: Pipe) -> None:
    """Every value can be recovered, and the lines beside it are whole too."""
    lines = JsonLogHandler(pipe.writes)
    for value in ("before", BEYOND, "after"):
        lines.write(json.dumps({"a": value}, ensure_ascii=False))
    lines.emit(record(json.dumps({"event": BEYOND}, separators=(",", ":"), ensure_ascii=False)))
    lines.emit(record(BEYOND))
    found = [json.loads(line) for line in pipe.lines(5)]
    assert [line.get("a") for line in found] == ["before", BEYOND, "after", None, None]
    assert (found[3]["event"], found[4]["message"]) == (BEYOND, BEYOND)


def test_what_utf_8_has_is_written_as_it_is(pipe: Pipe) -> None:
    """Nothing is escaped without need."""
    JsonLogHandler(pipe.writes).write('{"a":"é \N{GRINNING FACE}"}')
    assert '"a":"é \N{GRINNING FACE}"' in pipe.line().decode()


def test_a_record_whose_arguments_do_not_fit_is_written_without_them(pipe: Pipe) -> None:
    """It is not the fault of the code that the library's record interrupts."""
    JsonLogHandler(pipe.writes).emit(record("%d of %s", "x"))
    assert json.loads(pipe.line())["message"] == "%d of %s"


@pytest.fixture
def configured(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> Iterator[JsonLogHandler]:
    """The log of this process goes into the pipe, for one test."""
    root = logging.getLogger()
    before = root.handlers
    monkeypatch.setattr(log, "_STDOUT", pipe.writes)
    yield configure_logging()
    root.handlers = before
    logging.captureWarnings(False)


def test_every_line_is_json_and_no_exceptions_words_are_in_it(configured: JsonLogHandler, pipe: Pipe) -> None:
    try:
        dict[str, str]()["canary"]
    except KeyError:
        logging.getLogger("uvicorn.error").exception("in a server\nof others")
    logging.getLogger("broker.access").info('{"event": "broker.request_completed"}')
    lines = [json.loads(line) for line in pipe.lines(2)]
    assert [next(iter(line)) for line in lines] == ["time", "time"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time")) for line in lines)
    assert lines[0] == {
        "event": "broker.message_logged",
        "level": "error",
        "logger": "uvicorn.error",
        "type": "KeyError",
        "message": "in a server\nof others",
    }
    assert lines[1] == {"event": "broker.request_completed"}


async def test_what_the_event_loop_logs_is_a_line_without_objects(configured: JsonLogHandler, pipe: Pipe) -> None:
    """On standard error it could stop the loop, and an exception shows its words."""
    error = ValueError("canary")
    asyncio.get_running_loop().call_exception_handler(
        {"message": "A task failed", "exception": error, "task": "canary"}
    )
    line = json.loads(pipe.line())
    assert (line["logger"], line["type"], line["message"]) == ("asyncio", "ValueError", "A task failed")


def test_a_warning_of_python_is_a_line(configured: JsonLogHandler, pipe: Pipe) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # beneath what the test runner has put there
        warnings.warn("an old way", DeprecationWarning, stacklevel=1)
    line = json.loads(pipe.line())
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "DeprecationWarning: an old way" in line["message"]


def test_the_log_is_configured_once(configured: JsonLogHandler) -> None:
    """A command configures it, and so does the application that it starts."""
    assert configure_logging() is configured


def test_a_thread_may_log(configured: JsonLogHandler, pipe: Pipe) -> None:
    thread = threading.Thread(target=logging.getLogger("broker").info, args=('{"event":"x"}',))
    thread.start()
    assert json.loads(pipe.line())["event"] == "x"
    thread.join()


ENDS = """
import logging, sys
from broker.server.log_handler import configure_logging
configure_logging()
for number in range(1000):
    logging.getLogger("broker").info('{"event":"%d"}', number)
sys.exit(3)
"""


def test_a_process_that_ends_by_itself_writes_all_of_its_lines() -> None:
    """Such as one that could not start."""
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, check=False, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (3, b"")
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == [str(number) for number in range(1000)]


async def test_a_request_whose_facts_are_not_utf_8_has_its_line() -> None:
    """The line is written with the value escaped, beside facts of other types."""

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        request_record.add(scope, "sub", BEYOND)
        request_record.add(scope, "at", datetime(2026, 11, 27, tzinfo=UTC))

    async def unused(*_: object) -> Any:
        raise AssertionError

    taken: list[str] = []
    scope = {"type": "http", "method": "GET", "headers": []}
    await RequestLog(app, taken.append)(scope, unused, unused)
    (line,) = taken
    assert line.isascii()
    assert json.loads(line)["sub"] == BEYOND
    assert json.loads(line)["at"].startswith("2026-11-27")
