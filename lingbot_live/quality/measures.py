"""Depth quality of one image without a reference: fill, ranges, edges.

These are the corrected forms of what the vendors' tools show (theirs: `realsense_dqt` beside).
Results are `Numbers`: plain values under the keys of `metric` beside, nan = not available.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import DepthMap, Mask

Numbers = dict[str, float]
Floats = npt.NDArray[np.float64]

NAN = float("nan")
_BEYOND = 1e6  # metres, farther than any depth


def fill_share(depth_m: DepthMap) -> float:
    """Return ``valid / all`` of (H, W) depth; the same as the vendors' fill rate, 0 to 1."""
    return float(np.count_nonzero(depth_m)) / max(depth_m.size, 1)


def range_histogram(depth_m: DepthMap, edges_m: Floats) -> Floats:
    """Return the share of all pixels by depth, one per bin of ``edges_m`` (metres, ascending)."""
    counts = np.histogram(depth_m[depth_m > 0], edges_m)[0]
    return counts / max(depth_m.size, 1)


# ---- edges -----------------------------------------------------------------------------------


def local_range(depth_m: DepthMap, size_px: int) -> tuple[DepthMap, DepthMap]:
    """Return the nearest and the farthest valid depth around each pixel, (H, W) metres."""
    import cv2

    kernel = np.ones((size_px, size_px), np.uint8)
    _, hole = cv2.threshold(depth_m, 0, _BEYOND, cv2.THRESH_BINARY_INV)
    near = cv2.erode(cv2.max(depth_m, hole), kernel)
    return np.asarray(near, np.float32), np.asarray(cv2.dilate(depth_m, kernel), np.float32)


def depth_edges(depth_m: DepthMap, size_px: int = 5, step: float = 0.08) -> Mask:
    """Return the pixels (H, W) within a window that holds a step of more than ``step`` of depth."""
    near, far = local_range(depth_m, size_px)
    return np.asarray(far > near * np.float32(1 + step))


def flying_share(depth_m: DepthMap) -> float:
    """Return the share of the valid pixels at depth edges that hang between the two sides.

    At an edge (a step over 8 % in 5x5 pixels) a pixel flies when it lies between 20 % and 80 % of
    the way from the near to the far side. Slopes are told from steps by a 9x9 window, whose
    contrast on a slope is larger by half or more, and from noise by its lack of two sides: there
    most pixels of the window lie in between. Flying pixels: Sarbolandi, Lefloch,
    Kolb, "Kinect range sensing", CVIU 2015. nan where there is no edge.
    """
    import cv2

    near, far = local_range(depth_m, 5)
    contrast = far - near
    wide_near, wide_far = local_range(depth_m, 9)
    valid = depth_m > 0
    edge = valid & (contrast > np.float32(0.08) * near)
    edge &= wide_far - wide_near < np.float32(1.5) * contrast
    height = depth_m - near
    between = valid & (height > np.float32(0.2) * contrast) & (height < np.float32(0.8) * contrast)
    crowd, company = (cv2.blur(a.astype(np.float32), (5, 5)) for a in (between, valid))
    edge &= crowd < np.float32(0.5) * company
    inner = edge[4:-4, 4:-4]  # where no window is cut off
    return float(between[4:-4, 4:-4][inner].mean()) if inner.any() else NAN


def edge_fattening_px(depth_m: DepthMap, reference_m: DepthMap, reach_px: int = 6) -> float:
    """Return by how many pixels near objects are too wide, on average along their outlines.

    Around every step of over 10 % in the reference, far pixels measured at the near depth count
    plus, near pixels measured at the far depth minus; the balance is divided by the length of the
    outlines. Block matching fattens by about half its window (Scharstein and Szeliski, IJCV 2002).
    nan where the reference has no edge or nothing was measured beside one.
    """
    near, far = local_range(reference_m, 2 * reach_px + 1)
    known = (reference_m > 0) & (far > near * np.float32(1.1))
    middle = (near + far) / 2
    is_far = reference_m > middle
    seen = known & (depth_m > 0)
    length = _outline_px(is_far, known)
    if length == 0 or not seen.any():
        return NAN
    seems_far = depth_m > middle
    gained = np.count_nonzero(seen & is_far & ~seems_far)
    lost = np.count_nonzero(seen & ~is_far & seems_far)
    return float((gained - lost) / length)


def _outline_px(is_far: Mask, known: Mask) -> float:
    """Length of the border between near and far: the gradient of 2x2 blocks, summed."""
    side = is_far.astype(np.float32)
    across, down = np.diff(side, axis=1), np.diff(side, axis=0)
    across, down = across[1:] + across[:-1], down[:, 1:] + down[:, :-1]
    blocks = np.sqrt(across * across + down * down) / 2
    inside = known[1:, 1:] & known[:-1, 1:] & known[1:, :-1] & known[:-1, :-1]
    return float(blocks[inside].sum())
