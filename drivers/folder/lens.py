"""Calibration files of other programs, as `folder:` reads them.

=============  ===================================================================================
our own        JSON with ``fx fy cx cy`` in pixels, on request ``width height``, ``distortion``
               (OpenCV's order), ``depth_scale_m`` (metres per unit)
Open3D         JSON with ``intrinsic_matrix`` (9 numbers, column by column), ``width height``
ROS            YAML or JSON of a ``CameraInfo``: ``K`` or ``camera_matrix``, ``D``, sizes, model
BOP            ``camera.json``; ``scene_camera.json`` with ``cam_K`` and ``depth_scale`` an image
ORB-SLAM       YAML with ``Camera.fx`` and so on, ``DepthMapFactor``
ScanNet        text of ``name = value`` lines (``fx_color``, ``m_calibrationColorIntrinsic``)
matrix         text of 3x3, 3x4 or 4x4 numbers; or four numbers ``fx fy cx cy``
=============  ===================================================================================
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lingbot_live.errors import BadRecordingError, ConfigError, did_you_mean
from lingbot_live.frame import Intrinsics, Matrix
from lingbot_live.system import inputs

log = logging.getLogger(__name__)

_KNOWN = (
    "fx", "fy", "cx", "cy", "width", "height", "distortion", "depth_scale_m", "depth_scale",
)  # fmt: skip
_ALIASES = {
    "w": "width", "h": "height", "image_width": "width", "image_height": "height",
    "color_width": "width", "color_height": "height", "colorwidth": "width",
    "colorheight": "height", "m_colorwidth": "width", "m_colorheight": "height",
    "fx_color": "fx", "fy_color": "fy", "mx_color": "cx", "my_color": "cy",
    "ppx": "cx", "ppy": "cy",
    "k": "matrix", "camera_matrix": "matrix", "cam_k": "matrix", "intrinsics": "matrix",
    "m_calibrationcolorintrinsic": "matrix",
    "d": "distortion", "distortion_coefficients": "distortion", "coeffs": "distortion",
    "distortion_coeffs": "distortion", "dist_coeffs": "distortion",
    "depthmapfactor": "units_per_m", "depth_factor": "units_per_m", "m_depthshift": "units_per_m",
    "png_depth_scale": "units_per_m",
    "model": "distortion_model",
}  # fmt: skip
_PASSED = (  # what such files hold beside, of no use here
    "matrix", "intrinsic_matrix", "units_per_m", "distortion_model", "k1", "k2", "p1", "p2", "k3",
    "r", "p", "rectification_matrix", "projection_matrix", "binning_x", "binning_y", "roi",
    "header", "camera_name", "extrinsic", "class_name", "version_major", "version_minor",
    "cam_r_w2c", "cam_t_w2c", "view_level", "fps", "name", "serial", "type", "rgb", "bf",
    "thdepth", "version", "axisalignment", "colortodepthextrinsics", "depthwidth", "depthheight",
    "fx_depth", "fy_depth", "mx_depth", "my_depth", "scenetype",
)  # fmt: skip
_FISHEYE = ("equidistant", "fisheye", "kannala_brandt", "kannalabrandt8", "kb4")
# What values of the wrong kind raise, infinite ones and those nested without end among them.
_FAULTS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError,
           ZeroDivisionError)  # fmt: skip
_MOST_NUMBERS = 16  # in a list, or in a row of one
_MOST_TEXT = 1 << 18  # characters of one camera's calibration; YAML is read slowly
_MOST_TOLD = 20  # names that are not known
_PAIR = re.compile(r"\s*([A-Za-z_]\w*)[ \t]*[=:]")
_LEAST_UNIT_M, _MOST_UNIT_M = 1e-5, 0.02  # of depth images that people store


@dataclass(frozen=True, slots=True)
class Lens:
    """What a calibration file says; size and ``depth_scale_m`` where it says them."""

    path: Path
    matrix: Matrix  # (3, 3) pixels
    width: int | None = None  # of the pictures it holds for
    height: int | None = None
    distortion: tuple[float, ...] = ()
    depth_scale_m: float | None = None

    def fitted(self, width: int, height: int) -> Intrinsics:
        """Return it for images of a size; scaled where it is of another one.

        Raises:
            BadRecordingError: it does not belong to such images.
        """
        own = self.width or width, self.height or height
        try:
            found = Intrinsics.from_matrix(self.matrix, *own)
            found = replace(found, distortion=self.distortion)
        except ConfigError as error:
            raise BadRecordingError(f"{self.path}: {error}") from error
        if found.doubt:
            raise BadRecordingError(f"{self.path}: {found.doubt}")
        return found if own == (width, height) else self._scaled(found, width, height)

    def _scaled(self, found: Intrinsics, width: int, height: int) -> Intrinsics:
        by = width / found.width
        if abs(found.height * by - height) > 1:
            raise BadRecordingError(
                f"{self.path}: is for {found.width}x{found.height}, the images are "
                f"{width}x{height}, of another shape; write the calibration of these images"
            )
        log.warning(
            "%s: is for %dx%d, the images are %dx%d; it is scaled by %.4g",
            self.path, found.width, found.height, width, height, by,
        )  # fmt: skip
        # Integers are pixel centres, so the picture's corner lies at -0.5.
        return Intrinsics(
            width, height, found.fx * by, found.fy * by,
            (found.cx + 0.5) * by - 0.5, (found.cy + 0.5) * by - 0.5, found.distortion,
        )  # fmt: skip


def read_lens(path: Path) -> Lens:
    """Read a calibration file in any of the forms above.

    Raises:
        BadRecordingError: it is missing, unreadable, or holds no camera matrix.
    """
    text = read_text(path)
    if len(text) > _MOST_TEXT:
        raise BadRecordingError(f"{path}: {len(text)} characters are no camera's calibration")
    read = _READERS.get(path.suffix.lower(), _from_text)
    try:
        return read(path, text)
    except (ConfigError, *_FAULTS) as error:
        raise BadRecordingError(
            f"{path}: {error}; 3x3 pixels or fx, fy, cx, cy are needed"
        ) from error


def read_bop(path: Path) -> dict[str, Lens]:
    """Read a ``scene_camera.json`` of BOP: a lens for each image, by its number.

    Raises:
        BadRecordingError: as `read_lens`.
    """
    found = {}
    for number, values in read_json(path).items():
        try:
            scale_m = float(values.get("depth_scale", 1.0)) / 1000  # millimetres a unit
            matrix = np.array(_numbers(values["cam_K"]), np.float64).reshape(3, 3)
            found[number] = Lens(path, matrix, depth_scale_m=scale_m)
        except _FAULTS as error:
            raise BadRecordingError(
                f"{path}: image {number}: {error!r}; cam_K of nine numbers is needed"
            ) from error
    return found


def read_text(path: Path) -> str:
    """Return a file's text, without a byte order mark.

    Raises:
        BadRecordingError: it is missing or no UTF-8.
    """
    try:
        return inputs.read_text(path).removeprefix("\ufeff")
    except OSError as error:
        raise BadRecordingError(f"{path}: {error.strerror}; check the file") from error
    except UnicodeDecodeError as error:
        raise BadRecordingError(f"{path}: cannot be read as text ({error})") from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        BadRecordingError: there is none.
    """
    try:
        values = inputs.from_json(read_text(path))
    except ValueError as error:
        raise BadRecordingError(f"{path}: no JSON ({error}); correct the file") from error
    if not isinstance(values, dict):
        raise BadRecordingError(f"{path}: an object with fx, fy, cx, cy is needed")
    return values


def unit_m(value: float) -> float:
    """Return metres per unit of a ``depth_scale`` as other programs write it.

    That is metres (RealSense: 0.001), millimetres (BOP: 1.0) or units a metre (Open3D: 1000); the
    three never overlap for a unit from 0.01 to 20 mm.

    Raises:
        ValueError: it is none of these.
    """
    for found in (value, value / 1000, 1 / value if value > 0 else 0.0):
        if _LEAST_UNIT_M <= found <= _MOST_UNIT_M:
            return found
    raise ValueError(f"depth_scale {value!r} is no unit of depth; write depth_scale_m, in metres")


# ---- forms ---------------------------------------------------------------------------------------


def _from_json(path: Path, text: str) -> Lens:
    values = read_json(path)
    inner = values.get("intrinsic", values.get("camera"))
    return _from_values(path, {**values, **inner} if isinstance(inner, dict) else values)


def _from_yaml(path: Path, text: str) -> Lens:
    import yaml

    # OpenCV's writer begins with %YAML:1.0 and marks matrices, both unknown to YAML itself.
    plain = re.sub(r"!!opencv-matrix", "", re.sub(r"\A%YAML.*\n(---)?", "", text))
    try:
        values = yaml.safe_load(plain)
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise ValueError("an object with fx, fy, cx, cy is needed")
    names = re.compile(r"^(Camera1?|RGBD)\.")
    plain_names = {names.sub("", str(key)): value for key, value in values.items()}
    return _from_values(path, {k: v for k, v in plain_names.items() if "." not in k})


def _from_text(path: Path, text: str) -> Lens:
    named = ((line, _PAIR.match(line)) for line in text.splitlines())
    pairs = {found[1]: line[found.end() :].strip() for line, found in named if found}
    if pairs:
        return _from_values(path, pairs)
    lines = (line.partition("#")[0].replace(",", " ").split() for line in text.splitlines())
    rows = [[float(word) for word in line] for line in lines if line]
    if rows and any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("its lines hold different counts of numbers")
    return Lens(path, _matrix(np.array(rows, np.float64)))


_READERS: dict[str, Callable[[Path, str], Lens]] = {
    ".json": _from_json,
    ".yaml": _from_yaml,
    ".yml": _from_yaml,
}


def _from_values(path: Path, given: Mapping[str, Any]) -> Lens:
    values = {_ALIASES.get(str(k).lower(), str(k).lower()): v for k, v in given.items()}
    _say_unknown(path, values)
    width, height = (int(values[n]) if n in values else None for n in ("width", "height"))
    return Lens(
        path, _matrix_of(values), width, height, _distortion_of(values), _scale_of(path, values)
    )


def _say_unknown(path: Path, values: Mapping[str, Any]) -> None:
    inner = ("intrinsic", "camera")
    known = (*_KNOWN, *_PASSED, *inner)
    strange = [n for n in values if n not in known and not n.startswith(("m_", "num", "_"))]
    for name in strange[:_MOST_TOLD]:
        near = did_you_mean(name, _KNOWN)
        log.warning("%s: unknown name %r is passed over.%s", path, name[:40], near)


def _matrix_of(values: Mapping[str, Any]) -> Matrix:
    if "intrinsic_matrix" in values:
        numbers = np.array(_numbers(values["intrinsic_matrix"]), np.float64)
        return _matrix(numbers.reshape(3, 3).T if numbers.size == 9 else numbers)
    if "matrix" in values:
        return _matrix(np.array(_numbers(values["matrix"]), np.float64))
    missing = [name for name in ("fx", "fy", "cx", "cy") if name not in values]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    fx, fy, cx, cy = (float(values[name]) for name in ("fx", "fy", "cx", "cy"))
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def _matrix(numbers: Matrix) -> Matrix:
    """Return (3, 3) of numbers in a matrix, in a row, or of ``fx fy cx cy``."""
    if numbers.size == 4:
        fx, fy, cx, cy = numbers.ravel()
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)
    shapes = {9: (3, 3), 12: (3, 4), 16: (4, 4)}
    if numbers.size not in shapes or (
        1 not in numbers.shape and numbers.ndim > 1 and numbers.shape != shapes[numbers.size]
    ):
        raise ValueError(f"intrinsics: a 3x3 matrix is needed, not shape {numbers.shape}")
    square = numbers.reshape(shapes[numbers.size])
    rest = np.delete(square, range(3), axis=1)
    if not np.array_equal(rest[:3], np.zeros_like(rest[:3])):
        raise ValueError(f"intrinsics: {square.shape[0]}x4 numbers whose last column is not 0")
    return square[:3, :3]


def _numbers(value: Any) -> Any:
    """The numbers of a list, a text, or of what ROS and OpenCV write: ``{rows, cols, data}``."""
    if isinstance(value, dict):
        value = value["data"]
    if isinstance(value, str):
        value = [float(word) for word in value.split()]
    # YAML's names for parts let a few lines stand for any number of numbers.
    rows = value if isinstance(value, list) else []
    inner = [row for row in rows if isinstance(row, list)]
    if any(len(row) > _MOST_NUMBERS for row in (rows, *inner)) or any(
        isinstance(part, list) for row in inner for part in row
    ):
        raise ValueError("more numbers than a calibration has")
    return value


def _distortion_of(values: Mapping[str, Any]) -> tuple[float, ...]:
    if "distortion" in values:
        found = tuple(float(value) for value in _numbers(values["distortion"]) or ())
    else:
        found = tuple(float(values.get(name, 0)) for name in ("k1", "k2", "p1", "p2", "k3"))
    if not any(found):
        return ()
    model = str(values.get("distortion_model", "")).lower()
    if model in _FISHEYE:
        raise ValueError(f"a lens of model {model} is not known; undistort the images first")
    return found


def _scale_of(path: Path, values: Mapping[str, Any]) -> float | None:
    if "depth_scale_m" in values:
        value = values["depth_scale_m"]
        if isinstance(value, str) or not 0 < value < 1:
            raise ValueError(f"depth_scale_m {value!r} must lie between 0 and 1 metre")
        return float(value)
    if "units_per_m" in values:
        return 1 / float(values["units_per_m"])
    if "depth_scale" not in values:
        return None
    found = unit_m(float(values["depth_scale"]))
    if not math.isclose(found, float(values["depth_scale"])):
        log.warning("%s: depth_scale is read as units of %g mm", path, 1000 * found)
    return found
