"""What was found in a frame, as messages beside it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lingbot_live.colormap import point_colors
from lingbot_live.perception.tracks import Lifted, Points, Tracked
from lingbot_live.recording.format import Role
from lingbot_live.recording.mcap.cdr import Header, encode_points

RIG_FRAME = "rig"  # the axes of its reference


def points_message(
    header: Header,
    numbers: npt.NDArray[np.int64],
    points_m: Points,
    tracked: Tracked,
    lifted: Lifted,
) -> tuple[Role, bytes]:
    """Return where N followed points are, ``points_m`` (N, 3) in the header's axes.

    ``rgb`` is a point's colour as viewers of ROS want it: 8 bits each in the bits of a float32.
    """
    columns = dict(zip("xyz", points_m.T, strict=True))
    columns["id"] = numbers.astype(np.float32)
    columns["u"], columns["v"] = tracked.pixels.T
    columns["visible"] = tracked.visible.astype(np.float32)
    columns["trust"], columns["speed"] = lifted.trust, speed_m_s(lifted)
    columns["rgb"] = _packed(point_colors(numbers))
    return Role.TRACKS, encode_points(header, columns)


def speed_m_s(lifted: Lifted) -> npt.NDArray[np.float32]:
    """Return each point's speed, (N,)."""
    return np.asarray(np.linalg.norm(lifted.velocity_m_s, axis=1), np.float32)


def _packed(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    bgr0 = np.zeros((len(colors), 4), np.uint8)
    bgr0[:, :3] = colors[:, ::-1]
    return bgr0.view("<f4")[:, 0]
