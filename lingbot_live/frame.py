"""The records that travel through the app, and every convention, stated once.

Axes are OpenCV's: x right, y down, z forward, in metres. A pixel's integer coordinate is its
centre. ``T_target_source`` maps points of ``source`` into ``target``. Depth is the distance along
+z; 0 means "no measurement" in ``depth_raw`` and "invalid" in ``depth_m``. Colour is RGB.

Arrays inside a record are read-only and owned by it: drivers copy out of SDK memory exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import CameraError, ConfigError, RefinerError

ColorImage = npt.NDArray[np.uint8]  # (H, W, 3) RGB
RawDepth = npt.NDArray[np.uint16]  # (H, W) sensor units, 0 = no measurement
DepthMap = npt.NDArray[np.float32]  # (H, W) metres, 0 = invalid
Mask = npt.NDArray[np.bool_]  # (H, W)
ExtraPicture = npt.NDArray[np.generic]  # (H, W) uint8 or uint16, in a size of its own
OriginMap = npt.NDArray[np.uint8]  # (H, W) of `Origin`
TrustMap = npt.NDArray[np.float32]  # (H, W) 0 to 1
Matrix = npt.NDArray[np.float64]
Vector = tuple[float, float, float]

# Pictures that a camera may hand over beside colour and depth, by name, with their titles.
DEPTH_NATIVE = "depth_native"
EXTRAS = {
    "infrared": "Infrared",
    "infrared_left": "Infrared, left",
    "infrared_right": "Infrared, right",
    DEPTH_NATIVE: "Depth before alignment",
}
_LEAST_FOCAL_PX = 10.0
_MOST_SKEW_PX = 1e-3


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera with Brown-Conrady distortion.

    ``distortion`` is OpenCV's order ``k1 k2 p1 p2 k3 k4 k5 k6`` (0, 4, 5 or 8 values); the image
    is undistorted where it is empty or all zero.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ConfigError(f"intrinsics: size {self.width}x{self.height} must be positive")
        values = np.array([self.fx, self.fy, self.cx, self.cy, *self.distortion])
        if not np.isfinite(values).all() or self.fx <= 0 or self.fy <= 0:
            raise ConfigError(
                f"intrinsics: fx {self.fx}, fy {self.fy}, cx {self.cx}, cy {self.cy} must be "
                "finite, with positive focal lengths; check the calibration file"
            )
        if len(self.distortion) not in (0, 4, 5, 8):
            raise ConfigError(
                f"intrinsics: {len(self.distortion)} distortion values; 0, 4, 5 or 8 are known"
            )

    @property
    def matrix(self) -> Matrix:
        """The 3x3 camera matrix, in pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    @property
    def is_distorted(self) -> bool:
        """Whether any distortion value differs from zero."""
        return any(self.distortion)

    @property
    def doubt(self) -> str:
        """Why these values cannot be those of such pictures, and what they look like; or empty."""
        if min(self.fx, self.fy) < _LEAST_FOCAL_PX:
            near_one = max(self.fx, self.fy) < 10 and max(abs(self.cx), abs(self.cy)) <= 1
            looks = "divided by the picture's size; multiply by it" if near_one else "no pixels"
            return (
                f"intrinsics: focal length {self.fx:g}, {self.fy:g} is below {_LEAST_FOCAL_PX:g} "
                f"px; the values look {looks}"
            )
        if 0 < self.cx < self.width - 1 and 0 < self.cy < self.height - 1:
            return ""
        size = f"{2 * self.cx + 1:.0f}x{2 * self.cy + 1:.0f}"
        looks = f"of pictures of {size}" if min(self.cx, self.cy) > 0 else "of a transposed matrix"
        return (
            f"intrinsics: the principal point {self.cx:g}, {self.cy:g} lies on or outside the "
            f"border of {self.width}x{self.height}; the values look like those {looks}"
        )

    @classmethod
    def from_matrix(cls, matrix: npt.ArrayLike, width: int, height: int) -> Intrinsics:
        """Build from a 3x3 camera matrix in pixels.

        Raises:
            ConfigError: it is no upper triangle without skew above a last row of 0 0 1.
        """
        k = np.asarray(matrix, np.float64)
        if k.shape != (3, 3):
            raise ConfigError(f"intrinsics: a 3x3 matrix is needed, not shape {k.shape}")
        if np.any(k[2, :2]) and not np.any(k[:2, 2]):
            raise ConfigError("intrinsics: the matrix is transposed; cx and cy belong at its right")
        if np.abs(k[2] - (0, 0, 1)).max() > 1e-6:
            raise ConfigError(f"intrinsics: the matrix ends with {k[2].tolist()}, not with 0 0 1")
        if np.abs(k[[0, 1], [1, 0]]).max() > _MOST_SKEW_PX:
            raise ConfigError(
                f"intrinsics: the matrix has a skew of {k[0, 1]:g}, {k[1, 0]:g}; rectify the "
                "images first"
            )
        return cls(width, height, float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))


@dataclass(frozen=True, slots=True)
class Extrinsics:
    """A rigid transform ``T_target_source``: ``target = rotation @ source + translation_m``."""

    rotation: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    translation_m: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def from_matrix(cls, matrix: npt.ArrayLike) -> Extrinsics:
        """Build from a 4x4 (or 3x4) matrix in metres."""
        m = np.asarray(matrix, np.float64)
        rows = tuple((float(r[0]), float(r[1]), float(r[2])) for r in m[:3])
        return cls(rows, (float(m[0, 3]), float(m[1, 3]), float(m[2, 3])))

    @property
    def matrix(self) -> Matrix:
        """The 4x4 matrix, metres."""
        m = np.eye(4)
        m[:3, :3] = self.rotation
        m[:3, 3] = self.translation_m
        return m

    @property
    def quaternion(self) -> tuple[float, float, float, float]:
        """The rotation as x, y, z, w of a unit quaternion."""
        import cv2

        vector, _ = cv2.Rodrigues(np.asarray(self.rotation, np.float64))
        angle = float(np.linalg.norm(vector))
        axis = vector.ravel() / angle if angle else np.zeros(3)
        x, y, z = (float(value) for value in axis * np.sin(angle / 2))
        return x, y, z, float(np.cos(angle / 2))

    @property
    def is_identity(self) -> bool:
        """Whether it moves nothing."""
        return bool(np.array_equal(self.matrix, np.eye(4)))

    @property
    def angle_deg(self) -> float:
        """By how much it turns, 0 to 180 degrees."""
        r = np.asarray(self.rotation, np.float64)
        # The sine from the antisymmetric part: arccos alone loses small angles to rounding.
        sine = np.linalg.norm([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
        return float(np.degrees(np.arctan2(sine, np.trace(r) - 1)))

    def inverse(self) -> Extrinsics:
        """Return ``T_source_target``."""
        return Extrinsics.from_matrix(np.linalg.inv(self.matrix))

    def __matmul__(self, other: Extrinsics) -> Extrinsics:
        """Return ``T_a_b @ T_b_c = T_a_c``."""
        return Extrinsics.from_matrix(self.matrix @ other.matrix)

    def apply(self, points_m: npt.ArrayLike) -> Matrix:
        """Return points of ``source``, (..., 3) metres, as points of ``target``."""
        moved: Matrix = np.asarray(points_m) @ np.asarray(self.rotation).T + self.translation_m
        return moved


class Alignment(str, Enum):
    """How depth came to lie on the colour image."""

    SDK = "sdk"
    OWN = "own"
    NONE = "none"  # the source delivers them aligned


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of a camera's geometry.

    ``color`` also holds for depth once aligned. ``depth`` and ``T_color_depth`` describe the depth
    sensor before alignment, where the source tells them.
    """

    color: Intrinsics
    depth: Intrinsics | None = None
    T_color_depth: Extrinsics | None = None
    baseline_m: float | None = None  # of a stereo depth sensor; None where it is not one

    @property
    def before_alignment(self) -> tuple[Intrinsics, Extrinsics]:
        """The depth sensor's own intrinsics and ``T_color_depth``.

        Raises:
            CameraError: the source does not tell them.
        """
        if self.depth is None or self.T_color_depth is None:
            raise CameraError("the depth sensor's own intrinsics and extrinsics are not known")
        return self.depth, self.T_color_depth


@dataclass(frozen=True, slots=True)
class RefinerInfo:
    """What made a refined depth; always written out where people see the result."""

    name: str  # as on the command line
    device: str = "CPU"
    precision: str = "fp32"
    checkpoint: str = ""  # name and first digits of its hash
    tokens: int | None = None
    note: str = ""  # one line in plain words
    lacks: str = ""  # why ``auto`` did not take LingBot-Depth, where it did not
    finish: str = ""  # what was done to its result, such as "steady"

    def __str__(self) -> str:
        parts = [self.name, self.checkpoint, f"on {self.device}"]
        if self.tokens is not None:
            parts += [self.precision, f"{self.tokens} tokens"]
        text = " ".join(part for part in parts if part)
        return f"{text}, {self.finish}" if self.finish else text


@dataclass(frozen=True, slots=True, eq=False)
class RecordedDepth:
    """What a refiner made of a frame while it was recorded."""

    depth_m: DepthMap  # (H, W) float32 metres, 0 = invalid
    mask: Mask  # (H, W)
    refiner: RefinerInfo
    trust: TrustMap | None = None  # (H, W) where it was recorded, too


@dataclass(frozen=True, slots=True)
class ImuSample:
    """One reading of a camera's inertial sensors, in their own axes; None = not measured.

    Some makes read both sensors together, others each at a rate of its own.
    """

    device_timestamp_us: int  # the same clock as a Frame's
    acceleration_m_s2: Vector | None = None  # at rest it points up, with 9.81
    angular_velocity_rad_s: Vector | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One time-matched RGB-D capture, depth aligned to colour. Immutable."""

    camera: str  # name of the feed's camera, its address by default
    index: int  # counter of the session, from 0; a gap is a drop
    timestamp_ns: int  # host monotonic clock at arrival
    device_timestamp_us: int  # the device's own clock
    color: ColorImage  # (H, W, 3) uint8 RGB
    depth_raw: RawDepth  # (H, W) uint16 sensor units
    depth_scale_m: float  # metres per raw unit
    calibration: Calibration
    device_index: int | None = None  # the device's own frame number
    alignment: Alignment = Alignment.NONE
    reference_m: DepthMap | None = field(default=None)  # (H, W) true depth, where it is known
    label: str = ""  # of this one frame, such as the name of its folder
    recorded: RecordedDepth | None = None  # of a frame played back from a session
    imu: tuple[ImuSample, ...] = ()  # read since the frame before; empty where there is none
    out_of_range: int = 0  # pixels of a file that are 0 because their value means no depth
    extras: Mapping[str, ExtraPicture] = field(default_factory=dict)  # by name, see `EXTRAS`

    def __post_init__(self) -> None:
        _check_image(self.camera, "color", self.color, np.uint8, 3)
        _check_image(self.camera, "depth_raw", self.depth_raw, np.uint16, 2)
        size = self.color.shape[:2]
        intrinsics = self.calibration.color
        if self.depth_raw.shape != size or (intrinsics.height, intrinsics.width) != size:
            raise CameraError(
                f"{self.camera}: colour is {_size(self.color)}, depth {_size(self.depth_raw)}, "
                f"intrinsics {intrinsics.width}x{intrinsics.height}; the three must agree"
            )
        if not (np.isfinite(self.depth_scale_m) and self.depth_scale_m > 0):
            raise CameraError(f"{self.camera}: depth scale {self.depth_scale_m} must be positive")
        if self.reference_m is not None:
            _check_image(self.camera, "reference_m", self.reference_m, np.float32, 2)
        for name, picture in self.extras.items():
            if name not in EXTRAS or picture.dtype not in (np.uint8, np.uint16):
                raise CameraError(f"{self.camera}: no extra picture is {name}, {picture.dtype}")
            _check_image(self.camera, name, picture, picture.dtype, 2)
        for array in (self.color, self.depth_raw, self.reference_m, *self.extras.values()):
            if array is not None:
                array.setflags(write=False)

    @property
    def intrinsics(self) -> Intrinsics:
        """Of the colour image and the depth aligned to it."""
        return self.calibration.color

    @property
    def nbytes(self) -> int:
        """Of the pictures that a camera took."""
        extras = sum(picture.nbytes for picture in self.extras.values())
        return self.color.nbytes + self.depth_raw.nbytes + extras

    @property
    def depth_m(self) -> DepthMap:
        """Raw depth in metres, (H, W) float32, 0 = invalid; computed at each call (0.2 ms)."""
        return in_metres(self.depth_raw, self.depth_scale_m)


def in_metres(depth_raw: RawDepth, depth_scale_m: float) -> DepthMap:
    """Return raw depth, or a part of it, in metres."""
    return np.multiply(depth_raw, np.float32(depth_scale_m), dtype=np.float32)


class Origin(IntEnum):
    """What a refined pixel rests on."""

    MEASURED = 0
    COMPLETED = 1  # interpolated from around the hole
    STANDING = 2  # a guess: a body stands there, upright on what lies below
    CONTINUED = 3  # a guess: the plane around the hole goes on


@dataclass(frozen=True, slots=True, eq=False)
class RefinedFrame:
    """A refiner's result together with the Frame it came from. Immutable."""

    frame: Frame
    depth_m: DepthMap  # (H, W) float32 metres, 0 = invalid, always finite
    mask: Mask  # (H, W) where the refiner vouches for its depth
    refiner: RefinerInfo
    started_ns: int  # host monotonic clock
    finished_ns: int
    origin: OriginMap | None = None  # (H, W) of `Origin`, where the refiner tells
    age: npt.NDArray[np.uint8] | None = None  # (H, W) frames that steadied depth rests on
    flying: int | None = None  # pixels removed as flying points; None = not asked for
    trust: TrustMap | None = None  # (H, W) as it was recorded; else `perception.trust` tells

    def __post_init__(self) -> None:
        who = f"refiner {self.refiner.name}"
        _check_image(who, "depth_m", self.depth_m, np.float32, 2, RefinerError)
        _check_image(who, "mask", self.mask, np.bool_, 2, RefinerError)
        if not self.depth_m.shape == self.mask.shape == self.frame.depth_raw.shape:
            raise RefinerError(
                f"{who}: depth is {_size(self.depth_m)}, mask {_size(self.mask)}, their frame "
                f"{_size(self.frame.depth_raw)}"
            )
        if self.trust is not None:
            _check_image(who, "trust", self.trust, np.float32, 2, RefinerError)
            if self.trust.shape != self.depth_m.shape:
                raise RefinerError(
                    f"{who}: trust is {_size(self.trust)}, depth {_size(self.depth_m)}"
                )
        least, most = self.depth_m.min(initial=0), self.depth_m.max(initial=0)
        if not np.isfinite(least + most):  # nan is the least of any
            raise RefinerError(f"{who}: depth holds inf or nan; invalid pixels must be 0")
        if least < 0:
            raise RefinerError(f"{who}: depth is below 0; invalid pixels must be 0")
        self.depth_m.setflags(write=False)
        self.mask.setflags(write=False)

    @property
    def flying_share(self) -> float | None:
        """Share of the picture that was removed as flying points; None where not asked for."""
        return None if self.flying is None else self.flying / self.depth_m.size


def _size(array: npt.NDArray[np.generic]) -> str:
    return f"{array.shape[1]}x{array.shape[0]}" if array.ndim >= 2 else str(array.shape)


def _check_image(
    who: str,
    name: str,
    array: npt.NDArray[np.generic],
    dtype: npt.DTypeLike,
    ndim: int,
    error: type[CameraError] | type[RefinerError] = CameraError,
) -> None:
    channels_ok = ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != dtype or array.ndim != ndim or not channels_ok:
        wanted = "(H, W, 3)" if ndim == 3 else "(H, W)"
        raise error(
            f"{who}: {name} must be {wanted} {np.dtype(dtype).name}, "
            f"not {array.shape} {array.dtype.name}"
        )


Tap = Callable[[str, "Frame | RefinedFrame"], None]  # sees what a feed of this name made
