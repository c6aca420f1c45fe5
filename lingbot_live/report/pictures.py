"""Pictures of a report: depth, errors and changes in colour, as images inside the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from lingbot_live.colormap import DepthRange, colorize, colorize_signed, table
from lingbot_live.frame import ColorImage, DepthMap
from lingbot_live.quality.depth_errors import CHANGE_RGB, Change, change_map, change_picture

_MOST_PX = 640  # of width; enough for a printed page


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture inside the page, as base64 of a WebP."""

    data: str
    caption: str


@dataclass(frozen=True, slots=True)
class ColorBar:
    """What the colours of pictures mean: a run of colours (r, g, b), or a key of single ones."""

    rgb: list[tuple[int, int, int]]
    labels: list[str]
    note: str = ""
    is_key: bool = False


def image(rgb: ColorImage, caption: str) -> Figure:
    """Return a figure of at most `_MOST_PX` pixels across."""
    import cv2

    if rgb.shape[1] > _MOST_PX:
        size = (_MOST_PX, round(rgb.shape[0] * _MOST_PX / rgb.shape[1]))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    # Maps of noise make PNGs of half a megabyte each.
    coded = cv2.imencode(".webp", rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 85])[1]
    return Figure(base64.b64encode(coded.tobytes()).decode("ascii"), caption)


def depth(depth_m: DepthMap, scale: DepthRange, caption: str) -> Figure:
    """Return a figure of depth in colour."""
    return image(colorize(depth_m, scale), caption)


def error(depth_m: DepthMap, reference_m: DepthMap, limit_m: float, caption: str) -> Figure:
    """Return a figure of depth minus reference; dark where one of them is missing."""
    valid = (depth_m > 0) & (reference_m > 0)
    return image(colorize_signed(depth_m - reference_m, valid, limit_m), caption)


def change(raw_m: DepthMap, refined_m: DepthMap, caption: str) -> Figure:
    """Return a figure of what was kept, changed and filled."""
    return image(change_picture(change_map(raw_m, refined_m)), caption)


def error_limit_m(errors_m: DepthMap) -> float:
    """Return a round end for the error scale that 90 % of the errors stay within."""
    largest = float(np.percentile(np.abs(errors_m), 90)) if errors_m.size else 0.01
    power = 10.0 ** np.floor(np.log10(max(largest, 1e-3)))
    return float(next(k * power for k in (1, 2, 5, 10) if k * power >= largest))


def depth_bar(scale: DepthRange) -> ColorBar:
    """Return the colour bar of depth pictures."""
    rows = table("viridis")[1::93]
    middle = (scale.near_m + scale.far_m) / 2
    labels = [f"{scale.near_m:.1f} m", f"{middle:.1f} m", f"{scale.far_m:.1f} m"]
    return _bar(rows, labels, "dark: no depth")


def error_bar(limit_m: float) -> ColorBar:
    """Return the colour bar of error pictures."""
    ramp = np.linspace(-limit_m, limit_m, 11, dtype=np.float32)[None]
    rows = colorize_signed(ramp, np.ones(ramp.shape, bool), limit_m)[0]
    unit = f"{1000 * limit_m:g} mm"
    return _bar(
        rows, [f"\N{MINUS SIGN}{unit} (too near)", "0", f"+{unit} (too far)"], "dark: no depth"
    )


def change_key() -> ColorBar:
    """Return what the colours of change pictures mean."""
    names = {
        Change.KEPT: "kept (within 2 mm or 1 %)",
        Change.CHANGED: "changed",
        Change.FILLED: "filled",
        Change.INVALID: "no depth",
    }
    return ColorBar([CHANGE_RGB[kind] for kind in names], list(names.values()), is_key=True)


def _bar(rgb: ColorImage, labels: list[str], note: str) -> ColorBar:
    return ColorBar([(r, g, b) for r, g, b in rgb.tolist()], labels, note)
