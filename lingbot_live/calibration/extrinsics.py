"""Where cameras stand, from a board that they saw together.

Each pair is solved over all views that both have: `cv2.stereoCalibrate` with fixed intrinsics
minimises the distance in pixels between every corner and its projection, over the pair's transform
and the board's poses at once. Views that fit far worse than the others (the board moved between
the two exposures) are left out. Cameras that never saw the board together with the reference are
reached by way of others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lingbot_live.calibration.board import LEAST_CORNERS, Board, Sighting
from lingbot_live.calibration.rig import Rig, RigCamera
from lingbot_live.errors import CalibrationError
from lingbot_live.frame import Extrinsics, Intrinsics, Matrix

View = Mapping[str, Sighting]  # camera -> where it saw the board, at one standing of the board

LEAST_VIEWS = 3  # of a pair
_OUTLIER = 3.0  # times the median error of all views
_MOST_SHARE = 0.003  # of the picture's width, as the RMS of a solution that can be right
_NONE: npt.NDArray[np.intp] = np.empty(0, np.intp)
_TINY_PX = 0.02  # below, errors are the detector's own


class PairResult(NamedTuple):
    """One camera relative to another."""

    pose: Extrinsics  # T_first_second
    residual_px: float  # RMS over both cameras
    views: int  # that were used


class _Shared(NamedTuple):
    """The corners of one view that both cameras saw; pixels without distortion."""

    board_m: npt.NDArray[np.float32]  # (N, 3)
    first: npt.NDArray[np.float32]  # (N, 2)
    second: npt.NDArray[np.float32]  # (N, 2)


def solve_rig(board: Board, views: Sequence[View], intrinsics: Mapping[str, Intrinsics]) -> Rig:
    """Return where the cameras of ``intrinsics`` stand; the first of them is the reference.

    Raises:
        CalibrationError: a camera shares too few views with any other; says which and how many.
    """
    names = list(intrinsics)
    cameras = {names[0]: RigCamera(names[0])}
    while len(cameras) < len(names):
        count, known, new = _best_pair(views, cameras, names)
        if count < LEAST_VIEWS:
            raise CalibrationError(
                f"{new}: it saw the board {count} times together with {known}; at least "
                f"{LEAST_VIEWS} are needed, 10 are good. Hold the whole board still where both "
                "see it, nearer, and tilt it between views"
            )
        pair = solve_pair(board, views, (known, new), intrinsics)
        pose = cameras[known].pose @ pair.pose
        cameras[new] = RigCamera(new, pose, views=pair.views, residual_px=pair.residual_px)
    return Rig(tuple(cameras[name] for name in names))


def solve_pair(
    board: Board,
    views: Sequence[View],
    pair: tuple[str, str],
    intrinsics: Mapping[str, Intrinsics],
) -> PairResult:
    """Return ``T_first_second`` of two cameras.

    Raises:
        CalibrationError: the solution does not fit: a wrong board, size or intrinsics.
    """
    first, second = (intrinsics[name] for name in pair)
    shared = [s for view in views if (s := _shared(board, view, pair, first, second))]
    pose = _typical([_pose(s.board_m, s.first, first) @ _pose(s.board_m, s.second, second).inverse()
                     for s in shared])  # fmt: skip
    while True:
        pose, rms_px, errors_px = _refined(shared, pose, first, second)
        worst = errors_px.max(1)
        good = worst <= max(_OUTLIER * float(np.median(worst)), _TINY_PX)
        if good.all() or good.sum() < LEAST_VIEWS:
            break
        shared = [s for s, keep in zip(shared, good, strict=True) if keep]
    if rms_px > _MOST_SHARE * first.width:
        raise CalibrationError(
            f"{pair[0]} and {pair[1]}: corners are {rms_px:.1f} px off; is the board really "
            f"{board}, and do both cameras show one moment? Hold it still, look again"
        )
    return PairResult(pose, rms_px, len(shared))


def shared_views(views: Sequence[View], names: Sequence[str]) -> int:
    """Return the fewest views that hold a camera of ``names`` to those placed before it."""
    known, least = {names[0]: None}, len(views)
    while len(known) < len(names):
        count, _, new = _best_pair(views, known, names)
        known[new], least = None, min(least, count)
    return least


def _best_pair(
    views: Sequence[View], known: Mapping[str, object], names: Sequence[str]
) -> tuple[int, str, str]:
    """Return the pair of a placed and an unplaced camera with most views in common."""
    pairs = [(old, new) for old in known for new in names if new not in known]
    counts = [sum(len(_common(view, pair)) >= LEAST_CORNERS for view in views) for pair in pairs]
    best = int(np.argmax(counts))
    return counts[best], pairs[best][0], pairs[best][1]


def _common(view: View, pair: tuple[str, str]) -> npt.NDArray[np.intp]:
    """Return the ids of corners that both saw in a view."""
    first, second = (view[name].ids if name in view else _NONE for name in pair)
    return np.intersect1d(first, second)


def _shared(
    board: Board, view: View, pair: tuple[str, str], first: Intrinsics, second: Intrinsics
) -> _Shared | None:
    ids = _common(view, pair)
    if len(ids) < LEAST_CORNERS:
        return None
    sides = []
    for name, camera in zip(pair, (first, second), strict=True):
        rows = np.searchsorted(view[name].ids, ids)
        sides.append(_ideal(view[name].pixels[rows], camera))
    return _Shared(board.corners_m[ids].astype(np.float32), *sides)


def _ideal(pixels: Matrix, camera: Intrinsics) -> npt.NDArray[np.float32]:
    """Return where a lens without distortion would have put the corners."""
    if not camera.is_distorted:
        return pixels.astype(np.float32)
    import cv2

    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-8)
    k, lens = camera.matrix, np.array(camera.distortion)
    found = cv2.undistortPointsIter(pixels.reshape(-1, 1, 2), k, lens, np.eye(3), k, criteria)
    return np.asarray(found.reshape(-1, 2), np.float32)


def _pose(
    board_m: npt.NDArray[np.float32], pixels: npt.NDArray[np.float32], camera: Intrinsics
) -> Extrinsics:
    """Return ``T_camera_board`` from one picture."""
    import cv2

    how = cv2.SOLVEPNP_IPPE
    _, turn, shift = cv2.solvePnP(board_m, pixels, camera.matrix, np.zeros(5), flags=how)
    return Extrinsics.from_matrix(np.c_[cv2.Rodrigues(turn)[0], shift])


def _typical(poses: Sequence[Extrinsics]) -> Extrinsics:
    """Return the pose that differs least from the others; one degree counts as 2 cm."""

    def differs(a: Extrinsics, b: Extrinsics) -> float:
        shift = np.subtract(a.translation_m, b.translation_m)
        return (a.inverse() @ b).angle_deg + float(np.linalg.norm(shift)) / 0.02

    return min(poses, key=lambda pose: float(np.median([differs(pose, p) for p in poses])))


def _refined(
    shared: Sequence[_Shared], start: Extrinsics, first: Intrinsics, second: Intrinsics
) -> tuple[Extrinsics, float, Matrix]:
    """Return the pose that fits all views best, its RMS, and (V, 2) the views' own, pixels."""
    import cv2

    begin = start.inverse().matrix  # OpenCV's pose maps the first camera into the second
    size = (first.width, first.height)
    flags = cv2.CALIB_FIX_INTRINSIC | cv2.CALIB_USE_EXTRINSIC_GUESS
    rms_px, *_, turn, shift, _, _, _, _, errors_px = cv2.stereoCalibrateExtended(
        [s.board_m for s in shared], [s.first for s in shared], [s.second for s in shared],
        first.matrix, np.zeros(5), second.matrix, np.zeros(5), size,
        begin[:3, :3].copy(), begin[:3, 3:].copy(), flags=flags,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-9),
    )  # fmt: skip
    pose = Extrinsics.from_matrix(np.c_[turn, shift]).inverse()
    return pose, float(rms_px), np.asarray(errors_px, np.float64)
