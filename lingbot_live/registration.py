"""Depth to colour: where each depth pixel lands in the colour image, nearest surface first.

Every depth pixel is a small square. Its two opposite corners are sent through the sensor's
distance, the rigid transform and the colour lens; the colour pixels between them take its value
unless something nearer has them. The rays through the corners depend on the calibration alone, so
they are computed once (`corner_rays`) and kept, on request also on disk.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import CameraError
from lingbot_live.frame import Extrinsics, Intrinsics, RawDepth

log = logging.getLogger(__name__)

Plane = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.intp]

_ROWS = 48  # of depth at a time, so that temporaries stay in the processor's cache
_FOOTPRINT_PX = 16  # of one depth pixel at most
_WIDEST = 8.0  # |x/z| of a projected point at most
_NEAREST = np.float32(0.1)  # of its depth; what comes nearer to the colour camera is out of view
_ANY = np.uint16(1000)  # stands for no measurement where a depth must be projected


def distort(x: Plane, y: Plane, values: tuple[float, ...]) -> tuple[Plane, Plane]:
    """Return x/z and y/z after the lens; ``values`` as in `Intrinsics.distortion`.

    The rational Brown-Conrady model, see "Camera Calibration and 3D Reconstruction" in OpenCV's
    reference.
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = (np.float32(v) for v in (*values, *[0.0] * 8)[:8])
    r2 = x * x + y * y
    radial = ((k3 * r2 + k2) * r2 + k1) * r2 + 1
    if k4 or k5 or k6:
        radial /= ((k6 * r2 + k5) * r2 + k4) * r2 + 1
    radial += 2 * p1 * y + 2 * p2 * x
    return x * radial + p2 * r2, y * radial + p1 * r2


def valid_radius(values: tuple[float, ...]) -> float:
    """Return the x/z radius up to which the lens model is one to one.

    Beyond it a polynomial folds back, and points outside the view would land inside the image.
    """
    radius = np.linspace(0, _WIDEST, 4097, dtype=np.float32)
    if not any(values):
        return _WIDEST
    image, _ = distort(radius, np.zeros_like(radius), (*values[:2], 0.0, 0.0, *values[4:]))
    folds = np.flatnonzero(~(np.diff(image) > 0))
    return float(radius[folds[0]]) if folds.size else _WIDEST


@functools.lru_cache(maxsize=8)
def corner_rays(depth: Intrinsics, cache: Path | None = None) -> Plane:
    """Return x/z and y/z of all pixel corners of ``depth``, (2, H + 1, W + 1) float32, read-only.

    Entry ``[:, v, u]`` is the top left corner of pixel (u, v), distortion removed. With a folder
    ``cache`` a distorted lens, which takes up to seconds, is computed once per calibration.
    """
    if cache is None or not depth.is_distorted:
        rays = _compute_corner_rays(depth)
    else:
        key = hashlib.sha256(f"corner_rays 1 {depth!r}".encode()).hexdigest()[:24]
        rays = _stored_corner_rays(depth, cache / f"rays-{key}.npy")
    rays.setflags(write=False)
    return rays


def _stored_corner_rays(depth: Intrinsics, path: Path) -> Plane:
    try:
        stored: Plane = np.load(path, allow_pickle=False)
        if stored.shape == (2, depth.height + 1, depth.width + 1) and stored.dtype == np.float32:
            return stored
    except FileNotFoundError:
        pass  # the first use of this calibration
    except (OSError, ValueError, EOFError) as error:
        log.warning("%s is unreadable (%s); it is computed again", path, error)
    rays = _compute_corner_rays(depth)
    try:
        _write_atomically(path, rays)
    except OSError as error:
        log.warning("the ray table could not be kept for the next start: %s", error)
    return rays


def _write_atomically(path: Path, array: Plane) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _compute_corner_rays(depth: Intrinsics) -> Plane:
    u, v = np.meshgrid(np.arange(depth.width + 1) - 0.5, np.arange(depth.height + 1) - 0.5)
    if not depth.is_distorted:
        flat = np.stack([(u - depth.cx) / depth.fx, (v - depth.cy) / depth.fy])
        plain: Plane = flat.astype(np.float32)
        return plain
    import cv2

    pixels = np.stack([u, v], -1).reshape(-1, 1, 2)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-8)
    lens = np.array(depth.distortion)
    eye = np.eye(3)
    found = cv2.undistortPointsIter(pixels, depth.matrix, lens, eye, eye, criteria)
    rays: Plane = found.reshape(*u.shape, 2).transpose(2, 0, 1).astype(np.float32, order="C")
    # Where the model has no inverse, a ray that no colour image sees.
    np.nan_to_num(rays, copy=False, nan=1e3)
    return rays


class Registration:
    """Moves depth images of one calibrated sensor onto its colour image.

    With ``keep_values`` a pixel keeps the number that the sensor measured, as the SDK of RealSense
    does it: right where both cameras look the same way and lie a few millimetres apart in depth.
    Without, it becomes the distance along the colour camera's axis, in the same units, as the SDKs
    of Orbbec and Azure Kinect do it; the cameras of the Kinect are tilted by several degrees.
    """

    def __init__(
        self,
        depth: Intrinsics,
        color: Intrinsics,
        T_color_depth: Extrinsics,
        *,
        keep_values: bool,
        cache: Path | None = None,
    ) -> None:
        self.depth, self.color, self.keep_values = depth, color, keep_values
        x, y = corner_rays(depth, cache)
        turn = np.asarray(T_color_depth.rotation, np.float32)
        self._rays: Plane = np.stack([r[0] * x + r[1] * y + r[2] for r in turn])
        self._shift_m = np.asarray(T_color_depth.translation_m, np.float32)
        self._radius = np.float32(valid_radius(color.distortion))

    def __call__(self, depth_raw: RawDepth, scale_m: float) -> RawDepth:
        """Return the depth on the colour image's grid, (H, W) uint16 in the units of ``depth_raw``.

        ``depth_raw`` is (h, w) uint16 with ``scale_m`` metres per unit; 0 stays "no measurement".

        Raises:
            CameraError: ``depth_raw`` is not of the calibration's size.
        """
        if depth_raw.shape != (self.depth.height, self.depth.width):
            height, width = depth_raw.shape
            raise CameraError(
                f"registration: depth is {width}x{height}, its calibration is for "
                f"{self.depth.width}x{self.depth.height}; choose a profile that is calibrated"
            )
        # One less than the value: no measurement wraps to the greatest and loses to everything.
        nearest = np.full(self.color.height * self.color.width, 0xFFFF, np.uint16)
        for top in range(0, self.depth.height, _ROWS):
            self._splat(depth_raw[top : top + _ROWS], top, scale_m, nearest)
        nearest += np.uint16(1)
        return nearest.reshape(self.color.height, self.color.width)

    def _splat(self, raw: RawDepth, top: int, scale_m: float, nearest: RawDepth) -> None:
        measured = raw > 0
        z_m = np.where(measured, raw, _ANY) * np.float32(scale_m)
        strip = self._rays[:, top : top + len(raw) + 1]
        first, last = strip[:, :-1, :-1], strip[:, 1:, 1:]
        u0, v0, seen = self._project(first, z_m)
        u1, v1, _ = self._project(last, z_m)
        x0, x1, inside_x = _between(u0, u1, self.color.width)
        y0, y1, inside_y = _between(v0, v1, self.color.height)
        value = (
            raw if self.keep_values else self._color_depth((first[2] + last[2]) / 2, z_m, scale_m)
        )
        hit = measured & seen & inside_x & inside_y
        value = (np.where(hit, value, 0) - np.uint16(1)).ravel()
        lines = _steps(y0 * self.color.width, y1 * self.color.width, self.color.width)
        for x in _steps(x0, x1, 1):
            for line in lines:
                np.minimum.at(nearest, (line + x).ravel(), value)

    def _project(self, rays: Plane, z_m: Plane) -> tuple[Plane, Plane, Flags]:
        """Return u, v plus half a pixel, and whether the colour camera can see there."""
        z, floor = rays[2] * z_m + self._shift_m[2], _NEAREST * z_m
        inverse = 1 / np.maximum(z, floor)
        x = (rays[0] * z_m + self._shift_m[0]) * inverse
        y = (rays[1] * z_m + self._shift_m[1]) * inverse
        seen: Flags = z > floor
        if self.color.is_distorted:
            seen &= x * x + y * y <= self._radius**2
            x, y = distort(x, y, self.color.distortion)
        k = self.color
        u, v = x * np.float32(k.fx), y * np.float32(k.fy)
        return u + np.float32(k.cx + 0.5), v + np.float32(k.cy + 0.5), seen

    def _color_depth(self, rays_z: Plane, z_m: Plane, scale_m: float) -> RawDepth:
        """Return the distance from the colour camera in units of ``scale_m``."""
        z = (rays_z * z_m + self._shift_m[2]) / np.float32(scale_m)
        out: RawDepth = np.rint(np.clip(z, 0, 0xFFFF)).astype(np.uint16)
        return out


def _between(a: Plane, b: Plane, size: int) -> tuple[Pixels, Pixels, Flags]:
    """Return the first and last pixel from ``a`` to ``b`` within the image, if there is any."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    inside = (high >= 0) & (low < size)
    last = np.float32(size - 1)
    first = np.clip(low, 0, last, out=low).astype(np.intp)
    return first, np.clip(high, 0, last, out=high).astype(np.intp), inside


def _steps(first: Pixels, last: Pixels, step: int) -> list[Pixels]:
    """Return the positions from ``first`` to ``last`` every ``step``; short ones stay there."""
    count = min(int((last - first).max()) // step + 1, _FOOTPRINT_PX)
    return [first, *(np.minimum(first + i * step, last) for i in range(1, count))]
