"""The figures and series of a run as one SVG document. Its functions are pure.

The upper part shows by what factor each figure is better than its target, on a logarithmic scale that ends at ten.
A bar to the right of the line is a target that is met; for an upper limit the inverse factor is drawn. The thin
line shows the quartiles of the rounds. The lower part has a chart for each series. Its vertical axis starts at
zero, so that a constant cost looks constant.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from .figures import Figure, Series

WIDTH, MARGIN = 1000, 32
HEAD, ROW = 92, 30  # the height above the first figure, and of each figure
BARS = (500, 770)  # the left and right end of the scale
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
COLUMNS, GAP, TALL = 3, 30, 210
WIDE = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
INK, QUIET, RULE, PAPER, MET, MISSED = "#1f2933", "#66727f", "#dde2e8", "#fcfcfa", "#2f7d5b", "#c2541b"
STYLE = (
    "text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; font-size: 13px; "
    f"fill: {INK}; font-variant-numeric: tabular-nums }} .quiet {{ font-size: 11px; fill: {QUIET} }} "
    ".strong { font-weight: 600 } .title { font-size: 17px; font-weight: 600 } "
    f".met {{ fill: {MET} }} .missed {{ fill: {MISSED} }}"
)


@dataclass(frozen=True, slots=True)
class Scale:
    """A mapping of values from ``low`` to ``high`` to coordinates from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return the coordinate of ``value``: the middle if all values are equal."""
        low, high, here = (math.log(each) if self.is_logarithmic else each for each in (self.low, self.high, value))
        return self.start + (self.end - self.start) * ((here - low) / (high - low) if high > low else 0.5)


def chart(figures: Sequence[Figure], series: Sequence[Series], note: str = "") -> str:
    """Return the SVG document of the figures that have a target. ``note`` contains date and version."""
    drawn = [figure for figure in figures if figure.target]
    below = HEAD + ROW * len(drawn) + 40
    height = below + math.ceil(len(series) / COLUMNS) * (TALL + GAP)
    head = [text(MARGIN, 42, "Measured against the targets", "title"), text(WIDTH - MARGIN, 42, note, "quiet", "end")]
    grids = [
        part
        for at, each in enumerate(series)
        for part in growth(each, MARGIN + at % COLUMNS * (WIDE + GAP), below + at // COLUMNS * (TALL + GAP))
    ]
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    paper = f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{PAPER}"/>'
    return "\n".join([opening, f"<style>{STYLE}</style>", paper, *head, *bars(drawn), *grids, "</svg>\n"])


def bars(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield the elements of the upper part."""
    steps = ticks([better(figure, value) for figure in figures for value in ends(figure)])
    scale = Scale(steps[0], steps[-1], *BARS, is_logarithmic=True)
    bottom = HEAD + ROW * len(figures)
    for step in steps:
        yield line(scale.at(step), HEAD - 8, scale.at(step), bottom)
        yield text(
            scale.at(step), HEAD - 16, "target" if step == 1 else f"{step:g}\N{MULTIPLICATION SIGN}", "quiet", "middle"
        )
    for at, figure in enumerate(figures):
        yield from row(figure, HEAD + ROW * at, scale)
    yield line(scale.at(1), HEAD - 8, scale.at(1), bottom, INK)


def row(figure: Figure, top: float, scale: Scale) -> Iterator[str]:
    """Yield the elements of one figure: its bar, and the text on both sides."""
    low, middle, high = (scale.at(better(figure, value)) for value in ends(figure))
    left, width, base = min(scale.at(1), middle), abs(middle - scale.at(1)), top + 19
    verdict = "met" if figure.is_met else "missed"
    yield text(MARGIN, base, figure.id, "strong")
    yield text(MARGIN + 38, base, figure.measure)
    yield f'<rect x="{left:.1f}" y="{top + 8:.1f}" width="{width:.1f}" height="14" rx="2" class="{verdict}"/>'
    yield line(low, top + 15, high, top + 15, INK)
    yield text(BARS[1] + 76, base, number(figure.value.median), "strong", "end")
    yield text(BARS[1] + 92, base, str(figure.target), "quiet")
    yield text(WIDTH - MARGIN, base, verdict, verdict, "end")


def ends(figure: Figure) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    return figure.value.low, figure.value.median, figure.value.high


def better(figure: Figure, value: float) -> float:
    """Return the factor by which ``value`` is better than the target, cut to the range of the scale."""
    assert figure.target
    bound = figure.target.bound
    more, less = (value, bound) if figure.target.at_least else (bound, value)
    return min(max(more / less if less > 0 else STEPS[-1], STEPS[0]), STEPS[-1])


def ticks(factors: Sequence[float]) -> list[float]:
    """Return the steps that enclose all factors, and at least one on each side of the target."""
    low = max(step for step in STEPS if step <= min([0.5, *factors]))
    high = min(step for step in STEPS if step >= max([2, *factors]))
    return [step for step in STEPS if low <= step <= high]


def growth(series: Series, left: float, top: float) -> Iterator[str]:
    """Yield the elements of one series."""
    xs, ys = zip(*series.points, strict=True)
    along = Scale(min(xs), max(xs), left + 50, left + WIDE - 6, is_logarithmic=0 < min(xs) * 20 < max(xs))
    upward = Scale(0, max(*ys, 0) or 1, top + TALL - 44, top + 52)
    yield text(left, top + 14, series.id, "strong")
    yield text(left + 38, top + 14, series.title)
    yield text(left, top + 32, series.y, "quiet")
    yield text(along.end, top + TALL - 10, series.x + (", logarithmic" if along.is_logarithmic else ""), "quiet", "end")
    yield from rules(ys, upward, along)
    for x in sorted({along.low, along.high}):
        yield text(along.at(x), upward.start + 16, number(x), "quiet", "end" if x == max(xs) else "start")
    places = [(along.at(x), upward.at(y)) for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{MET}" stroke-width="2" stroke-linejoin="round"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" class="met"/>' for x, y in places)


def rules(ys: Sequence[float], upward: Scale, along: Scale) -> Iterator[str]:
    """Yield horizontal lines at zero, at the largest value, and at the smallest if there is room between them."""
    room = 14 / (upward.start - upward.end) * upward.high
    for y in (0, *(y for y in (min(ys),) if room < y < upward.high - room), upward.high):
        yield line(along.start, upward.at(y), along.end, upward.at(y), RULE if y else QUIET)
        yield text(along.start - 7, upward.at(y) + 4, number(y), "quiet", "end")


def number(value: float) -> str:
    """Format a number with three digits, or with thousands separators from 100 up."""
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}") if abs(value) >= 100 else f"{value:.3g}"


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return a text element."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, color: str = RULE) -> str:
    """Return a line element."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>'
