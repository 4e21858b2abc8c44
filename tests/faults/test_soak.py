"""Rules of the soak: growth of resources, and refusals without a fault."""

import os

import pytest

from .process import Sample, quarters, sample, slope
from .soak import AFTER, Faults, Period, of_answers, of_process
from .steady import Load, Result


def samples(grows: float = 0.0, fds: int = 0) -> list[Sample]:
    """Return samples of ten minutes: memory grows by ``grows`` MiB a minute, ``fds`` are added at the end."""
    return [Sample(at, 60 + grows * at / 60, 40 + fds * (at > 400), 5, quiet=at % 10 == 0) for at in range(0, 600, 5)]


def test_constant_use_breaks_no_rule() -> None:
    """Constant or slightly growing resource use breaks no rule."""
    assert of_process(samples()) == []
    assert of_process(samples(grows=0.1, fds=3)) == []


def test_growth_is_named() -> None:
    """Growing memory and file descriptors are named."""
    assert len(of_process(samples(grows=1.5))) == 2
    assert of_process(samples(grows=0.7)) == ["memory of the last quarter is larger than the first's"]
    assert of_process(samples(fds=20)) == ["fds grow"]


def test_growth_is_measured() -> None:
    """The slope is in MiB a minute, and quarters are medians."""
    assert slope(samples(grows=2.0)) == pytest.approx(2.0)
    assert quarters(samples(fds=20), "fds") == [40, 40, 40, 60]


def test_process_is_measured() -> None:
    """A sample of this process has plausible values."""
    now = sample(os.getpid(), quiet=True)
    assert now.rss > 1
    assert now.fds >= 3
    assert now.threads >= 1


def test_recent_fault_explains_a_refusal() -> None:
    """A 503 is explained by a fault during the request or shortly before it."""
    faults = Faults([Period("a fault", 100, 105)])
    confirms = [Result("confirm", began, 1, 503) for began in (98.5, 99.5, 104, 105 + AFTER - 1, 105 + AFTER)]
    assert of_answers(Load(confirms), faults, until=200) == ["2 refusals without a fault"]
    assert of_answers(Load(confirms[1:-1]), faults, until=200) == []


def test_other_statuses_are_never_explained() -> None:
    """No fault explains a 500 or a lost request."""
    seen = [Result("create", 101, 1, 500), Result("confirm", 101, 1, 0)]
    wrong = of_answers(Load(seen), Faults([Period("a fault", 100, 105)]), until=200)
    assert wrong == ["unexpected responses to create: 500: 1", "unexpected responses to confirm: none: 1"]
