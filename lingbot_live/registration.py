"""Depth to colour: where each depth pixel lands in the colour image, nearest surface first.

Every depth pixel is a small square. Its two opposite corners are sent through the sensor's
distance, the rigid transform and the colour lens; the colour pixels between them take its value
unless something nearer has them. The rays through the corners depend on the calibration alone, so
they are computed once (`corner_rays`) and kept, on request also on disk.

`Registration` works in NumPy. Its arithmetic is written with operators and methods that arrays of
other libraries have too, so that a faster implementation repeats it exactly. One that was announced
(`announce`) serves every camera's `LiveRegistration` from the next frame on; nothing here imports a
library for it.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import CameraError
from lingbot_live.frame import Extrinsics, Intrinsics, RawDepth

log = logging.getLogger(__name__)

Plane = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.intp]
Register = Callable[[RawDepth, float], RawDepth]  # depth and metres per unit, as `Registration`
Maker = Callable[["Registration"], Register]
A = TypeVar("A", bound=Any)  # a float32 array of NumPy, or a tensor

_ROWS = 48  # of depth at a time, so that temporaries stay in the processor's cache
FOOTPRINT_PX = 16  # of one depth pixel at most
_WIDEST = 8.0  # |x/z| of a projected point at most
_NEAREST = 0.1  # of its depth; what comes nearer to the colour camera is out of view
ANY = 1000  # stands for no measurement where a depth must be projected


def distort(x: A, y: A, values: tuple[float, ...]) -> tuple[A, A]:
    """Return x/z and y/z after the lens; ``values`` as in `Intrinsics.distortion`.

    The rational Brown-Conrady model, see "Camera Calibration and 3D Reconstruction" in OpenCV's
    reference.
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = (float(v) for v in (*values, *[0.0] * 8)[:8])
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
        # (3, h + 1, w + 1): the pixels' corners at 1 m, in the colour camera's axes
        self.rays: Plane = np.stack([r[0] * x + r[1] * y + r[2] for r in turn])
        self._shift_m = [float(shift) for shift in T_color_depth.translation_m]
        self._radius = valid_radius(color.distortion)

    def __call__(self, depth_raw: RawDepth, scale_m: float) -> RawDepth:
        """Return the depth on the colour image's grid, (H, W) uint16 in the units of ``depth_raw``.

        ``depth_raw`` is (h, w) uint16 with ``scale_m`` metres per unit; 0 stays "no measurement".

        Raises:
            CameraError: ``depth_raw`` is not of the calibration's size.
        """
        self.check(depth_raw)
        # One less than the value: no measurement wraps to the greatest and loses to everything.
        nearest = np.full(self.color.height * self.color.width, 0xFFFF, np.uint16)
        for top in range(0, self.depth.height, _ROWS):
            self._splat(depth_raw[top : top + _ROWS], top, scale_m, nearest)
        nearest += np.uint16(1)
        return nearest.reshape(self.color.height, self.color.width)

    def check(self, depth_raw: RawDepth) -> None:
        """Raise CameraError where ``depth_raw`` is not of the calibration's size."""
        if depth_raw.shape != (self.depth.height, self.depth.width):
            height, width = depth_raw.shape
            raise CameraError(
                f"registration: depth is {width}x{height}, its calibration is for "
                f"{self.depth.width}x{self.depth.height}; choose a profile that is calibrated"
            )

    def project(self, rays: A, z_m: A) -> tuple[A, A, Any]:
        """Return u and v plus half a pixel, and whether the colour camera can see there.

        ``rays`` are (3, h, w), ``z_m`` the sensor's distance (h, w), all float32.
        """
        z, floor = rays[2] * z_m + self._shift_m[2], _NEAREST * z_m
        inverse = 1 / z.clip(floor)
        x = (rays[0] * z_m + self._shift_m[0]) * inverse
        y = (rays[1] * z_m + self._shift_m[1]) * inverse
        seen = z > floor
        k = self.color
        if k.is_distorted:
            seen &= x * x + y * y <= self._radius**2
            x, y = distort(x, y, k.distortion)
        u, v = x * float(k.fx), y * float(k.fy)
        return u + float(k.cx + 0.5), v + float(k.cy + 0.5), seen

    def color_depth(self, rays_z: A, z_m: A, scale_m: Any) -> A:
        """Return the distance from the colour camera, a whole number of ``scale_m``, float32."""
        z: A = (rays_z * z_m + self._shift_m[2]) / scale_m
        whole: A = z.clip(0, 0xFFFF).round()
        return whole

    def _splat(self, raw: RawDepth, top: int, scale_m: float, nearest: RawDepth) -> None:
        measured = raw > 0
        z_m = np.where(measured, raw, np.uint16(ANY)) * np.float32(scale_m)
        strip = self.rays[:, top : top + len(raw) + 1]
        first, last = strip[:, :-1, :-1], strip[:, 1:, 1:]
        u0, v0, seen = self.project(first, z_m)
        u1, v1, _ = self.project(last, z_m)
        x0, x1, inside_x = _between(u0, u1, self.color.width)
        y0, y1, inside_y = _between(v0, v1, self.color.height)
        value = raw
        if not self.keep_values:
            middle = (first[2] + last[2]) / 2
            value = self.color_depth(middle, z_m, np.float32(scale_m)).astype(np.uint16)
        hit = measured & seen & inside_x & inside_y
        value = (np.where(hit, value, 0) - np.uint16(1)).ravel()
        lines = _steps(y0 * self.color.width, y1 * self.color.width, self.color.width)
        for x in _steps(x0, x1, 1):
            for line in lines:
                np.minimum.at(nearest, (line + x).ravel(), value)


class LiveRegistration(Registration):
    """For a camera's stream: in NumPy, or by what was announced, whichever a frame finds.

    What fails is given up for the whole process, with one warning.
    """

    _maker: Maker | None = None
    _faster: Register | None = None

    def __call__(self, depth_raw: RawDepth, scale_m: float) -> RawDepth:
        """As `Registration`."""
        maker = _announced
        if maker is not self._maker:
            self._maker, self._faster = maker, None
        if maker is not None:
            try:
                self._faster = self._faster or maker(self)
                return self._faster(depth_raw, scale_m)
            except (RuntimeError, MemoryError) as error:  # no memory left, or the device is gone
                self._faster = None
                _give_up(maker, error)
        return super().__call__(depth_raw, scale_m)


_announced: Maker | None = None
_announcing = threading.Lock()


def announce(maker: Maker | None) -> None:
    """Let ``maker`` serve all live cameras from their next frame on; None takes that back.

    It is called on each camera's own thread. What it returns does the same as the registration that
    it is given, to the pixel; RuntimeError and MemoryError mean that its device failed.
    """
    global _announced
    with _announcing:
        _announced = maker


def _give_up(maker: Maker, error: Exception) -> None:
    global _announced
    with _announcing:
        if _announced is not maker:
            return  # another camera's thread was first
        _announced = None
    log.warning("registration goes on in NumPy, because its device failed: %s", error)


def _between(a: Plane, b: Plane, size: int) -> tuple[Pixels, Pixels, Flags]:
    """Return the first and last pixel from ``a`` to ``b`` within the image, if there is any."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    inside = (high >= 0) & (low < size)
    last = np.float32(size - 1)
    first = np.clip(low, 0, last, out=low).astype(np.intp)
    return first, np.clip(high, 0, last, out=high).astype(np.intp), inside


def _steps(first: Pixels, last: Pixels, step: int) -> list[Pixels]:
    """Return the positions from ``first`` to ``last`` every ``step``; short ones stay there."""
    count = min(int((last - first).max()) // step + 1, FOOTPRINT_PX)
    return [first, *(np.minimum(first + i * step, last) for i in range(1, count))]
