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
_MOST, _QUALITY, _APART_PX = 500, 0.005, 10  # of corners, as OpenCV's goodFeaturesToTrack has them
REACH_PX = 3  # over which a surface must be flat, and a normal is taken
_SLOPE, _SLOPE_PER_M = 0.05, 0.1  # of the depth across that reach, and per m; more is an edge
_STEP = 0.1  # of the depth around a corner; more is an edge, whose depth is either side's
_WINDOW_PX, _LEVELS, _BACK_PX = 15, 3, 0.5  # of Lucas and Kanade; how exactly the way back must hit
_RANSAC_PX, _DRAWS, _SURE = 1.5, 200, 0.999
_TRIM, _LEAST_TRIM_PX, _ROUNDS = 2.5, 0.1, 4  # of medians; what moves by itself goes
_LEAST = 30  # landmarks behind a pose
_LEAST_SPREAD = 0.05  # standard deviation in picture widths; a small patch tells no pose
_MATCH_MOST, _MATCH_RATIO = 1000, 0.8  # descriptors; the second best must be worse by that
_MATCH_WIDTH = 320  # pixels of the picture that they are taken of; finer ones are noise's


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A frame as tracking needs it; the lens without distortion."""

    color: ColorImage  # (H, W, 3)
    gray: Gray
    depth_m: DepthMap  # (H, W) metres, 0 = no measurement
    intrinsics: Intrinsics

    @classmethod
    def of(cls, frame: Frame, depth_m: DepthMap) -> View:
        """Take a frame's colour and one of its depths, both as a lens without distortion sees."""
        import cv2

        k = frame.intrinsics
        color, plain = frame.color, Intrinsics.from_matrix(k.matrix, k.width, k.height)
        if k.is_distorted:
            color = cv2.remap(color, *_lens(k), cv2.INTER_LINEAR)
        gray = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)
        return cls(color, gray, seen_plain(depth_m, k), plain)


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


def to_follow(frame: Frame, depth_m: DepthMap) -> View:
    """Return a frame as a camera is followed by it: with the depth that was measured.

    What a refiner fills or smooths is wrong alike in neighbours, and that does not average out of a
    pose; ``depth_m`` counts only where too little was measured.
    """
    measured_m = frame.depth_m
    is_enough = np.count_nonzero(measured_m) > _MEASURED * measured_m.size
    return View.of(frame, measured_m if is_enough else depth_m)


def seen_plain(depth_m: DepthMap, intrinsics: Intrinsics) -> DepthMap:
    """Return depth (H, W) as a lens without distortion would show it, same matrix."""
    if not intrinsics.is_distorted:
        return depth_m
    import cv2

    out: DepthMap = cv2.remap(depth_m, *_lens(intrinsics), cv2.INTER_NEAREST)
    return out


@functools.lru_cache(maxsize=2)
def _lens(intrinsics: Intrinsics) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Where each pixel of a picture without distortion is in the one with it, x and y."""
    import cv2

    matrix, size = intrinsics.matrix, (intrinsics.width, intrinsics.height)
    lens = np.array(intrinsics.distortion)
    x, y = cv2.initUndistortRectifyMap(matrix, lens, np.eye(3), matrix, size, cv2.CV_32FC1)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def landmarks_of(view: View) -> Landmarks:
    """Return the corners of a view with a surface, not an edge, around them; maybe none."""
    import cv2

    found = cv2.goodFeaturesToTrack(view.gray, _MOST, _QUALITY, _APART_PX)
    pixels: Pixels = np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)
    return _with_depth(view, pixels)[0]


def _with_depth(view: View, pixels: Pixels) -> tuple[Landmarks, Mask]:
    """Return those of (N, 2) pixels that lie on a measured surface, and which they are, (N,)."""
    height, width = view.depth_m.shape
    u, v = np.rint(pixels).astype(int).T
    rows, columns = (np.add.outer(at, np.arange(-2, 3)) for at in (v, u))
    around = view.depth_m[
        np.clip(rows, 0, height - 1)[:, :, None], np.clip(columns, 0, width - 1)[:, None]
    ].reshape(-1, 25)  # the nearest 5x5 pixels
    near, far = around.min(1), around.max(1)
    good = (u >= 0) & (v >= 0) & (u < width) & (v < height)
    good &= (near > 0) & (far - near < _STEP * near)
    z = np.median(around[good], axis=1).astype(np.float64)
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
        winSize=size, maxLevel=0, flags=flag,
    )  # fmt: skip
    good = (found.ravel() == 1) & (found_back.ravel() == 1)
    good &= np.abs(back - landmarks.pixels).max(1) < _BACK_PX
    return _sighting(landmarks.points_m[good], there[good], now, T_key_start, len(landmarks.pixels))


class Looked:
    """A view and what is asked of it, found once: its flat depth, and what it looks like."""

    def __init__(self, view: View) -> None:
        self.view = view

    @functools.cached_property
    def flat_m(self) -> DepthMap:
        """Depth (H, W) averaged over 5x5 pixels where it is a surface, 0 elsewhere."""
        import cv2

        depth_m, kernel = self.view.depth_m, np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1), np.uint8)
        near, far = cv2.erode(depth_m, kernel), cv2.dilate(depth_m, kernel)
        flat = (near > 0) & (far - near < near * (_SLOPE + _SLOPE_PER_M * near))
        even = np.full(5, 1 / 5, np.float32)
        mean = np.asarray(cv2.sepFilter2D(depth_m, -1, even, even), np.float32)
        mean *= flat
        return mean

    @functools.cached_property
    def looks(self) -> tuple[Pixels, npt.NDArray[np.uint8]]:
        """Where something is to be recognised by, (N, 2), and by what, (N, 128).

        SIFT descriptors (Lowe, IJCV 2004).
        """
        import cv2

        gray, scale = self.view.gray, max(1.0, self.view.gray.shape[1] / _MATCH_WIDTH)
        if scale > 1:
            gray = cv2.resize(gray, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
        found, looks = cv2.SIFT.create(_MATCH_MOST).detectAndCompute(gray, None)
        pixels = np.array([point.pt for point in found], np.float32).reshape(-1, 2)
        pixels = (pixels + 0.5) * np.float32(scale) - 0.5  # of the picture as it is
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
    return pictured(points_m @ T_now_key[:3, :3].T + T_now_key[:3, 3], intrinsics)


def pictured(points_m: Matrix, intrinsics: Intrinsics) -> Pixels:
    """Return where a camera sees (N, 3) points in its own axes, (N, 2)."""
    z = np.maximum(points_m[:, 2], 1e-3)
    u = intrinsics.fx * points_m[:, 0] / z + intrinsics.cx
    v = intrinsics.fy * points_m[:, 1] / z + intrinsics.cy
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
