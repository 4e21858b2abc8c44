"""Rules on a log reader that stops."""

from .log_table import Row, broken
from .table import Signing


def row(name: str, *, available: float = 1.0, p99: float = 2.0, dropped: int = 0) -> Row:
    """Return a row for one state of the reader."""
    return Row(name, Signing(1000, available, 1.0, p99), dropped)


def test_good_run_breaks_no_rule() -> None:
    """A run with fast and complete responses breaks no rule."""
    assert broken([row("reads"), row("stops", p99=4.0, dropped=5), row("reads again")]) == []


def test_each_broken_rule_is_named() -> None:
    """A failed request, a run without dropped lines and slow responses are named."""
    wrong = broken([row("reads"), row("stops", p99=4.1), row("reads again", available=0.999)])
    assert [text.partition(": ")[2] for text in wrong] == [
        "a request did not succeed",
        "no line was dropped, so the run proves nothing",
        "signing is slow",
    ]
