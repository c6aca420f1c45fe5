"""How much depth shimmers while nothing moves: temporal noise and flicker, as a running window."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import ColorImage, DepthMap, Mask
from lingbot_live.quality.measures import NAN, Numbers, depth_edges

STEADY_SHARE = 0.8  # of the frames in which a pixel must be valid
LEAST_FRAMES = 10  # below that a standard deviation says little
TEMPORAL_KEYS = (
    "temporal_noise_mm", "temporal_noise_percent", "steady_share",
    "flicker_mm", "flicker_edge_mm", "still_frames",
)  # fmt: skip
_STILL_GREY = 2.0  # mean change of a coarse picture, of 255, above which something moved


def noise_of_sums(
    count: npt.NDArray[np.int64],
    total: npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
    frames: int,
) -> tuple[DepthMap, DepthMap, Mask]:
    """Return temporal noise (H, W) m, mean depth (H, W) m, and which pixels are steady.

    Per pixel, over its n = ``count`` valid values with their sum and sum of squares: the sample
    standard deviation, divided by ``(1 - 2/(9 (n-1)))^1.5`` so that the median over many pixels of
    noise sigma is sigma for any n (median of the chi-square distribution: Wilson and Hilferty, PNAS
    1931). A pixel is steady when it is valid in at least 80 % of the ``frames``; the others have no
    meaningful noise.
    """
    n = np.maximum(count, 1)
    mean = total / n
    variance = np.maximum(squares - total * mean, 0) / np.maximum(n - 1, 1)
    bias = (1 - 2 / (9 * np.maximum(n - 1, 1))) ** 1.5
    steady = (count >= STEADY_SHARE * frames) & (count >= 2)
    return (np.sqrt(variance) / bias).astype(np.float32), mean.astype(np.float32), steady


def _accumulate(sums: npt.NDArray[np.float64], depth_m: DepthMap, sign: int) -> None:
    wide = depth_m.astype(np.float64)
    # Sums of float32 values are as good as exact in float64: taking away leaves no trace.
    for row, term in zip(sums, (wide > 0, wide, wide * wide), strict=True):
        np.add(row, term, out=row) if sign > 0 else np.subtract(row, term, out=row)


class TemporalWindow:
    """The last frames of a standing camera and their noise, at the cost of a few sums a frame."""

    def __init__(self, size: int = 40) -> None:
        self._frames: deque[DepthMap] = deque()
        self._size = size
        self.clear()

    def clear(self) -> None:
        """Begin anew, after something moved."""
        self._frames.clear()
        self._sums: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, depth_m: DepthMap) -> None:
        """Take one image (H, W) metres, 0 = invalid; another size than before begins anew."""
        if self._sums is None or self._sums.shape[1:] != depth_m.shape:
            self.clear()
            self._sums = np.zeros((3, *depth_m.shape))
        _accumulate(self._sums, depth_m, 1)
        self._frames.append(depth_m)
        if len(self._frames) > self._size:
            _accumulate(self._sums, self._frames.popleft(), -1)

    def numbers(self, roi: tuple[slice, slice]) -> Numbers:
        """Return noise of the region and flicker of the whole image; nan before 10 frames.

        - ``temporal_noise_mm``, ``temporal_noise_percent`` (of each pixel's mean depth): median
          over the steady pixels of the region (see `noise_of_sums`);
        - ``steady_share``: of the region's pixels;
        - ``flicker_mm``, ``flicker_edge_mm``: median noise of all steady pixels away from and at
          depth edges (a step of over 8 % within 5x5 pixels of the mean depth);
        - ``still_frames``: how many frames these rest on.
        """
        out = dict.fromkeys(TEMPORAL_KEYS, NAN) | {"still_frames": float(len(self))}
        if self._sums is None or len(self) < LEAST_FRAMES:
            return out
        count, total, squares = self._sums
        noise_m, mean_m, steady = noise_of_sums(count.astype(np.int64), total, squares, len(self))
        edges = depth_edges(np.where(steady, mean_m, np.float32(0)))
        inside = steady[roi]
        out["steady_share"] = float(inside.mean())
        out["temporal_noise_mm"] = _median_mm(noise_m[roi][inside])
        out["temporal_noise_percent"] = _median_mm(noise_m[roi][inside] / mean_m[roi][inside]) / 10
        out["flicker_mm"] = _median_mm(noise_m[steady & ~edges])
        out["flicker_edge_mm"] = _median_mm(noise_m[steady & edges])
        return out


def _median_mm(values: npt.NDArray[np.float32]) -> float:
    return 1000 * float(np.median(values)) if values.size else NAN


class Stillness:
    """Tells from the colour pictures whether camera and scene stand still."""

    def __init__(self) -> None:
        self._first: npt.NDArray[np.float32] | None = None

    def moved(self, color: ColorImage) -> bool:
        """Compare with the first picture of this stretch; True starts a new stretch."""
        import cv2

        size = (max(1, color.shape[1] // 16), max(1, color.shape[0] // 16))
        coarse = cv2.resize(color[::2, ::2], size, interpolation=cv2.INTER_AREA).astype(np.float32)
        first = self._first
        if first is None or first.shape != coarse.shape:
            self._first = coarse
            return first is not None
        if float(np.abs(coarse - first).mean()) <= _STILL_GREY:
            return False
        self._first = coarse
        return True
