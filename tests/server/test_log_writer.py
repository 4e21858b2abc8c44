"""Where lines go: who hands one over never waits, each line arrives whole, and a gap says how large it is."""

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

from broker.server.log_writer import BUFFER_MAX, LogWriter, _chunks
from tests.patience import PATIENCE, until
from tests.web.reading import NOTICE, Pipe, holds, numbered, until_last


def notice(count: int) -> bytes:
    """The line in the place of those that are missing."""
    return json.dumps({"event": NOTICE, "count": count}).encode() + b"\n"


def started(descriptor: int, *, limit: int = BUFFER_MAX) -> LogWriter:
    """A sink whose thread runs."""
    sink = LogWriter(descriptor, notice, limit=limit)
    sink.start()
    return sink


@pytest.fixture
def pipe() -> Pipe:
    """A pipe that stays open: the sink's thread stays too, and must not write into another test's descriptor."""
    return Pipe(*os.pipe())


def hand_over(sink: LogWriter, count: int, first: int = 0) -> None:
    """Put numbered lines."""
    for number in range(first, count):
        sink.put(numbered(number))


def test_lines_arrive_in_their_order(pipe: Pipe) -> None:
    """All of them, when somebody reads."""
    sink = started(pipe.writes)
    hand_over(sink, 200)
    assert holds(pipe.lines(200), 200) == 0
    assert sink.dropped == 0


def test_a_full_pipe_stops_nobody(pipe: Pipe) -> None:
    """Beyond the bound the oldest lines are dropped; the notice of their number comes before the lines that follow."""
    sink = started(pipe.writes, limit=200_000)
    hand_over(sink, 5000)
    sink.put(b"end\n")
    *lines, _end = until_last(pipe.reads, b"\nend")
    assert holds(lines, 5000) == sink.dropped > 0


def test_the_pipe_of_a_reader_that_comes_back_is_written_on(pipe: Pipe) -> None:
    """Twice: each stop has a notice of its own, and no line is counted twice."""
    sink = started(pipe.writes, limit=100_000)
    lines: list[bytes] = []
    for end in (3000, 6000):
        hand_over(sink, end, end - 3000)
        sink.put(b"end\n")
        lines += until_last(pipe.reads, b"\nend")[:-1]
        assert holds(lines, end) == sink.dropped


def test_a_line_longer_than_the_bound_is_dropped_and_counted(pipe: Pipe) -> None:
    """Its notice does not wait for another line."""
    sink = started(pipe.writes, limit=1000)
    sink.put(b"x" * 1000 + b"\n")
    assert json.loads(pipe.line())["count"] == 1


@pytest.mark.parametrize("most", [10, 4096, sys.maxsize])
def test_a_write_has_whole_lines_exclusive_lock(most: int) -> None:
    """As many as fit; a longer line has a write of its own."""
    lines = [numbered(number) for number in range(300)]
    chunks = list(_chunks(lines, most))
    assert b"".join(chunks) == b"".join(lines)
    for chunk, following in zip(chunks, [*chunks[1:], b""], strict=True):
        assert chunk.endswith(b"\n")
        assert len(chunk) <= most or chunk.count(b"\n") == 1
        assert not following or len(chunk) + len(following.splitlines(keepends=True)[0]) > most


def test_what_a_pipe_takes_in_part_is_continued_where_it_stopped(pipe: Pipe) -> None:
    """Another process has set O_NONBLOCK on the description that it shares: a write takes a part, or fails."""
    os.set_blocking(pipe.writes, False)
    sink = started(pipe.writes)
    long = b"y" * 300_000 + b"\n"
    sink.put(long)
    hand_over(sink, 500)
    sink.put(b"end\n")
    first, *lines, _end = until_last(pipe.reads, b"\nend")
    assert first == long.rstrip()
    assert holds(lines, 500) == 0
    assert os.get_blocking(pipe.writes) is False


@pytest.mark.parametrize(
    ("path", "error"), [("/dev/full", errno.ENOSPC), ("/dev/stdin", errno.EBADF), (None, errno.EPIPE)]
)
def test_a_descriptor_that_fails_is_tried_again(path: str | None, error: int, pipe: Pipe) -> None:
    """A disk without space, a descriptor for reading alone, a pipe without a reader: the lines wait."""
    descriptor = os.open(path, os.O_RDONLY if error == errno.EBADF else os.O_WRONLY) if path else unread()
    with pytest.raises(OSError, match=os.strerror(error)):
        os.write(descriptor, b"x")
    sink = started(descriptor, limit=100_000)
    hand_over(sink, 100)
    until(lambda: not sink._waiting)  # they are being written, in vain
    hand_over(sink, 1000, 100)
    sink.put(b"end\n")
    os.dup2(pipe.writes, descriptor)
    *lines, _end = until_last(pipe.reads, b"\nend")
    assert holds(lines, 1000) == sink.dropped > 0


def unread() -> int:
    """A pipe whose reader has gone."""
    reads, writes = os.pipe()
    os.close(reads)
    return writes


def test_a_closed_descriptor_stops_nobody(pipe: Pipe) -> None:
    """The lines wait until it is open again. Its number is one that no other test is given meanwhile."""
    descriptor = fcntl.fcntl(pipe.writes, fcntl.F_DUPFD, 700)
    os.close(descriptor)
    sink = started(descriptor)
    hand_over(sink, 100)
    until(lambda: not sink._waiting)
    os.dup2(pipe.writes, descriptor)
    assert holds(pipe.lines(100), 100) == 0


@pytest.fixture
def terminal() -> Pipe:
    """What is typed into and shown at a terminal, without its changes of newlines."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    return Pipe(master, slave)


def test_a_terminal_that_nobody_reads_stops_nobody(terminal: Pipe) -> None:
    """As one over a connection that is stuck."""
    sink = started(terminal.writes, limit=100_000)
    hand_over(sink, 3000)
    sink.put(b"end\n")
    *lines, _end = until_last(terminal.reads, b"\nend")
    assert holds(lines, 3000) == sink.dropped > 0


def test_a_stopped_terminal_stops_nobody(terminal: Pipe) -> None:
    """As by Ctrl-S. It is written on when it goes on."""
    sink = started(terminal.writes)
    termios.tcflow(terminal.writes, termios.TCOOFF)
    hand_over(sink, 100)
    sink.flush(0.2)
    assert select.select([terminal.reads], [], [], 0)[0] == []
    termios.tcflow(terminal.writes, termios.TCOON)
    assert holds(terminal.lines(100), 100) == 0


def test_a_file_has_every_line(tmp_path: Path) -> None:
    """More than one write takes, and the sink is asked to finish."""
    with (tmp_path / "log").open("wb") as file:
        sink = started(os.dup(file.fileno()))
    hand_over(sink, 1000)
    sink.flush(PATIENCE)
    assert holds((tmp_path / "log").read_bytes().splitlines(), 1000) == 0


def test_a_flush_ends_in_time_although_nobody_reads(pipe: Pipe) -> None:
    """And at once when all is written."""
    sink = started(pipe.writes)
    sink.flush(PATIENCE)
    sink.put(b"x" * 100_000 + b"\n")
    sink.flush(0.1)
    assert sink._is_idle is False
    assert len(pipe.line()) == 100_000
    sink.flush(PATIENCE)
    assert sink._is_idle is True


def test_threads_may_hand_over_lines_at_once(pipe: Pipe) -> None:
    """None is lost, and none is torn."""
    sink = started(pipe.writes)
    threads = [threading.Thread(target=hand_over, args=(sink, 500)) for _ in range(4)]
    for thread in threads:
        thread.start()
    found = pipe.lines(2000)
    assert sorted(found) == sorted(numbered(number).rstrip() for number in range(500) for _ in range(4))


MANY = """
import os, sys
from broker.server.log_writer import LogWriter
from tests.web.reading import numbered
sink = LogWriter(1, lambda count: b"")
sink.start()
for number in range(2000):
    sink.put(b"%d " % os.getpid() + numbered(number))
print("handed over", file=sys.stderr, flush=True)
sink.flush(60)
"""


def test_processes_that_share_a_pipe_tear_no_line_of_each_other(pipe: Pipe) -> None:
    """Even while it is full, when a write of more than PIPE_BUF may be interrupted (POSIX, write)."""
    command = [sys.executable, "-c", MANY]
    running = [subprocess.Popen(command, stdout=pipe.writes, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    os.close(pipe.writes)
    for process in running:
        assert process.stderr
        assert process.stderr.readline() == "handed over\n"
        process.stderr.close()
    with os.fdopen(pipe.reads, "rb", buffering=4096) as source:
        found = list(iter(source.readline, b""))
    assert [process.wait(PATIENCE) for process in running] == [0, 0]
    for process in running:
        own = [line.partition(b" ")[2].rstrip() for line in found if line.startswith(b"%d " % process.pid)]
        assert holds(own, 2000) == 0
    assert len(found) == 4000


WRITES = """
import os, sys
os.lockf(1, os.F_LOCK, 0)
os.write(1, b"0 ")
sys.stdin.read()
os.write(1, b".\\n")
"""


def test_a_process_waits_until_another_has_written_its_line(pipe: Pipe) -> None:
    """One that is killed meanwhile is not waited for: the system releases its lock."""
    command = [sys.executable, "-c", WRITES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=pipe.writes) as other:
        select.select([pipe.reads], [], [])  # it has begun
        sink = started(pipe.writes)
        hand_over(sink, 10, 1)
        sink.flush(0.2)
        assert sink._is_idle is False
        other.communicate(timeout=PATIENCE)
    assert holds(pipe.lines(10), 10) == 0


HOLDS = """
import os, sys
from broker.server.log_writer import _exclusive_lock
with _exclusive_lock(1):
    print("held", file=sys.stderr, flush=True)
    sys.stdin.readline()
    os.write(1, b"0 .\\n")
sys.stdin.read()
"""


def test_a_process_waits_no_longer_than_another_writes_to_their_file(tmp_path: Path) -> None:
    """The lock does not depend on the offset, which both share, and which each write changes."""
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
        sink = started(log.fileno())
        hand_over(sink, 10, 1)
        sink.flush(0.2)
        assert not (tmp_path / "log").read_bytes()
        other.stdin.write(b"\n")
        sink.flush(PATIENCE)
        assert (tmp_path / "log").read_bytes().endswith(numbered(9))
        other.stdin.close()
    assert holds((tmp_path / "log").read_bytes().splitlines(), 10) == 0


FORKS = """
import os
from broker.server.log_handler import configure_logging
lines = configure_logging()
lines.write('{"process":"parent"}')
if child := os.fork():
    os.waitpid(child, 0)
else:
    lines.write('{"process":"child"}')
lines.flush()
"""


def test_a_forked_child_writes_its_own_lines_and_not_its_parents() -> None:
    """It has no thread of its parent's, and may find the lock taken."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, check=True, timeout=PATIENCE
    )
    assert sorted(json.loads(line)["process"] for line in done.stdout.splitlines()) == ["child", "parent"]
    assert done.stderr == b""
