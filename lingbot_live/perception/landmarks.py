"""Landmarks: corners of a picture with depth, found again in another picture, and what that tells.

A pose from landmarks takes directions from the colour picture and only their distances from depth.
So noise of depth scales a motion a little, but where nothing moves it moves nothing, which aligning
two noisy depth images cannot promise.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import ColorImage, DepthMap, Frame, Intrinsics, Mask, Matrix

Pixels = npt.NDArray[np.float32]  # (N, 2) u, v
Gray = npt.NDArray[np.uint8]  # (H, W)

_MEASURED = 0.2  # of the picture; less is sparse, and no landmark has a surface around it
_MOST, _QUALITY, _APART_PX = 1000, 0.005, 8  # of corners, as OpenCV's goodFeaturesToTrack has them
_STEP = 0.1  # of the depth around a corner; more is an edge, whose depth is either side's
_WINDOW_PX, _LEVELS, _BACK_PX = 21, 3, 0.5  # of Lucas and Kanade; how exactly the way back must hit
_RANSAC_PX, _DRAWS, _SURE = 1.5, 200, 0.999
_TRIM, _LEAST_TRIM_PX, _ROUNDS = 2.5, 0.1, 6  # of medians; what moves by itself goes
_LEAST = 30  # landmarks behind a pose
_LEAST_SPREAD = 0.05  # standard deviation in picture widths; a small patch tells no pose
_MATCH_MOST, _MATCH_RATIO = 1500, 0.8  # descriptors; the second best must be worse by that


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A frame as tracking needs it; the lens without distortion."""

    color: ColorImage  # (H, W, 3)
    gray: Gray
    depth_m: DepthMap  # (H, W) metres, 0 = no measurement
    intrinsics: Intrinsics

    @classmethod
    def to_follow(cls, frame: Frame, depth_m: DepthMap) -> View:
        """Take a frame as a camera is followed by it: with the depth that was measured.

        What a refiner fills or smooths is wrong alike in neighbours, and that does not average out
        of a pose; ``depth_m`` counts only where too little was measured.
        """
        measured_m = frame.depth_m
        is_enough = np.count_nonzero(measured_m) > _MEASURED * measured_m.size
        return cls.of(frame, measured_m if is_enough else depth_m)

    @classmethod
    def of(cls, frame: Frame, depth_m: DepthMap) -> View:
        """Take a frame's colour and one of its depths, both as a lens without distortion sees."""
        import cv2

        color, depth_m = undistorted(frame, depth_m)
        plain = Intrinsics.from_matrix(
            frame.intrinsics.matrix, frame.intrinsics.width, frame.intrinsics.height
        )
        return cls(color, cv2.cvtColor(color, cv2.COLOR_RGB2GRAY), depth_m, plain)


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Corners of one view that have depth."""

    pixels: Pixels
    points_m: Matrix  # (N, 3) in that view's camera


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """Landmarks of a key view found again from elsewhere."""

    T_key_now: Matrix  # (4, 4)
    points_m: Matrix  # (M, 3) those that agree, in the key view's camera
    pixels: Pixels  # (M, 2) where they are now
    share: float  # of the landmarks that were looked for
    error_px: float  # median distance from where they should be


def undistorted(frame: Frame, depth_m: DepthMap) -> tuple[ColorImage, DepthMap]:
    """Return colour and depth as a lens without distortion would show them, same matrix."""
    if not frame.intrinsics.is_distorted:
        return frame.color, depth_m
    import cv2

    intrinsics = frame.intrinsics
    size = (intrinsics.width, intrinsics.height)
    maps = cv2.initUndistortRectifyMap(
        intrinsics.matrix, np.array(intrinsics.distortion), np.eye(3), intrinsics.matrix, size,
        cv2.CV_32FC1,
    )  # fmt: skip
    color: ColorImage = cv2.remap(frame.color, *maps, cv2.INTER_LINEAR)
    depth: DepthMap = cv2.remap(depth_m, *maps, cv2.INTER_NEAREST)
    return color, depth


def landmarks_of(view: View) -> Landmarks:
    """Return the corners of a view with a surface, not an edge, around them; maybe none."""
    import cv2

    found = cv2.goodFeaturesToTrack(view.gray, _MOST, _QUALITY, _APART_PX)
    pixels: Pixels = np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)
    return _with_depth(view, pixels)[0]


def _with_depth(view: View, pixels: Pixels) -> tuple[Landmarks, Mask]:
    """Return those of (N, 2) pixels that lie on a measured surface, and which they are, (N,)."""
    import cv2

    depth, kernel = view.depth_m, np.ones((5, 5), np.uint8)
    smooth = cv2.medianBlur(np.ascontiguousarray(depth, np.float32), 5)
    near, far = cv2.erode(depth, kernel), cv2.dilate(depth, kernel)
    flat = (near > 0) & (far - near < _STEP * near)
    height, width = depth.shape
    u, v = np.rint(pixels).astype(int).T
    inside = (u >= 0) & (v >= 0) & (u < width) & (v < height)
    good = inside & flat[np.clip(v, 0, height - 1), np.clip(u, 0, width - 1)]
    z = smooth[v[good], u[good]].astype(np.float64)
    k = view.intrinsics
    kept = pixels[good]
    x, y = (kept[:, 0] - k.cx) / k.fx, (kept[:, 1] - k.cy) / k.fy
    return Landmarks(kept, np.column_stack([x * z, y * z, z])), good


def track(key: View, landmarks: Landmarks, now: View, T_key_start: Matrix) -> Sighting | None:
    """Follow landmarks of a key view into another by optical flow; None if too few are there.

    ``T_key_start`` (4, 4) is where the other view is about: the flow starts from what it predicts.
    Pyramidal Lucas-Kanade there and back (Bouguet, Intel 2001), then the pose that puts them there.
    """
    import cv2

    if len(landmarks.pixels) < _LEAST:
        return None
    begun = projected(landmarks.points_m, T_key_start, now.intrinsics)
    size, flag = (_WINDOW_PX, _WINDOW_PX), cv2.OPTFLOW_USE_INITIAL_FLOW
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        key.gray, now.gray, landmarks.pixels, begun.copy(),
        winSize=size, maxLevel=_LEVELS, flags=flag,
    )  # fmt: skip
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(
        now.gray, key.gray, there, landmarks.pixels.copy(),
        winSize=size, maxLevel=_LEVELS, flags=flag,
    )  # fmt: skip
    good = (found.ravel() == 1) & (found_back.ravel() == 1)
    good &= np.abs(back - landmarks.pixels).max(1) < _BACK_PX
    return _sighting(landmarks.points_m[good], there[good], now, T_key_start, len(landmarks.pixels))


class Looked:
    """A view and what it looks like: SIFT descriptors (Lowe, IJCV 2004), found when asked for."""

    def __init__(self, view: View) -> None:
        self.view = view

    @functools.cached_property
    def looks(self) -> tuple[Pixels, npt.NDArray[np.uint8]]:
        """Where something is to be recognised by, (N, 2), and by what, (N, 128)."""
        import cv2

        found, looks = cv2.SIFT.create(_MATCH_MOST).detectAndCompute(self.view.gray, None)
        pixels = np.array([point.pt for point in found], np.float32).reshape(-1, 2)
        none = np.zeros((0, 128), np.uint8)
        return pixels, none if looks is None else looks.astype(np.uint8)  # whole numbers already


def recognise(key: Looked, now: Looked) -> Sighting | None:
    """Find a key view's landmarks in another view from anywhere near, by their look alone.

    By the ratio test of SIFT; None if too few agree on a pose.
    """
    import cv2

    (ours, looks), (theirs, others) = key.looks, now.looks
    if len(ours) < _LEAST or len(theirs) < _LEAST:
        return None
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    pairs = matcher.knnMatch(looks.astype(np.float32), others.astype(np.float32), k=2)
    sure = [a for a, b in pairs if a.distance < _MATCH_RATIO * b.distance]
    pixels, there = ours[[m.queryIdx for m in sure]], theirs[[m.trainIdx for m in sure]]
    if len(sure) < _LEAST:
        return None
    landmarks, good = _with_depth(key.view, pixels)
    return _sighting(landmarks.points_m, there[good], now.view, None, len(landmarks.pixels))


def projected(points_m: Matrix, T_key_now: Matrix, intrinsics: Intrinsics) -> Pixels:
    """Return where a camera at ``T_key_now`` sees (N, 3) points of the key view, (N, 2)."""
    T_now_key = np.linalg.inv(T_key_now)
    local = points_m @ T_now_key[:3, :3].T + T_now_key[:3, 3]
    z = np.maximum(local[:, 2], 1e-3)
    u = intrinsics.fx * local[:, 0] / z + intrinsics.cx
    v = intrinsics.fy * local[:, 1] / z + intrinsics.cy
    return np.column_stack([u, v]).astype(np.float32)


def _sighting(
    points_m: Matrix, pixels: Pixels, now: View, start: Matrix | None, asked: int
) -> Sighting | None:
    """Return the pose from which (N, 3) points are seen at (N, 2) pixels, if it is sure."""
    import cv2

    if len(points_m) < _LEAST:
        return None
    matrix, lens = now.intrinsics.matrix, None
    guess = () if start is None else _rodrigues(np.linalg.inv(start))
    kind = cv2.SOLVEPNP_ITERATIVE if guess else cv2.SOLVEPNP_EPNP
    known = dict(zip(("rvec", "tvec"), guess, strict=False))
    done, turn, move, _ = cv2.solvePnPRansac(
        points_m, pixels, matrix, lens, **known, useExtrinsicGuess=bool(guess),
        iterationsCount=_DRAWS, reprojectionError=_RANSAC_PX, confidence=_SURE, flags=kind,
    )  # fmt: skip
    if not done:
        return None
    limit_px, agree = _RANSAC_PX, np.ones(len(points_m), bool)
    for _ in range(_ROUNDS):
        error_px = np.linalg.norm(
            cv2.projectPoints(points_m, turn, move, matrix, lens)[0].reshape(-1, 2) - pixels, axis=1
        )
        agree = error_px < limit_px
        if agree.sum() < _LEAST:
            return None
        turn, move = cv2.solvePnPRefineLM(points_m[agree], pixels[agree], matrix, lens, turn, move)
        limit_px = max(_TRIM * float(np.median(error_px[agree])), _LEAST_TRIM_PX)
    if pixels[agree].std(0).min() < _LEAST_SPREAD * now.intrinsics.width:
        return None
    T_now_key = np.eye(4)
    T_now_key[:3, :3], T_now_key[:3, 3] = cv2.Rodrigues(turn)[0], move.ravel()
    error = float(np.median(error_px[agree]))
    share = float(agree.sum()) / asked
    return Sighting(np.linalg.inv(T_now_key), points_m[agree], pixels[agree], share, error)


def _rodrigues(transform: Matrix) -> tuple[Matrix, Matrix]:
    import cv2

    return cv2.Rodrigues(transform[:3, :3])[0], transform[:3, 3:].copy()
