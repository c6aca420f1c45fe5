"""Small line and bar plots as inline SVG: no plotting library, crisp on paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

Floats = npt.NDArray[np.float64]
COLORS = ("#2f6db3", "#c8692b", "#3c8d5a", "#7d5ba6", "#a33b53", "#5f6b75")
_WIDTH, _HEIGHT = 460, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 44


@dataclass(frozen=True, slots=True)
class Series:
    """One line; points that are not finite interrupt it."""

    name: str
    x: Floats
    y: Floats
    color: str
    dash: str = ""  # SVG's stroke-dasharray
    dots: bool = True


@dataclass(frozen=True, slots=True)
class Bars:
    """One histogram."""

    name: str
    heights: Floats
    color: str
    dash: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows and how far it reaches."""

    label: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end to 1 at the high end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return round values inside."""
        return _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high)


def _linear_ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(k for k in (1, 2, 5, 10) if (high - low) / (k * step) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = range(1, 10) if high < 10 * low else (1, 2, 5)
    ticks = [k * 10.0**p for p in powers for k in digits]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def line_plot(series: Sequence[Series], x: Axis, y: Axis, title: str) -> Markup:
    """Return a plot with its legend as an SVG element; lines are cut off at the axes' ends."""
    legend_px = 18 * len(series)
    parts = [_frame(x, y, legend_px, title)]
    for number, one in enumerate(series):
        parts += [_line(one, x, y), _key(one, number)]
    parts.append("</svg>")
    return Markup("\n".join(parts))


def bar_plot(edges: Floats, rows: Sequence[Bars], x: Axis, y: Axis, title: str) -> Markup:
    """Return histograms over common bin edges as outlined areas."""
    series = []
    for bars in rows:
        steps_x, steps_y = np.repeat(edges, 2)[1:-1], np.repeat(bars.heights, 2)
        series.append(Series(bars.name, steps_x, steps_y, bars.color, bars.dash, dots=False))
    return line_plot(series, x, y, title)


def _frame(x: Axis, y: Axis, legend_px: int, title: str) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    place_x, place_y = _places(x, y)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + legend_px}" role="img" class="plot">'
        f"<title>{escape(title)}</title>"
    ]
    for tick in y.ticks():
        at = place_y(tick)
        parts.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>'
            f'<text x="{_LEFT - 7}" y="{at + 3.5:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for tick in x.ticks():
        at = place_x(tick)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 4}" class="axis"/>'
            f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{tick:g}</text>'
        )
    middle_y = (_TOP + bottom) / 2
    parts.append(
        f'<line x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}" class="axis"/>'
        f'<text x="{(_LEFT + right) / 2}" y="{bottom + 35}" text-anchor="middle" class="label">'
        f"{escape(x.label)}</text>"
        f'<text transform="translate(13 {middle_y}) rotate(-90)" text-anchor="middle" '
        f'class="label">{escape(y.label)}</text>'
    )
    return "\n".join(parts)


def _places(x: Axis, y: Axis) -> tuple[Callable[[float], float], Callable[[float], float]]:
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    return lambda v: _LEFT + wide * x.place(v), lambda v: _TOP + high * (1 - y.place(v))


def _line(series: Series, x: Axis, y: Axis) -> str:
    place_x, place_y = _places(x, y)
    path, dots, pen = [], [], "M"
    for at_x, at_y in zip(series.x.tolist(), series.y.tolist(), strict=True):
        drawable = math.isfinite(at_y) and x.low <= at_x <= x.high and (at_y > 0 or not y.log)
        if not drawable:
            pen = "M"
            continue
        px, py = place_x(at_x), place_y(min(max(at_y, y.low), y.high))
        path.append(f"{pen}{px:.1f} {py:.1f}")
        dots.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.6" fill="{series.color}"/>')
        pen = "L"
    line = (
        f'<path d="{" ".join(path)}" fill="none" stroke="{series.color}" stroke-width="1.8" '
        f'stroke-dasharray="{series.dash or "none"}"/>'
    )
    return line + ("".join(dots) if series.dots else "")


def _key(series: Series, number: int) -> str:
    y = _HEIGHT + 10 + 18 * number
    style = f' stroke-dasharray="{series.dash}"' if series.dash else ""
    return (
        f'<line x1="{_LEFT}" x2="{_LEFT + 26}" y1="{y}" y2="{y}" stroke="{series.color}" '
        f'stroke-width="2"{style}/><text x="{_LEFT + 34}" y="{y + 4}">{escape(series.name)}</text>'
    )
