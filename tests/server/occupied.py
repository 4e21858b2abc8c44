"""The listening sockets and open files of a process and its children, from the kernel's tables."""

from collections.abc import Iterator
from pathlib import Path


def family(pid: int) -> set[int]:
    """Return the ids of the process and of all its descendants."""
    parents = dict(_parents())
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def tcp_listeners(pids: set[int]) -> set[tuple[str, int]]:
    """Return the address, as the kernel writes it, and the port of every listening TCP socket."""
    inodes = _sockets(pids)
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    places = [row[1].split(":") for row in rows if row[3] == "0A" and row[9] in inodes]
    return {(address, int(port, 16)) for address, port in places}


def unix_listeners(pids: set[int]) -> set[Path]:
    """Return the path of every listening Unix socket; a relative path is relative to the folder of its process."""
    inodes = _sockets(pids)
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return {Path(row[7]) for row in rows if len(row) == 8 and row[3] == "00010000" and row[6] in inodes}


def files(pids: set[int]) -> set[Path]:
    """Return the path of every open file."""
    return {path for link in _descriptors(pids) if (path := Path(link)).is_file()}


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):  # the process has ended
            continue


def _sockets(pids: set[int]) -> set[str]:
    links = _descriptors(pids)
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}


def _descriptors(pids: set[int]) -> Iterator[str]:
    for pid in pids:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            try:
                yield str(path.readlink())
            except FileNotFoundError:  # the file was closed
                continue
