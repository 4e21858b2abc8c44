"""The limit of file descriptors, and what of it is left to clients."""

import resource
import sys

import pytest

from broker.server import file_descriptors

INFINITE = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits of a process, in the order in which they were set."""
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
def test_the_soft_limit_is_raised(
    limits: list[tuple[int, int]], given: tuple[int, int], raised: tuple[int, int] | None, connections: int
) -> None:
    """It becomes the hard limit, 65,536 at most; clients get it less a reserve, half of it at least."""
    limits.append(given)
    file_descriptors.raise_limit()
    assert limits == [given, *([raised] if raised else [])]
    assert file_descriptors.connections_max() == connections


def test_a_limit_that_cannot_be_raised_stays(limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be refused below the hard one, as by macOS."""

    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    limits.append((256, INFINITE))
    file_descriptors.raise_limit()
    assert file_descriptors.connections_max() == 128


def test_windows_has_no_limit(limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised, and nobody is refused."""
    monkeypatch.setattr(sys, "platform", "win32")
    file_descriptors.raise_limit()
    assert file_descriptors.connections_max() is None
