"""Between pixels and metres: deproject, project, scale intrinsics. Pure functions."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import DepthMap, Intrinsics, Matrix

Points = npt.NDArray[np.float32]


@functools.lru_cache(maxsize=16)
def rays(intrinsics: Intrinsics) -> Points:
    """Return x/z and y/z of every pixel centre, (H, W, 2) float32, distortion removed."""
    u, v = np.meshgrid(np.arange(intrinsics.width), np.arange(intrinsics.height))
    if intrinsics.is_distorted:
        import cv2

        pixels = np.stack([u, v], -1).reshape(-1, 1, 2).astype(np.float64)
        flat = cv2.undistortPointsIter(
            pixels,
            intrinsics.matrix,
            np.array(intrinsics.distortion),
            np.eye(3),
            np.eye(3),
            (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-8),
        )
        table = flat.reshape(intrinsics.height, intrinsics.width, 2)
    else:
        x = (u - intrinsics.cx) / intrinsics.fx
        y = (v - intrinsics.cy) / intrinsics.fy
        table = np.stack([x, y], -1)
    out: Points = table.astype(np.float32)
    out.setflags(write=False)
    return out


def deproject(depth_m: DepthMap, intrinsics: Intrinsics) -> Points:
    """Return the point of every pixel, (H, W, 3) float32 metres; invalid pixels give (0, 0, 0)."""
    points = np.empty((*depth_m.shape, 3), np.float32)
    np.multiply(rays(intrinsics), depth_m[..., None], out=points[..., :2])
    points[..., 2] = depth_m
    return points


def project(points_m: npt.NDArray[np.float32] | Matrix, intrinsics: Intrinsics) -> Matrix:
    """Return the pixel (u, v) of each point, (N, 3) metres -> (N, 2) float64, distortion applied.

    Points with z <= 0 give meaningless pixels; leave them out before.
    """
    import cv2

    pixels, _ = cv2.projectPoints(
        np.ascontiguousarray(points_m, np.float64).reshape(-1, 1, 3),
        np.zeros(3),
        np.zeros(3),
        intrinsics.matrix,
        np.array(intrinsics.distortion or (0.0,) * 5),
    )
    out: Matrix = pixels.reshape(-1, 2)
    return out


def scaled(intrinsics: Intrinsics, width: int, height: int) -> Intrinsics:
    """Return the intrinsics of the same picture resized to ``width`` x ``height``.

    Pixel centres are integers, so the principal point moves by half a pixel before and after.
    """
    sx, sy = width / intrinsics.width, height / intrinsics.height
    return Intrinsics(
        width,
        height,
        intrinsics.fx * sx,
        intrinsics.fy * sy,
        (intrinsics.cx + 0.5) * sx - 0.5,
        (intrinsics.cy + 0.5) * sy - 0.5,
        intrinsics.distortion,
    )


def normalized(intrinsics: Intrinsics) -> Matrix:
    """Return the 3x3 matrix with row 0 divided by width and row 1 by height (LingBot-Depth's)."""
    size = np.array([[intrinsics.width], [intrinsics.height], [1.0]])
    out: Matrix = intrinsics.matrix / size
    return out


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


def nearest_pixels(
    shape: tuple[int, ...], pixels: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the column, the row and whether it is in a picture (H, W), (N,) each, of (N, 2) u, v.

    Those that are not have the nearest ones that are.
    """
    height, width = shape[:2]
    told = np.where(np.isnan(pixels), 0, np.clip(pixels, -2, 1e6))
    at = np.rint(told).astype(np.intp)
    nearest = np.minimum(np.maximum(at, 0), (width - 1, height - 1))
    column, row = nearest.T
    return column, row, (nearest == at).all(axis=1)


def value_at(
    image: npt.NDArray[np.float32], pixels: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the value of an image (H, W) at the pixels nearest to (N, 2) u, v: (N,), 0 outside."""
    column, row, inside = nearest_pixels(image.shape, pixels)
    return np.asarray(np.where(inside, image[row, column], np.float32(0)), np.float32)
