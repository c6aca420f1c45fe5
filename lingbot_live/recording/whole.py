"""Which frames of a session file are whole, by its index."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lingbot_live.recording.format import EXTRA_ROLES, Role
from lingbot_live.recording.mcap.places import FileIndex, Times

# Every message that a frame, or a result, cannot be without its own frame's others.
_OF_FRAMES = (
    Role.COLOR, Role.COLOR_EXACT, Role.COLOR_VIDEO, Role.DEPTH, Role.DEPTH_RVL, Role.CAMERA_INFO,
    Role.FRAME, Role.IMU, Role.REFINED_DEPTH, Role.REFINED_FRACTION, Role.REFINED_RVL,
    Role.REFINED_MASK, Role.REFINED, Role.TRUST, *EXTRA_ROLES,
)  # fmt: skip


def doubted_chunks(index: FileIndex, channels: Mapping[Role, int]) -> set[int]:
    """Return the chunks with messages that lack their companions: an index may hide those.

    All of a frame has one log time and lies in one chunk.
    """
    whole = whole_frames(index, channels)
    found: set[int] = set()
    for role in _OF_FRAMES:
        entries = index.entries.get(channels.get(role, -1))
        if entries is not None:
            found.update(np.unique(entries.chunk[~np.isin(entries.times_ns, whole)]).tolist())
    return found - {-1}


def whole_frames(index: FileIndex, channels: Mapping[Role, int]) -> Times:
    """Return the times of frames of which all is there."""

    def of(role: Role) -> Times:
        entries = index.entries.get(channels.get(role, -1))
        return np.zeros(0, np.int64) if entries is None else entries.times_ns

    times = np.unique(of(Role.FRAME))
    color = np.union1d(np.union1d(of(Role.COLOR), of(Role.COLOR_EXACT)), of(Role.COLOR_VIDEO))
    depth = np.union1d(of(Role.DEPTH), of(Role.DEPTH_RVL))
    for others in (color, depth, of(Role.CAMERA_INFO)):
        times = times[np.isin(times, others)]
    return times
