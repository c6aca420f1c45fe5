"""Calibrations of other programs as pinhole cameras, and images freed of what those cannot hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError, CorruptRecordingError
from lingbot_live.frame import Extrinsics, Intrinsics
from lingbot_live.recording.foreign.messages import CameraModel

A = TypeVar("A", bound=npt.NDArray[Any])
Maps = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_PLAIN = ("", "none", "plumb_bob", "brown_conrady", "modified_brown_conrady", "rational_polynomial")
_FISHEYE = ("equidistant", "fisheye", "kannala_brandt", "kannala_brandt4")
_INVERSE = "inverse_brown_conrady"
_COUNTS = (0, 4, 5, 8, 12, 14)  # of values in OpenCV's model
_SQUEEZED = 0.03  # more than sizes differ by when they are rounded
_PIXEL = 0.5  # between the corner of an image and the centre of its first pixel


class UnusableError(CorruptRecordingError):
    """A calibration that says nothing, or in a way that is not known."""


@dataclass(frozen=True, slots=True)
class Lens:
    """A pinhole camera, and how an image is brought to it where the lens is none."""

    intrinsics: Intrinsics
    rotation: Extrinsics  # from the sensor's axes to those of its rectified image
    maps: Maps | None  # for `cv2.remap`; None where images stay as they are
    was: str = ""  # what ``maps`` take out, for people

    def straighten(self, image: A, *, is_depth: bool) -> A:
        """Return an image as ``intrinsics`` see it; depth is not mixed, and 0 where unseen."""
        if self.maps is None:
            return image
        how = cv2.INTER_NEAREST if is_depth else cv2.INTER_LINEAR
        found: A = cv2.remap(image, *self.maps, how)
        return found


def lens(model: CameraModel, width: int, height: int, *, is_rectified: bool) -> Lens:
    """Return the camera of a ``width`` x ``height`` image that ``model`` belongs to.

    A rectified image is described by P, any other by K and D (ROS's image pipeline). K and P hold
    for the whole sensor; a region of interest and binning are taken off. The models of OpenCV with
    up to 8 values are kept; thin prisms, tilted sensors, fisheyes and inverse Brown-Conrady are
    taken out of the image.

    Raises:
        UnusableError: it is not calibrated, or the distortion model is unknown.
    """
    rotation, values, name = Extrinsics(), model.d, model.distortion_model
    k = (model.k[0], model.k[4], model.k[2], model.k[5])
    if is_rectified:
        rotation, values, name = _rotation(model.r), (), ""
        if model.p[0] > 0 and model.p[5] > 0:  # else it was not filled in
            k = (model.p[0], model.p[5], model.p[2], model.p[6])
    name = name.strip().lower().replace(" ", "_")
    if not (k[0] > 0 and k[1] > 0):
        raise UnusableError("the camera is not calibrated (K is 0)")
    try:
        pinhole = Intrinsics(width, height, *_for_image(model, k, width, height))
        if name in _FISHEYE:
            return Lens(pinhole, rotation, _fisheye_maps(pinhole, values), "fisheye")
        if not any(values):
            return Lens(pinhole, rotation, None)
        if name == _INVERSE:
            return Lens(pinhole, rotation, _inverse_maps(pinhole, values), "inverse Brown-Conrady")
        return _opencv(pinhole, rotation, values, name)
    except (ConfigError, cv2.error) as error:
        raise UnusableError(f"the calibration is damaged ({error})") from error


def differ(a: Intrinsics, b: Intrinsics) -> bool:
    """Whether two cameras differ by more than a pixel of ``a``, ``b`` scaled to its size."""
    x, y = a.width / b.width, a.height / b.height
    scaled = (b.fx * x, b.fy * y, (b.cx + _PIXEL) * x - _PIXEL, (b.cy + _PIXEL) * y - _PIXEL)
    half = (a.width / 2, a.height / 2)
    # At the border a focal length moves pixels by half the width times its relative change.
    border = max(
        half[0] * abs(scaled[0] / a.fx - 1),
        half[1] * abs(scaled[1] / a.fy - 1),
    )
    return border + max(abs(scaled[2] - a.cx), abs(scaled[3] - a.cy)) > 1.0


def _for_image(
    model: CameraModel, k: tuple[float, ...], width: int, height: int
) -> tuple[float, float, float, float]:
    """Take region of interest and binning off, as far as the image shows that they apply."""
    fx, fy, cx, cy = k
    full = (model.width or width, model.height or height)
    across, down = (max(1, value) for value in model.binning)
    x, y, wide, high = model.roi if all(model.roi[2:]) else (0, 0, *full)
    if (wide // across, high // down) != (width, height):
        across = down = 1
        if (wide, high) != (width, height):  # the image was scaled, not cut
            x, y, (wide, high) = 0, 0, full
    if across == down == 1 and abs(width * high / (height * wide) - 1) > _SQUEEZED:
        raise UnusableError(
            f"the calibration is for images of {wide}x{high}, these are {width}x{height}"
        )
    cx, cy, sx, sy = cx - x, cy - y, 1 / across, 1 / down
    if across == down == 1:
        sx, sy = width / wide, height / high
    return fx * sx, fy * sy, (cx + _PIXEL) * sx - _PIXEL, (cy + _PIXEL) * sy - _PIXEL


def _rotation(r: tuple[float, ...]) -> Extrinsics:
    matrix = np.reshape(r, (3, 3))
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3):
        return Extrinsics()  # not filled in
    return Extrinsics.from_matrix(np.hstack([matrix, np.zeros((3, 1))]))


def _opencv(
    pinhole: Intrinsics, rotation: Extrinsics, values: tuple[float, ...], name: str
) -> Lens:
    if name not in _PLAIN or len(values) > _COUNTS[-1]:
        raise UnusableError(
            f"distortion model {name!r} with {len(values)} values is not known; rectify the images"
        )
    while values and values[-1] == 0:
        values = values[:-1]
    count = next(c for c in _COUNTS if c >= len(values))
    values = (*values, *[0.0] * (count - len(values)))
    i = pinhole
    if count <= 8:
        distorted = Intrinsics(i.width, i.height, i.fx, i.fy, i.cx, i.cy, values)
        return Lens(distorted, rotation, None)
    maps = cv2.initUndistortRectifyMap(
        i.matrix, np.array(values), np.eye(3), i.matrix, (i.width, i.height), cv2.CV_32FC1
    )
    return Lens(pinhole, rotation, maps, f"lens of {count} values")


def _fisheye_maps(i: Intrinsics, values: tuple[float, ...]) -> Maps:
    if len(values) not in (0, 4):
        raise UnusableError(f"a fisheye has 4 distortion values, not {len(values)}")
    d = np.array([*values, *[0.0] * (4 - len(values))])
    maps: Maps = cv2.fisheye.initUndistortRectifyMap(
        i.matrix, d, np.eye(3), i.matrix, (i.width, i.height), cv2.CV_32FC1
    )
    return maps


def _inverse_maps(i: Intrinsics, values: tuple[float, ...]) -> Maps:
    """The polynomial leads from the image's pixel to the ideal one; its inverse fills the map."""
    if len(values) > 5:
        raise UnusableError(f"inverse Brown-Conrady has 5 distortion values, not {len(values)}")
    grid = np.stack(np.meshgrid(np.arange(i.width), np.arange(i.height)), -1).astype(np.float64)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-8)
    d = np.array([*values, *[0.0] * (5 - len(values))])
    found = cv2.undistortPointsIter(
        grid.reshape(-1, 1, 2), i.matrix, d, np.eye(3), i.matrix, criteria
    ).reshape(i.height, i.width, 2)
    at = np.nan_to_num(found, nan=-1e6).astype(np.float32)
    return np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
