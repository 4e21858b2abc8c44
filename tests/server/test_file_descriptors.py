"""The limit of file descriptors, and the share for clients' connections."""

import resource
import sys

import pytest

from broker.server import file_descriptors

INFINITE = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Replace the limits of the process by a list, in the order in which they are set."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: found[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: found.append(limit))
    return found


@pytest.mark.parametrize(
    ("given", "raised", "connections"),
    [
        ((64, 64), None, 32),
        ((256, 4096), (4096, 4096), 2048),
        ((1024, 1_048_576), (65_536, 1_048_576), 61_440),
        ((1_048_576, 1_048_576), None, 61_440),
        ((1024, INFINITE), (65_536, INFINITE), 61_440),
        ((INFINITE, INFINITE), None, 61_440),
    ],
)
def test_soft_limit_is_raised(
    limits: list[tuple[int, int]], given: tuple[int, int], raised: tuple[int, int] | None, connections: int
) -> None:
    """The soft limit becomes the hard limit, 65,536 at most, and clients get at least half of it."""
    limits.append(given)
    file_descriptors.raise_limit()
    assert limits == [given, *([raised] if raised else [])]
    assert file_descriptors.connections_max() == connections


def test_refused_limit_stays(limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit stays if the system refuses to raise it, as macOS may below its hard limit."""

    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    limits.append((256, INFINITE))
    file_descriptors.raise_limit()
    assert file_descriptors.connections_max() == 128


def test_windows_has_no_limit(limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows no limit is raised, and connections are not limited."""
    monkeypatch.setattr(sys, "platform", "win32")
    file_descriptors.raise_limit()
    assert file_descriptors.connections_max() is None
