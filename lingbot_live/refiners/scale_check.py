"""Whether refined depth kept the sensor's metric scale: over the picture, and in each of its parts.

A refiner may fill and smooth, but the scale is the sensor's. The median over the picture tells a
wrong unit or checkpoint; it stays 1 while one object jumps from 0.6 to 1.8 m before a background
that agrees, so connected regions of moved depth are looked at as well.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lingbot_live.frame import DepthMap, Mask

SCALE_LIMITS = (0.97, 1.03)  # refined over raw in the median, outside of which people are warned
_MOVED = 0.2  # of the depth; beyond any sensor's noise at the distances it is made for
_WIDTH_PX = 160  # of the picture that is looked at: regions, not pixels, are asked for
_SPECK_PX = 3  # of those; narrower ones are edges and outliers
_LEAST_SHARE = 0.005  # of the picture: 40 by 40 pixels of 640x480
_MOST = 3  # regions that are told


class MovedRegion(NamedTuple):
    """A connected part of the picture whose depth the refiner moved."""

    share: float  # of the picture
    u: float  # its middle, in pixels of the picture
    v: float
    raw_m: float  # medians
    refined_m: float


def scale_ratio(raw_m: DepthMap, refined_m: DepthMap) -> float:
    """Return the median of ``refined / raw`` (H, W) where both are valid; nan where nothing is."""
    both = (raw_m > 0) & (refined_m > 0)
    return float(np.median(refined_m[both] / raw_m[both])) if both.any() else math.nan


def moved_regions(raw_m: DepthMap, refined_m: DepthMap) -> list[MovedRegion]:
    """Return where refined depth (H, W) lies over 20 % nearer or farther than raw, largest first.

    Of pixels valid in both. Regions below 0.5 % of the picture and thin ones are left out.
    """
    step = max(1, raw_m.shape[1] // _WIDTH_PX)
    some = slice(step // 2, None, step)
    raw, refined = raw_m[some, some], refined_m[some, some]
    both = (raw > 0) & (refined > 0)
    ratio = np.divide(refined, raw, out=np.ones_like(refined), where=both)
    found = [
        region
        for moved in (ratio > 1 + _MOVED, ratio < 1 - _MOVED)
        for region in _regions(moved, raw, refined, step)
    ]
    return sorted(found, reverse=True)


def _regions(moved: Mask, raw: DepthMap, refined: DepthMap, step: int) -> list[MovedRegion]:
    import cv2

    kernel = np.ones((_SPECK_PX, _SPECK_PX), np.uint8)
    solid = cv2.morphologyEx(moved.view(np.uint8), cv2.MORPH_OPEN, kernel)
    count, labels, facts, middles = cv2.connectedComponentsWithStats(solid)
    out = []
    for label in range(1, count):
        share = float(facts[label, cv2.CC_STAT_AREA]) / moved.size
        if share < _LEAST_SHARE:
            continue
        inside = labels == label
        u, v = (float(place) * step + step // 2 for place in middles[label])
        medians = (float(np.median(depth[inside])) for depth in (raw, refined))
        out.append(MovedRegion(share, u, v, *medians))
    return out


def scale_warnings(ratio: float, regions: list[MovedRegion]) -> tuple[str, ...]:
    """Return lines of warning where refined and raw depth disagree on scale; the whole first."""
    low, high = SCALE_LIMITS
    whole = (
        f"refined depth is {ratio:.3f} times the raw depth in the median (expected {low} to "
        f"{high}): check the depth unit, the intrinsics and the checkpoint",
    )
    parts = (
        f"refined depth moved {region.share:.1%} of the picture about pixel {region.u:.0f}, "
        f"{region.v:.0f} from {region.raw_m:.2f} to {region.refined_m:.2f} m in the median: look "
        "there before you trust it"
        for region in regions[:_MOST]
    )
    return (*(whole if ratio < low or ratio > high else ()), *parts)
