"""What the cloud shows and from where: plain numbers, shared by the window and the child process.

Points are in the camera's axes (`lingbot_live.frame`) from end to end; the viewing camera has the
same axes, so nothing is ever mirrored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from lingbot_live.colormap import DepthRange, colorize
from lingbot_live.errors import ConfigError
from lingbot_live.frame import ColorImage, DepthMap, Intrinsics, Matrix
from lingbot_live.geometry import rays

Vector = tuple[float, float, float]

FOV_Y_DEG = 45.0
MAX_WIDTH_PX, MAX_HEIGHT_PX = 1280, 960  # of a picture; software OpenGL is too slow for more
RAW_TINT_RGB = (255, 140, 40)  # marks raw points where both clouds are shown
_UNMOVED = 0.005  # of the depth: raw and refined points so near each other look like one


class Which(str, Enum):
    """Which depth becomes points; both means refined, and tinted the raw that refining moved."""

    RAW = "raw"
    REFINED = "refined"
    BOTH = "both"


class Coloring(str, Enum):
    """Where a point's colour comes from."""

    RGB = "rgb"
    DEPTH = "depth"


@dataclass(frozen=True, slots=True)
class Orbit:
    """A viewpoint relative to the home view, so that it fits a scene of any size.

    ``yaw_deg`` moves the eye to the left, ``pitch_deg`` up; ``offset`` moves the centre of the
    orbit, in units of the home view's distance.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    zoom: float = 1.0
    offset: Vector = (0.0, 0.0, 0.0)

    @property
    def rotation(self) -> Matrix:
        """From the viewing camera's axes to the scene's, 3x3."""
        yaw, pitch = math.radians(self.yaw_deg), math.radians(-self.pitch_deg)
        turn = [
            [math.cos(yaw), 0, math.sin(yaw)],
            [0, 1, 0],
            [-math.sin(yaw), 0, math.cos(yaw)],
        ]
        tilt = [
            [1, 0, 0],
            [0, math.cos(pitch), -math.sin(pitch)],
            [0, math.sin(pitch), math.cos(pitch)],
        ]
        out: Matrix = np.array(turn) @ np.array(tilt)
        return out

    def turned(self, yaw_deg: float, pitch_deg: float) -> Orbit:
        """Return the orbit moved round its centre, never over the poles."""
        pitch = min(max(self.pitch_deg + pitch_deg, -85.0), 85.0)
        return replace(self, yaw_deg=(self.yaw_deg + yaw_deg) % 360, pitch_deg=pitch)

    def zoomed(self, factor: float) -> Orbit:
        """Return the orbit with its eye ``factor`` times as near."""
        return replace(self, zoom=min(max(self.zoom * factor, 0.1), 30.0))

    def panned(self, right: float, down: float) -> Orbit:
        """Return the orbit with its centre moved across the picture, in heights of the picture."""
        height = 2 * math.tan(math.radians(FOV_Y_DEG / 2)) / self.zoom
        moved = np.array(self.offset) + self.rotation @ np.array([right, down, 0]) * height
        return replace(self, offset=_vector(moved))


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """All that decides a picture, besides the frame."""

    which: Which = Which.REFINED
    coloring: Coloring = Coloring.RGB
    point_size_px: int = 2
    stride: int = 1  # every n-th pixel in both directions
    width: int = 640  # of the picture, pixels
    height: int = 480
    orbit: Orbit = Orbit()
    home: int = 0  # counts up to ask for a new home view
    draft: bool = False  # a hand is on the mouse: fewer points, quicker answers
    depth_range: DepthRange = field(default_factory=DepthRange)
    colormap: str = "viridis"
    background_rgb: tuple[int, int, int] = (22, 24, 28)

    def __post_init__(self) -> None:
        if not (0 < self.width <= MAX_WIDTH_PX and 0 < self.height <= MAX_HEIGHT_PX):
            raise ConfigError(
                f"cloud: a picture of {self.width}x{self.height} is not within 1x1 to "
                f"{MAX_WIDTH_PX}x{MAX_HEIGHT_PX}"
            )
        if self.stride < 1 or self.point_size_px < 1:
            raise ConfigError(
                f"cloud: stride {self.stride} and point size {self.point_size_px} must be positive"
            )

    @property
    def focal_px(self) -> float:
        """Of the viewing camera."""
        return self.height / 2 / math.tan(math.radians(FOV_Y_DEG / 2))


@dataclass(frozen=True, slots=True)
class Home:
    """The view that shows the whole scene from nearly where the camera stands, metres."""

    target_m: Vector = (0.0, 0.0, 1.5)
    distance_m: float = 1.8

    @classmethod
    def of(cls, points_m: Matrix, view: ViewSettings) -> Home:
        """Fit the scene, (N, 3) metres, into the picture, but for the last few stray points."""
        some = points_m[:: max(1, len(points_m) // 20_000)]
        if len(some) == 0:
            return cls()
        depth = float(np.median(some[:, 2]))
        half = np.array([view.width, view.height]) / (2 * view.focal_px)
        across, behind = some[:, :2] / half, some[:, 2] - depth
        centre, distance = np.zeros(2), depth
        for _ in range(3):  # what lies in the middle of the picture depends on the distance
            seen = (across - centre) / np.maximum(distance + behind, 0.1 * depth)[:, None]
            low, high = np.percentile(seen, [1, 99], axis=0)
            centre = centre + (low + high) / 2 * distance
            # A point is in the picture where |across| <= distance + its depth behind the centre.
            needed = np.abs(across - centre).max(axis=1) - behind
            distance = max(float(np.percentile(needed, 99)), 0.05 * depth)
        target = np.array([*(centre * half), depth])
        return cls(_vector(target), 1.03 * distance)

    def extrinsic(self, orbit: Orbit) -> Matrix:
        """Return the 4x4 matrix from the scene into the viewing camera, metres."""
        to_scene = orbit.rotation
        centre = np.array(self.target_m) + np.array(orbit.offset) * self.distance_m
        eye = centre - to_scene[:, 2] * (self.distance_m / orbit.zoom)
        matrix = np.eye(4)
        matrix[:3, :3] = to_scene.T
        matrix[:3, 3] = -to_scene.T @ eye
        return matrix

    def offset_of(self, point_m: Matrix) -> Vector:
        """Return the orbit offset that puts its centre on a point."""
        return _vector((point_m - np.array(self.target_m)) / self.distance_m)


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

    def fill(self, cloud: Cloud, view: ViewSettings, stride: int) -> None:
        """Put this frame's points in place of what the cloud held."""
        cloud.clear()
        if view.which is Which.RAW:
            self._add(cloud, self.raw_m, view, stride)
            return
        self._add(cloud, self.refined_m, view, stride)
        if view.which is Which.BOTH:
            refined = cloud.count
            self._add(cloud, self._moved_m(), view, stride)
            cloud.tint(refined)

    def _moved_m(self) -> DepthMap:
        """Return the raw depth that refining moved or removed; the rest would only flicker."""
        moved = np.abs(self.raw_m - self.refined_m) > _UNMOVED * self.raw_m
        return np.where(moved, self.raw_m, np.float32(0))

    def _add(self, cloud: Cloud, depth_m: DepthMap, view: ViewSettings, stride: int) -> None:
        depth = np.ascontiguousarray(depth_m[::stride, ::stride])
        if view.coloring is Coloring.DEPTH:
            color = colorize(depth, view.depth_range, view.colormap)
        else:
            color = np.ascontiguousarray(self.color[::stride, ::stride])
        cloud.add(depth, color, subsampled(self.intrinsics, stride))


def subsampled(intrinsics: Intrinsics, stride: int) -> Intrinsics:
    """Return the intrinsics of ``image[::stride, ::stride]``, whose pixel (0, 0) stays put."""
    return Intrinsics(
        -(-intrinsics.width // stride),
        -(-intrinsics.height // stride),
        intrinsics.fx / stride,
        intrinsics.fy / stride,
        intrinsics.cx / stride,
        intrinsics.cy / stride,
        intrinsics.distortion,
    )


def pick(
    points_m: Matrix, extrinsic: Matrix, view: ViewSettings, pixel: tuple[float, float]
) -> Matrix | None:
    """Return the front-most point (3,) metres near a pixel of the picture, None on the background.

    Near means 4 pixels, and 24 where nothing lies there, so that a sparse cloud can be hit.
    """
    x, y, z = extrinsic[:3, :3] @ points_m.T + extrinsic[:3, 3:]
    ahead = np.maximum(z, 1e-9)
    across_px = x * (view.focal_px / ahead) - (pixel[0] - (view.width - 1) / 2)
    down_px = y * (view.focal_px / ahead) - (pixel[1] - (view.height - 1) / 2)
    away_px = np.maximum(np.abs(across_px), np.abs(down_px))
    for radius_px in (4, 24):
        hits = np.flatnonzero((away_px <= radius_px) & (z > 0))
        if len(hits):
            found: npt.NDArray[np.float64] = points_m[hits[np.argmin(z[hits])]]
            return found
    return None


def _vector(values: Matrix) -> Vector:
    return (float(values[0]), float(values[1]), float(values[2]))
