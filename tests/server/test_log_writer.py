"""The log writer: ``put`` never waits, lines arrive whole, and a notice replaces dropped lines."""

import errno
import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios
import threading
import tty
from pathlib import Path

import pytest

from broker.server import log_writer
from broker.server.log_writer import BUFFER_MAX, LogWriter, _chunks
from tests.patience import PATIENCE, until
from tests.web.reading import NOTICE, Pipe, missing_lines, numbered, read_until


def notice(count: int) -> bytes:
    """Return the line that replaces dropped lines."""
    return json.dumps({"event": NOTICE, "count": count}).encode() + b"\n"


def started_writer(descriptor: int, *, limit: int = BUFFER_MAX) -> LogWriter:
    """Return a writer whose thread runs."""
    writer = LogWriter(descriptor, notice, limit=limit)
    writer.start()
    return writer


@pytest.fixture
def pipe() -> Pipe:
    """Return a pipe that stays open: the writer's thread does not end, and must not write into another test's file."""
    return Pipe(*os.pipe())


def put_numbered(writer: LogWriter, count: int, first: int = 0) -> None:
    """Put numbered lines."""
    for number in range(first, count):
        writer.put(numbered(number))


def test_lines_arrive_in_order(pipe: Pipe) -> None:
    """All lines arrive in order while the pipe is read."""
    writer = started_writer(pipe.writes)
    put_numbered(writer, 200)
    assert missing_lines(pipe.lines(200), 200) == 0
    assert writer.dropped == 0


def test_full_pipe_does_not_block(pipe: Pipe) -> None:
    """Beyond the limit the oldest lines are dropped, and a notice of their number precedes the following lines."""
    writer = started_writer(pipe.writes, limit=200_000)
    put_numbered(writer, 5000)
    writer.put(b"end\n")
    *lines, _end = read_until(pipe.reads, b"\nend")
    assert missing_lines(lines, 5000) == writer.dropped > 0


def test_reader_may_pause_twice(pipe: Pipe) -> None:
    """Each pause of a reader has a notice of its own, and no dropped line is counted twice."""
    writer = started_writer(pipe.writes, limit=100_000)
    lines: list[bytes] = []
    for end in (3000, 6000):
        put_numbered(writer, end, end - 3000)
        writer.put(b"end\n")
        lines += read_until(pipe.reads, b"\nend")[:-1]
        assert missing_lines(lines, end) == writer.dropped


def test_line_over_the_limit_is_dropped(pipe: Pipe) -> None:
    """A line longer than the limit is dropped, and its notice does not wait for another line."""
    writer = started_writer(pipe.writes, limit=1000)
    writer.put(b"x" * 1000 + b"\n")
    assert json.loads(pipe.line())["count"] == 1


@pytest.mark.parametrize("most", [10, 4096, sys.maxsize])
def test_writes_have_whole_lines(most: int) -> None:
    """A write has as many whole lines as fit, and a longer line has a write of its own."""
    lines = [numbered(number) for number in range(300)]
    chunks = list(_chunks(b"".join(lines), most))
    assert b"".join(chunks) == b"".join(lines)
    for chunk, following in zip(chunks, [*chunks[1:], b""], strict=True):
        assert chunk.endswith(b"\n")
        assert len(chunk) <= most or chunk.count(b"\n") == 1
        assert not following or len(chunk) + len(following.splitlines(keepends=True)[0]) > most


def test_partial_write_is_continued(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write to a non-blocking pipe that is partial or fails is continued from the byte at which it stopped."""
    is_full = threading.Event()
    wait = log_writer._wait_until_writable

    def wait_until_writable(descriptor: int) -> None:
        is_full.set()
        wait(descriptor)

    monkeypatch.setattr(log_writer, "_wait_until_writable", wait_until_writable)
    os.set_blocking(pipe.writes, False)
    writer = started_writer(pipe.writes)
    long = b"y" * 300_000 + b"\n"
    writer.put(long)
    put_numbered(writer, 500)
    writer.put(b"end\n")
    assert is_full.wait(PATIENCE)
    first, *lines, _end = read_until(pipe.reads, b"\nend")
    assert first == long.rstrip()
    assert missing_lines(lines, 500) == 0
    assert os.get_blocking(pipe.writes) is False


@pytest.mark.parametrize(
    ("path", "error"), [("/dev/full", errno.ENOSPC), ("/dev/stdin", errno.EBADF), (None, errno.EPIPE)]
)
def test_failed_write_is_retried(path: str | None, error: int, pipe: Pipe) -> None:
    """Lines wait while the disk is full, the descriptor is read-only or the pipe has no reader."""
    descriptor = os.open(path, os.O_RDONLY if error == errno.EBADF else os.O_WRONLY) if path else pipe_without_reader()
    with pytest.raises(OSError, match=os.strerror(error)):
        os.write(descriptor, b"x")
    writer = started_writer(descriptor, limit=100_000)
    put_numbered(writer, 100)
    until(lambda: not writer._waiting)  # they are being written, without success
    put_numbered(writer, 1000, 100)
    writer.put(b"end\n")
    os.dup2(pipe.writes, descriptor)
    *lines, _end = read_until(pipe.reads, b"\nend")
    assert missing_lines(lines, 1000) == writer.dropped > 0


def pipe_without_reader() -> int:
    """Return the write end of a pipe whose read end is closed."""
    reads, writes = os.pipe()
    os.close(reads)
    return writes


def test_closed_descriptor_does_not_block(pipe: Pipe) -> None:
    """Lines wait until a closed descriptor is open again."""
    descriptor = fcntl.fcntl(pipe.writes, fcntl.F_DUPFD, 700)
    os.close(descriptor)
    writer = started_writer(descriptor)
    put_numbered(writer, 100)
    until(lambda: not writer._waiting)
    os.dup2(pipe.writes, descriptor)
    assert missing_lines(pipe.lines(100), 100) == 0


@pytest.fixture
def terminal() -> Pipe:
    """Return the two ends of a terminal that does not translate newlines."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    return Pipe(master, slave)


def test_unread_terminal_does_not_block(terminal: Pipe) -> None:
    """The oldest lines are dropped if a terminal is not read, such as one over a stalled connection."""
    writer = started_writer(terminal.writes, limit=100_000)
    put_numbered(writer, 3000)
    writer.put(b"end\n")
    *lines, _end = read_until(terminal.reads, b"\nend")
    assert missing_lines(lines, 3000) == writer.dropped > 0


def test_stopped_terminal_does_not_block(terminal: Pipe) -> None:
    """Lines wait while a terminal is stopped, as by Ctrl-S, and are written afterwards."""
    writer = started_writer(terminal.writes)
    termios.tcflow(terminal.writes, termios.TCOOFF)
    put_numbered(writer, 100)
    writer.flush(0.2)
    assert select.select([terminal.reads], [], [], 0)[0] == []
    termios.tcflow(terminal.writes, termios.TCOON)
    assert missing_lines(terminal.lines(100), 100) == 0


def test_file_has_every_line(tmp_path: Path) -> None:
    """A file has every line after a flush, also if the lines need several writes."""
    with (tmp_path / "log").open("wb") as file:
        writer = started_writer(os.dup(file.fileno()))
    put_numbered(writer, 1000)
    writer.flush(PATIENCE)
    assert missing_lines((tmp_path / "log").read_bytes().splitlines(), 1000) == 0


def test_flush_ends_in_time(pipe: Pipe) -> None:
    """A flush ends after its timeout if the pipe is not read, and at once if all lines are written."""
    writer = started_writer(pipe.writes)
    writer.flush(PATIENCE)
    writer.put(b"x" * 100_000 + b"\n")
    writer.flush(0.1)
    assert writer._is_idle is False
    assert len(pipe.line()) == 100_000
    writer.flush(PATIENCE)
    assert writer._is_idle is True


def test_threads_may_put_lines(pipe: Pipe) -> None:
    """Lines of several threads are neither lost nor torn."""
    writer = started_writer(pipe.writes)
    threads = [threading.Thread(target=put_numbered, args=(writer, 500)) for _ in range(4)]
    for thread in threads:
        thread.start()
    found = pipe.lines(2000)
    assert sorted(found) == sorted(numbered(number).rstrip() for number in range(500) for _ in range(4))


MANY = """
import os, sys
from broker.server.log_writer import LogWriter
from tests.web.reading import numbered
writer = LogWriter(1, lambda count: b"")
writer.start()
for number in range(2000):
    writer.put(b"%d " % os.getpid() + numbered(number))
print("all put", file=sys.stderr, flush=True)
writer.flush(60)
"""


def test_processes_may_share_a_pipe(pipe: Pipe) -> None:
    """Lines of two processes are whole even in a full pipe, where a large write may be interrupted (POSIX, write)."""
    command = [sys.executable, "-c", MANY]
    running = [subprocess.Popen(command, stdout=pipe.writes, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    os.close(pipe.writes)
    for process in running:
        assert process.stderr
        assert process.stderr.readline() == "all put\n"
        process.stderr.close()
    with os.fdopen(pipe.reads, "rb", buffering=4096) as source:
        found = list(iter(source.readline, b""))
    assert [process.wait(PATIENCE) for process in running] == [0, 0]
    for process in running:
        own = [line.partition(b" ")[2].rstrip() for line in found if line.startswith(b"%d " % process.pid)]
        assert missing_lines(own, 2000) == 0
    assert len(found) == 4000


WRITES = """
import os, sys
os.lockf(1, os.F_LOCK, 0)
os.write(1, b"0 ")
sys.stdin.read()
os.write(1, b".\\n")
"""


def test_process_waits_for_another_line(pipe: Pipe) -> None:
    """A process does not write while another missing_lines the lock, which the system releases if that process ends."""
    command = [sys.executable, "-c", WRITES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=pipe.writes) as other:
        select.select([pipe.reads], [], [])  # it has begun
        writer = started_writer(pipe.writes)
        put_numbered(writer, 10, 1)
        writer.flush(0.2)
        assert writer._is_idle is False
        other.communicate(timeout=PATIENCE)
    assert missing_lines(pipe.lines(10), 10) == 0


HOLDS = """
import os, sys
from broker.server.log_writer import _exclusive_lock
with _exclusive_lock(1):
    print("held", file=sys.stderr, flush=True)
    sys.stdin.readline()
    os.write(1, b"0 .\\n")
sys.stdin.read()
"""


def test_lock_does_not_depend_on_offset(tmp_path: Path) -> None:
    """The lock of a shared file is released as a whole, although a write changes the file's offset."""
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", HOLDS],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.PIPE,
            bufsize=0,
        ) as other,
    ):
        assert other.stdin
        assert other.stderr
        assert other.stderr.readline() == b"held\n"
        writer = started_writer(log.fileno())
        put_numbered(writer, 10, 1)
        writer.flush(0.2)
        assert not (tmp_path / "log").read_bytes()
        other.stdin.write(b"\n")
        writer.flush(PATIENCE)
        assert (tmp_path / "log").read_bytes().endswith(numbered(9))
        other.stdin.close()
    assert missing_lines((tmp_path / "log").read_bytes().splitlines(), 10) == 0


FORKS = """
import os
from broker.server.log_handler import configure_logging
lines = configure_logging()
lines.write(b'{"process":"parent"}')
if child := os.fork():
    os.waitpid(child, 0)
else:
    lines.write(b'{"process":"child"}')
lines.flush()
"""


def test_forked_child_writes_its_own_lines() -> None:
    """A forked child starts a thread of its own, and does not write its parent's lines again."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, check=True, timeout=PATIENCE
    )
    assert sorted(json.loads(line)["process"] for line in done.stdout.splitlines()) == ["child", "parent"]
    assert done.stderr == b""
