"""Points and colours of the cameras' clouds, and which of them lie where in the picture."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lingbot_live.colormap import colorize
from lingbot_live.frame import ColorImage, DepthMap, Extrinsics, Intrinsics, Matrix
from lingbot_live.geometry import rays, subsampled
from lingbot_live.quality.ruler import Box
from ui.cloud.scene import Coloring, Layer, Rgb, ViewSettings, Which, on_picture

RAW_TINT_RGB = (255, 140, 40)  # marks raw points where both clouds are shown
_UNMOVED = 0.005  # of the depth: raw and refined points so near each other look like one


class Cloud:
    """Points and colours as Open3D takes them without converting, one frame after another.

    All frames use the same memory: touching fresh memory would cost more than the arithmetic.
    """

    def __init__(self) -> None:
        self.count = 0
        self._points: Matrix = np.empty((0, 3))
        self._colors: Matrix = np.empty((0, 3))

    @property
    def points_m(self) -> Matrix:
        """Metres, (N, 3) float64; changed by the next `add`."""
        return self._points[: self.count]

    @property
    def colors(self) -> Matrix:
        """RGB in 0 to 1, (N, 3) float64; changed by the next `add`."""
        return self._colors[: self.count]

    def clear(self) -> None:
        """Forget the points, keep the memory."""
        self.count = 0

    def add(self, depth_m: DepthMap, color: ColorImage, intrinsics: Intrinsics) -> None:
        """Append the valid pixels of a depth map, (H, W), with their colours, (H, W, 3)."""
        flat = (depth_m.reshape(-1), rays(intrinsics).reshape(-1, 2), color.reshape(-1, 3))
        valid = np.flatnonzero(flat[0] > 0)
        new = self._append(len(valid))
        if len(valid) < depth_m.size:
            z, ray, rgb = (values.take(valid, axis=0) for values in flat)
        else:
            z, ray, rgb = flat
        # Column by column: NumPy is six times slower where it broadcasts over a row of two.
        points = self._points[new]
        np.multiply(ray[:, 0], z, out=points[:, 0])
        np.multiply(ray[:, 1], z, out=points[:, 1])
        points[:, 2] = z
        np.multiply(rgb, 1 / 255, out=self._colors[new])

    def tint(self, begin: int) -> None:
        """Mark the points from ``begin`` on as raw."""
        colors = self._colors[begin : self.count]
        colors *= 0.4
        colors += 0.6 * np.array(RAW_TINT_RGB) / 255

    def place(self, pose: Extrinsics) -> None:
        """Move all points from the camera's axes into the common ones."""
        if not pose.is_identity:
            self.points_m[:] = pose.apply(self.points_m)

    def crop(self, box: Box | None) -> None:
        """Forget the points outside."""
        if box is None:
            return
        inside = np.flatnonzero(box.holds(self.points_m))
        for array in (self._points, self._colors):
            array[: len(inside)] = array.take(inside, axis=0)
        self.count = len(inside)

    def _append(self, count: int) -> slice:
        new = slice(self.count, self.count + count)
        missing = new.stop - len(self._points)
        if missing > 0:
            more = np.empty((missing, 3))
            self._points = np.vstack([self._points, more])
            self._colors = np.vstack([self._colors, more])
        self.count = new.stop
        return new


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame as the child process gets it."""

    camera: str
    color: ColorImage  # (H, W, 3)
    raw_m: DepthMap  # (H, W)
    refined_m: DepthMap  # (H, W)
    intrinsics: Intrinsics

    def fill(self, cloud: Cloud, view: ViewSettings, layer: Layer, stride: int) -> None:
        """Put this frame's points, where its layer has them, in place of what the cloud held."""
        cloud.clear()
        if not layer.is_shown:
            return
        depth_m = self.raw_m if view.which is Which.RAW else self.refined_m
        self._add(cloud, depth_m, view, layer, stride)
        if view.which is Which.BOTH:
            refined = cloud.count
            self._add(cloud, self._moved_m(), view, layer, stride)
            cloud.tint(refined)
        cloud.place(layer.pose)
        cloud.crop(view.box)

    def _moved_m(self) -> DepthMap:
        """Return the raw depth that refining moved or removed; the rest would only flicker."""
        moved = np.abs(self.raw_m - self.refined_m) > _UNMOVED * self.raw_m
        return np.where(moved, self.raw_m, np.float32(0))

    def _add(
        self, cloud: Cloud, depth_m: DepthMap, view: ViewSettings, layer: Layer, stride: int
    ) -> None:
        depth = np.ascontiguousarray(depth_m[::stride, ::stride])
        if view.coloring is Coloring.DEPTH:
            color = colorize(depth, view.depth_range, view.colormap)
        elif view.coloring is Coloring.CAMERA:
            color = _shades(layer.color_rgb).take(self.color[::stride, ::stride, 1], axis=0)
        else:
            color = np.ascontiguousarray(self.color[::stride, ::stride])
        cloud.add(depth, color, subsampled(self.intrinsics, stride))


def pick(
    points_m: Matrix, extrinsic: Matrix, view: ViewSettings, pixel: tuple[float, float]
) -> Matrix | None:
    """Return the front-most point (3,) metres near a pixel of the picture, None on the background.

    Near means 4 pixels, and 24 where nothing lies there, so that a sparse cloud can be hit.
    """
    (u, v), z = on_picture(points_m, extrinsic, view)
    away_px = np.maximum(np.abs(u - pixel[0]), np.abs(v - pixel[1]))
    for radius_px in (4, 24):
        hits = np.flatnonzero((away_px <= radius_px) & (z > 0))
        if len(hits):
            found: Matrix = points_m[hits[np.argmin(z[hits])]]
            return found
    return None


def within(points_m: Matrix, extrinsic: Matrix, view: ViewSettings, corners_px: Matrix) -> Matrix:
    """Return the points, (M, 3), that lie in a rectangle of the picture, (2, 2) of u, v."""
    (u, v), z = on_picture(points_m, extrinsic, view)
    low, high = corners_px.min(0), corners_px.max(0)
    inside = (u >= low[0]) & (u <= high[0]) & (v >= low[1]) & (v <= high[1]) & (z > 0)
    found: Matrix = points_m[inside]
    return found


@functools.lru_cache(maxsize=16)
def _shades(color_rgb: Rgb) -> npt.NDArray[np.uint8]:
    """Return a colour for each brightness, (256, 3)."""
    brightness = np.linspace(0.35, 1.15, 256)[:, None]
    return np.clip(brightness * color_rgb, 0, 255).astype(np.uint8)
