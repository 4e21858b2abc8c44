"""The results of the benchmark: ratios of pairs, verdicts, a table and a chart."""

from xml.etree import ElementTree as ET

import pytest

from bench.__main__ import table
from bench.chart import chart
from bench.figures import Figure, Series, Spread, Target, at_least, at_most, compared

PAIRS = [(1.0, 4.0), (2.0, 6.0), (10.0, 20.0)]


def figure(target: Target | None, *, ours_above: bool) -> Figure:
    """Return a figure of rounds in which the machine became slower."""
    return compared("F1", "sign <a> & b", target, "µs", PAIRS, "peer", ours_above=ours_above)


@pytest.mark.parametrize(("ours_above", "expected"), [(False, 3.0), (True, 1 / 3)])
def test_ratio_is_computed_for_each_pair(ours_above: bool, expected: float) -> None:
    """A figure is the median of the ratios of the single rounds."""
    assert figure(at_least(1), ours_above=ours_above).value.median == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "is_met"), [(at_least(3), True), (at_least(3.01), False), (at_most(3), True), (at_most(2.99), False)]
)
def test_median_decides_the_target(target: Target, is_met: bool) -> None:
    """A target is met if the median meets it, equality included."""
    assert figure(target, ours_above=False).is_met is is_met


def test_one_round_has_no_spread() -> None:
    """The quartiles of one round equal its value."""
    assert Spread.of([2.0]) == Spread(2.0, 2.0, 2.0)


def test_table_shows_misses_and_peers() -> None:
    """The table marks missed targets and shows the value of the peer."""
    rows = table([figure(at_least(9), ours_above=False), figure(at_least(1), ours_above=False)]).splitlines()[2:]
    assert ["**missed**" in row for row in rows] == [True, False]
    assert all("peer: 6 µs" in row for row in rows)


def test_figure_without_target_is_information() -> None:
    """A figure without a target is in the table without a verdict, and not in the chart."""
    plain = figure(None, ours_above=False)
    assert plain.is_met is None
    assert table([plain]).splitlines()[-1].startswith("| F1 | sign <a> & b | - | 3 (2.5 to 3.5) |  | ")
    both = chart([figure(at_least(1), ours_above=False), plain], [])
    assert both.count("sign &lt;a&gt;") == 1


def test_chart_has_all_figures_and_series() -> None:
    """The chart is one document with a bar for each figure and a line for each series."""
    figures = [figure(at_least(9), ours_above=False), figure(at_most(9), ours_above=False)]
    series = [
        Series("F12", "a create", "creates", "µs", [(1.0, 2.0), (1e6, 3.0)]),
        Series("F7", "one", "x", "y", [(1.0, 1.0)]),
    ]
    root = ET.fromstring(chart(figures, series, "today"))
    names = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert names.count("polyline") == len(series)
    assert [element.get("class") for element in root.iter() if element.tag.endswith("rect")] == [None, "missed", "met"]
    assert "sign <a> & b" in {element.text for element in root.iter()}
