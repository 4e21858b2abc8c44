"""The log handler: the time of a line, no text of an exception, and every logger of the process."""

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
from tests.web.reading import NOTICE, Pipe, read_until


@pytest.fixture
def pipe() -> Pipe:
    """Return a pipe that stays open, because the thread that writes into it does not end."""
    return Pipe(*os.pipe())


def record(text: str, *arguments: object) -> logging.LogRecord:
    """Return a log record."""
    return logging.LogRecord("x", logging.INFO, "", 0, text, arguments, None)


def without_time(line: bytes) -> str:
    """Return the line without its time."""
    return re.sub(r'"time":"[^"]*",', "", line.decode())


def test_lines_and_records_keep_order(pipe: Pipe) -> None:
    """Lines that are written directly and lines of records are written in the order of their calls."""
    handler = JsonLogHandler(pipe.writes)
    handler.write(b'{"a":1}')
    handler.emit(record('{"event":"b"}'))
    handler.write(b'{"c":3}')
    assert [without_time(line) for line in pipe.lines(3)] == ['{"a":1}', '{"event":"b"}', '{"c":3}']


def test_dropped_lines_are_reported(pipe: Pipe) -> None:
    """The number of dropped lines is a log line with a time, and a count of the handler."""
    handler = JsonLogHandler(pipe.writes, limit=100_000)
    for number in range(5000):
        handler.write(f'{{"number":{number},"x":"{"x" * 100}"}}'.encode())
    handler.write(b'{"last":0}')
    found = [json.loads(line) for line in read_until(pipe.reads, b'"last":0}')]
    notices = [line for line in found if line.get("event") == NOTICE]
    assert sum(line["count"] for line in notices) == handler.lines_dropped() == 5000 + 1 + len(notices) - len(found) > 0
    assert all([*line] == ["time", "event", "count"] for line in notices)


def test_records_wait_at_process_end(pipe: Pipe) -> None:
    """After the first flush each record waits until it is written, because it may be the last."""
    handler = JsonLogHandler(pipe.writes)
    handler.flush()
    handler.emit(record('{"event":"end"}'))
    assert handler._writer._is_idle
    assert without_time(pipe.line()) == '{"event":"end"}'


def test_blocked_log_does_not_delay_the_end(pipe: Pipe) -> None:
    """All flushes of a log that is not read take no longer than one."""
    handler = JsonLogHandler(pipe.writes)
    handler.write(b'{"x":"' + b"x" * 100_000 + b'"}')
    began = time.monotonic()
    handler.flush()
    for _ in range(100):
        handler.emit(record("a last line"))
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
def test_time_is_utc_with_milliseconds(seconds: float, written: str, pipe: Pipe) -> None:
    """The time is the first member of every line, in UTC and with milliseconds."""
    handler = JsonLogHandler(pipe.writes, clock=lambda: seconds)
    handler.write(b'{"event":"broker.request_completed"}')
    handler.emit(record('{"event": "broker.warning_raised"}'))
    handler.emit(record("a server's text"))
    found = [json.loads(line) for line in pipe.lines(3)]
    assert [line["time"] for line in found] == [written] * 3
    assert [[*line][:2] for line in found] == [["time", "event"]] * 3


def test_time_follows_the_clock(pipe: Pipe) -> None:
    """The cached text of a millisecond is not used for another, also if the clock goes backwards."""
    times = [5.25, 5.2505, 5.5, 6.0, 5.875, 65.0]
    handler = JsonLogHandler(pipe.writes, clock=iter(times).__next__)
    for _ in times:
        handler.write(b'{"a":1}')
    assert [json.loads(line)["time"][17:23] for line in pipe.lines(6)] == [
        "05.250",
        "05.250",
        "05.500",
        "06.000",
        "05.875",
        "05.000",
    ]


def test_default_clock_is_the_systems(pipe: Pipe) -> None:
    """Without a clock argument, a line has the present time."""
    before = time.time()
    JsonLogHandler(pipe.writes).write(b'{"a":1}')
    written = json.loads(pipe.line())["time"]
    seconds = [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) for moment in (before, time.time())]
    assert seconds[0] <= written[:19] <= seconds[1]


BEYOND = 'é € \\ " \N{GRINNING FACE} \udc80'


def test_lone_surrogate_is_escaped(pipe: Pipe) -> None:
    """A value that UTF-8 cannot encode is escaped and can be recovered, and no line is lost."""
    handler = JsonLogHandler(pipe.writes)
    for event in ("before", BEYOND, "after"):
        handler.emit(record(json.dumps({"event": event}, separators=(",", ":"), ensure_ascii=False)))
    handler.emit(record(BEYOND))
    found = [json.loads(line) for line in pipe.lines(4)]
    assert [line["event"] for line in found] == ["before", BEYOND, "after", "broker.message_logged"]
    assert found[3]["message"] == BEYOND


def test_utf_8_is_not_escaped(pipe: Pipe) -> None:
    """Characters that UTF-8 can encode are written unescaped."""
    JsonLogHandler(pipe.writes).write('{"a":"é \N{GRINNING FACE}"}'.encode())
    assert '"a":"é \N{GRINNING FACE}"' in pipe.line().decode()


def test_record_with_wrong_arguments_is_written(pipe: Pipe) -> None:
    """A record whose arguments do not fit its text is written without them."""
    JsonLogHandler(pipe.writes).emit(record("%d of %s", "x"))
    assert json.loads(pipe.line())["message"] == "%d of %s"


@pytest.fixture
def configured(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> Iterator[JsonLogHandler]:
    """Configure the loggers of this process to write into the pipe; restore them afterwards."""
    root = logging.getLogger()
    before = root.handlers
    levels = {name: logging.getLogger(name).level for name in ("broker", "uvicorn")}
    for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing"):
        monkeypatch.setattr(logging, name, getattr(logging, name))
    monkeypatch.setattr(log, "_STDOUT", pipe.writes)
    yield configure_logging()
    root.handlers = before
    logging.captureWarnings(False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_lines_are_json_without_exception_texts(configured: JsonLogHandler, pipe: Pipe) -> None:
    """Every line is JSON with a time, and shows the type of an exception but not its text."""
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


async def test_event_loop_logs_no_objects(configured: JsonLogHandler, pipe: Pipe) -> None:
    """A report of the event loop is a line with its first words and the type of the exception."""
    error = ValueError("canary")
    asyncio.get_running_loop().call_exception_handler(
        {"message": "A task failed", "exception": error, "task": "canary"}
    )
    line = json.loads(pipe.line())
    assert (line["logger"], line["type"], line["message"]) == ("asyncio", "ValueError", "A task failed")


def test_python_warning_is_logged(configured: JsonLogHandler, pipe: Pipe) -> None:
    """A warning of Python's warnings module is a log line."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # below the test runner's own handler
        warnings.warn("an old way", DeprecationWarning, stacklevel=1)
    line = json.loads(pipe.line())
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "DeprecationWarning: an old way" in line["message"]


def test_log_is_configured_once(configured: JsonLogHandler) -> None:
    """A second call returns the same handler: a command and its application both configure the log."""
    assert configure_logging() is configured


def test_thread_may_log(configured: JsonLogHandler, pipe: Pipe) -> None:
    """A record of another thread is written."""
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


def test_exiting_process_writes_all_lines() -> None:
    """A process that exits, as one that cannot start does, writes all its lines first."""
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, check=False, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (3, b"")
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == [str(number) for number in range(1000)]


async def test_request_with_lone_surrogate_is_logged() -> None:
    """The line of a request is written with the value escaped, beside values of other types."""

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        request_record.add(scope, "sub", BEYOND)
        request_record.add(scope, "at", datetime(2026, 11, 27, tzinfo=UTC))

    async def unused(*_: object) -> Any:
        raise AssertionError

    written: list[bytes] = []
    scope = {"type": "http", "method": "GET", "headers": []}
    await RequestLog(app, written.append)(scope, unused, unused)
    (line,) = written
    assert line.isascii()
    assert json.loads(line)["sub"] == BEYOND
    assert json.loads(line)["at"].startswith("2026-11-27")
