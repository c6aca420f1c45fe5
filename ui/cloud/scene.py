"""What the cloud shows and from where: plain numbers, shared by the window and the child process.

Points are in the axes of `lingbot_live.frame` from end to end, those of the one camera or of the
rig's reference; the viewing camera has the same axes, so nothing is ever mirrored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from lingbot_live.colormap import DepthRange
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Extrinsics, Matrix
from lingbot_live.quality.ruler import Box, Vector
from ui.shell.language import phrase

Rgb = tuple[int, int, int]
Line = tuple[Vector, Vector, Rgb]  # from, to, metres in the common axes; its colour

FOV_Y_DEG = 45.0
MAX_WIDTH_PX, MAX_HEIGHT_PX = 1280, 960  # of a picture; software OpenGL is too slow for more
MAX_CLOUDS = 4  # cameras in one view
_FLAT = 300.0  # so many times as far away, with so long a lens, perspective is not to be seen


class Which(str, Enum):
    """Which depth becomes points; both means refined, and tinted the raw that refining moved."""

    RAW = "raw"
    REFINED = "refined"
    BOTH = "both"


class Coloring(str, Enum):
    """Where a point's colour comes from."""

    RGB = "RGB"
    DEPTH = phrase("depth")
    TRUST = phrase("trust")  # of refined depth, on the scale of depth's colours
    CAMERA = phrase("camera")  # a colour for each, brighter and darker as the picture is


class Guide(str, Enum):
    """What is drawn among the points, to find one's way."""

    AXES = "axes"  # x red, y green, z blue, where the common axes begin
    GRID = "grid"  # on the ground
    FRUSTUM = "frustum"  # what each camera sees


@dataclass(frozen=True, slots=True)
class Orbit:
    """A viewpoint relative to the home view, so that it fits a scene of any size.

    ``yaw_deg`` moves the eye to the left, ``pitch_deg`` up; ``offset`` moves the centre of the
    orbit, in units of the home view's distance. Level orbits turn about the scene's own up where it
    is known (`Home.up`), others about the camera's.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    zoom: float = 1.0
    offset: Vector = (0.0, 0.0, 0.0)
    is_level: bool = False

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


FRONT = Orbit()
# From farther away than home, whose distance leaves the camera itself out of the picture.
_BACK = (0.0, 0.0, -0.2)
TOP = Orbit(pitch_deg=90.0, zoom=0.33, offset=_BACK, is_level=True)
SIDE = Orbit(yaw_deg=270.0, zoom=0.4, offset=_BACK, is_level=True)  # from the right


@dataclass(frozen=True, slots=True)
class Layer:
    """One camera's cloud among the others; its place in `ViewSettings.layers` is its slot."""

    is_shown: bool = True
    color_rgb: Rgb = (255, 255, 255)  # for `Coloring.CAMERA`
    pose: Extrinsics = field(default_factory=Extrinsics)  # T_common_camera


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """All that decides a picture, besides the frames."""

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
    background_rgb: Rgb = (22, 24, 28)
    layers: tuple[Layer, ...] = (Layer(),)  # one per slot; cameras beyond them are not shown
    box: Box | None = None  # what lies outside is not shown
    lines: tuple[Line, ...] = ()  # drawn among the points
    guides: frozenset[Guide] = frozenset()
    is_flat: bool = False  # orthographic: what is far is not smaller
    shows_scene: bool = False  # the reconstructed surface instead of the cameras' clouds

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
        if len(self.layers) > MAX_CLOUDS:
            raise ConfigError(f"cloud: {len(self.layers)} cameras; at most {MAX_CLOUDS} fit")

    @property
    def focal_px(self) -> float:
        """Of the viewing camera."""
        return self.home_focal_px * self.stretch

    @property
    def home_focal_px(self) -> float:
        """Of the viewing camera with perspective, for which home views are made."""
        return self.height / 2 / math.tan(math.radians(FOV_Y_DEG / 2))

    @property
    def stretch(self) -> float:
        """How many times as far away the eye is for an orthographic picture; else 1."""
        return _FLAT if self.is_flat else 1.0


_NEAREST_HOME_M = 0.2  # cameras that face each other have points behind the reference


@dataclass(frozen=True, slots=True)
class Home:
    """The view that shows the whole scene from nearly where the camera stands, metres.

    ``up``, of length 1, is what orbits turn about.
    """

    target_m: Vector = (0.0, 0.0, 1.5)
    distance_m: float = 1.8
    up: Vector = (0.0, -1.0, 0.0)

    @classmethod
    def of(cls, points_m: Matrix, view: ViewSettings) -> Home:
        """Fit the scene, (N, 3) metres, into the picture, but for the last few stray points."""
        some = points_m[:: max(1, len(points_m) // 20_000)]
        if len(some) == 0:
            return cls()
        depth = max(float(np.median(some[:, 2])), _NEAREST_HOME_M)
        half = np.array([view.width, view.height]) / (2 * view.home_focal_px)
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

    def eye_m(self, view: ViewSettings) -> float:
        """Return how far the eye is from the centre of its orbit."""
        return self.distance_m / view.orbit.zoom * view.stretch

    def extrinsic(self, view: ViewSettings) -> Matrix:
        """Return the 4x4 matrix from the scene into the viewing camera, metres."""
        orbit, level = view.orbit, self._level
        to_scene = level @ orbit.rotation
        centre = np.array(self.target_m) + level @ np.array(orbit.offset) * self.distance_m
        eye = centre - to_scene[:, 2] * self.eye_m(view)
        matrix = np.eye(4)
        matrix[:3, :3] = to_scene.T
        matrix[:3, 3] = -to_scene.T @ eye
        return matrix

    def offset_of(self, point_m: Matrix) -> Vector:
        """Return the orbit offset that puts its centre on a point."""
        return _vector(self._level.T @ (point_m - np.array(self.target_m)) / self.distance_m)

    @property
    def _level(self) -> Matrix:
        """The smallest turn that brings the camera's up to the scene's, 3x3 (after Rodrigues)."""
        x, y, z = self.up
        across = np.array([[0, -x, 0], [x, 0, z], [0, -z, 0]])  # of (0, -1, 0) x up
        turn: Matrix = np.eye(3) + across + across @ across / (1 - y)
        return turn


def on_picture(points_m: Matrix, extrinsic: Matrix, view: ViewSettings) -> tuple[Matrix, Matrix]:
    """Return where (N, 3) points lie in the picture, (2, N) pixels, and their depth, (N,) metres.

    Pixels of points with a depth of 0 or less mean nothing.
    """
    x, y, z = extrinsic[:3, :3] @ points_m.T + extrinsic[:3, 3:]
    scale = view.focal_px / np.maximum(z, 1e-9)
    return np.stack([x * scale + (view.width - 1) / 2, y * scale + (view.height - 1) / 2]), z


def _vector(values: Matrix) -> Vector:
    return (float(values[0]), float(values[1]), float(values[2]))
