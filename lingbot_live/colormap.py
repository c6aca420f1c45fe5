"""Metres, and followed points, to colours by lookup table; window, files and exports share it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError
from lingbot_live.frame import ColorImage, DepthMap, Mask

# Of a perceptual scale so that equal steps look equal; turbo and grey on request.
NAMES = ("viridis", "inferno", "turbo", "grey")
INVALID_RGB = (28, 30, 34)
_INVALID_ARGB = 0xFF << 24 | INVALID_RGB[0] << 16 | INVALID_RGB[1] << 8 | INVALID_RGB[2]
_STEPS = 1024  # colours of a scale
_FAR_CODE = 65535  # quantised depth of the far end
# Where a scale of 256 colours begins: brighter than the invalid colour, lest near look like a hole.
_FIRST = {"grey": 56, "inferno": 32}
_HUE_STEP, _SATURATION = 67, 200 / 255  # degrees from one point to the next: far, and 360 differ


@dataclass(frozen=True, slots=True)
class DepthRange:
    """The depths that the two ends of a colour scale stand for, metres."""

    near_m: float = 0.3
    far_m: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.near_m < self.far_m < float("inf"):
            raise ConfigError(f"colour range {self.near_m} to {self.far_m} m: near < far is needed")


@functools.lru_cache(maxsize=16)
def table(name: str) -> ColorImage:
    """Return a colour scale, (1025, 3) uint8 RGB: row 0 is the invalid colour, then near to far.

    Raises:
        ConfigError: no scale has this name.
    """
    import cv2

    if name not in NAMES:
        raise ConfigError(f"colour scale {name!r}; known: {', '.join(NAMES)}")
    ramp = np.linspace(_FIRST.get(name, 0), 255, _STEPS)
    if name == "grey":
        colors = np.repeat(ramp[:, None], 3, 1)
    else:
        code = getattr(cv2, f"COLORMAP_{name.upper()}")
        base = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], code)[:, 0, ::-1]
        colors = np.stack([np.interp(ramp, np.arange(256), base[:, c]) for c in range(3)], -1)
    out = np.vstack([np.array([INVALID_RGB]), np.rint(colors)]).astype(np.uint8)
    out.setflags(write=False)
    return out


def point_colors(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the colours of points by their numbers (N,), (N, 3) RGB, the same wherever drawn."""
    return np.asarray(_point_table()[numbers % 360])


@functools.lru_cache(maxsize=1)
def _point_table() -> npt.NDArray[np.uint8]:
    import cv2

    hsv = np.full((1, 360, 3), (0, _SATURATION, 1), np.float32)
    hsv[..., 0] = np.arange(360) * _HUE_STEP % 360
    return np.asarray(np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0]), np.uint8)


@functools.lru_cache(maxsize=32)
def lookup_rgb32(scale: DepthRange, name: str, invalid: int = 0) -> npt.NDArray[np.uint32]:
    """Return the 0xAARRGGBB colour of every depth in steps of `step_rate`, (65536,) uint32.

    The colour of no depth, step 0, is ``invalid``.
    """
    rgb = table(name).astype(np.uint32)
    packed = (0xFF << 24) | (rgb[:, 0] << 16) | (rgb[:, 1] << 8) | rgb[:, 2]
    depth_m = (np.arange(1 << 16) + 0.5) * (scale.far_m / _FAR_CODE)
    rows = (depth_m - scale.near_m) / (scale.far_m - scale.near_m) * (_STEPS - 1) + 1.5
    out = packed[np.clip(rows, 1, _STEPS).astype(np.intp)].astype(np.uint32)
    out[0] = invalid
    out.setflags(write=False)
    return out


def step_rate(scale: DepthRange) -> np.float32:
    """Return how many steps of `lookup_rgb32` a metre has: 65535 lead to the far end."""
    return np.float32(_FAR_CODE / scale.far_m)


def _quantise(depth_m: DepthMap, scale: DepthRange) -> npt.NDArray[np.uint16]:
    """Return depth in 1/65535 of the far end, (H, W): 0 stays 0, 65535 is the far end or beyond."""
    codes = np.minimum(depth_m, np.float32(scale.far_m))
    codes *= step_rate(scale)
    return codes.astype(np.uint16)


def colorize(depth_m: DepthMap, scale: DepthRange, name: str = "viridis") -> ColorImage:
    """Return (H, W, 3) uint8 RGB; depth beyond the range takes the colour of its end."""
    import cv2

    bgra = colorize_rgb32(depth_m, scale, name).view(np.uint8).reshape(*depth_m.shape, 4)
    rgb: ColorImage = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB)
    return rgb


def colorize_rgb32(
    depth_m: DepthMap, scale: DepthRange, name: str = "viridis", *, transparent: bool = False
) -> npt.NDArray[np.uint32]:
    """Return (H, W) uint32 0xFFRRGGBB, what a QImage of Format_RGB32 shows without conversion.

    With ``transparent``, invalid pixels are 0 (nothing of any colour, premultiplied), so that
    what lies below an image of Format_ARGB32_Premultiplied shows there.
    """
    invalid = 0 if transparent else _INVALID_ARGB
    # Every code is inside the table; "wrap" only spares numpy the check.
    return np.take(lookup_rgb32(scale, name, invalid), _quantise(depth_m, scale), mode="wrap")


def colorize_signed(
    difference_m: npt.NDArray[np.float32], valid: Mask, limit_m: float
) -> ColorImage:
    """Return (H, W, 3) uint8 RGB of a signed difference: blue below 0, grey at 0, red above.

    The colours end at plus and minus ``limit_m``; pixels that are not valid are dark.
    """
    half = 127
    steps = np.clip(difference_m * np.float32(half / limit_m), -half, half) + np.float32(half + 1.5)
    rows = steps.astype(np.int16) * valid
    return np.take(_signed_table(), rows, axis=0)


@functools.cache
def _signed_table() -> ColorImage:
    ends = np.array([(49, 130, 235), (226, 226, 226), (232, 72, 48)], np.float64)
    at = np.linspace(-1, 1, 255)
    ramp = np.stack([np.interp(at, (-1, 0, 1), ends[:, c]) for c in range(3)], -1)
    return np.vstack([np.array([INVALID_RGB]), np.rint(ramp)]).astype(np.uint8)


def auto_range(depth_m: DepthMap, low: float = 2.0, high: float = 98.0) -> DepthRange:
    """Return the range between two percentiles of the valid depth; the default if there is none."""
    step = max(1, round((depth_m.size / 40_000) ** 0.5))  # percentiles need no more pixels
    seen = depth_m[::step, ::step]
    valid = seen[seen > 0]
    if valid.size == 0:
        return DepthRange()
    near, far = np.percentile(valid, [low, high])
    return DepthRange(float(near), max(float(far), float(near) + 0.01))
